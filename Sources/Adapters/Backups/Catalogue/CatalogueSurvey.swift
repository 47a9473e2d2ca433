public import SerinCatalogue
internal import SerinCrypto
public import SerinModel

/// How the objects of one destination are listed and the small ones read.
public struct DestinationReading: Sendable {
    /// The destination's name in the plan.
    public var destination: String
    /// All objects.
    public var list: @Sendable () async throws(Failure) -> [StoredObject]
    /// A small object's bytes in the version named; nil when there is none.
    public var read: @Sendable (ObjectKey, String?) async throws(Failure) -> [UInt8]?
    /// What is known of one object, with its version and lock; nil when there is none.
    public var head: @Sendable (ObjectKey) async throws(Failure) -> StoredObject?

    /// A way to read.
    public init(
        destination: String, list: @escaping @Sendable () async throws(Failure) -> [StoredObject],
        read: @escaping @Sendable (ObjectKey, String?) async throws(Failure) -> [UInt8]?,
        head: @escaping @Sendable (ObjectKey) async throws(Failure) -> StoredObject?
    ) {
        self.destination = destination
        self.list = list
        self.read = read
        self.head = head
    }
}

/// Looks at what a destination really holds: lists it, and reads and authenticates the manifests.
public struct CatalogueSurvey: Sendable {
    /// The authentication with the key of the manifests.
    public typealias Authentication = @Sendable ([UInt8]) -> String

    private let reading: DestinationReading
    private let authenticate: Authentication?
    private let former: [Authentication]

    /// A survey of a destination.
    ///
    /// - Parameters:
    ///   - authenticate: Without it nothing is proven, and nothing may be imported: only shown.
    ///   - former: With the keys that were used before.
    public init(_ reading: DestinationReading, authenticate: Authentication?, former: [Authentication] = []) {
        self.reading = reading
        self.authenticate = authenticate
        self.former = former
    }

    /// What there is. A manifest that cannot be believed is part of the answer; a destination that cannot be listed is a failure.
    public func contents() async throws(Failure) -> DestinationContents {
        let objects = try await reading.list()
        var contents = DestinationContents(destination: reading.destination, objects: objects, manifests: [])
        for object in objects where object.key.description.hasSuffix(Manifest.keySuffix) {
            guard let bytes = try await reading.read(object.key, object.version) else {
                contents.unreadable.append(UnreadableManifest(key: object.key, reason: "it was listed, and is not there"))
                continue
            }
            do throws(ManifestError) {
                let manifest = try Manifest(
                    reading: bytes, authenticate: authenticate.map { code in { code($0) } },
                    former: former.map { code in { code($0) } })
                guard manifest.copy.destination == reading.destination, Manifest.key(beside: manifest.copy.key) == object.key
                else {
                    throw ManifestError("the manifest is that of \(manifest.copy.reference), and stands elsewhere")
                }
                let digest = Hexadecimal.text(of: SHA256.digestOrEmpty(bytes))
                contents.manifests.append(FoundManifest(key: object.key, sha256: digest, manifest: manifest))
            } catch {
                contents.unreadable.append(UnreadableManifest(key: object.key, reason: error.description))
            }
        }
        return contents
    }
}

extension DestinationContents {
    /// Asks for the objects of copies whose version or lock is known, as a listing tells neither. What is asked for is what a reader
    /// finds now: a mark of deletion or another object over the copy is not what was stored, though the copy is still below.
    ///
    /// - Parameter head: Says of an object what the destination knows; nil when there is none.
    public mutating func complete(
        from state: CatalogueState, of target: String, head: (ObjectKey) async throws(Failure) -> StoredObject?
    ) async throws(Failure) {
        for copy in state.live(target: target).compactMap({ $0.copy(at: destination) }) {
            guard copy.state.isUsable || copy.state == .stored, copy.versionID != nil || copy.lock != nil, copy.parts.isEmpty
            else { continue }
            guard let object = try await head(copy.key) else { continue }
            objects.removeAll { $0.key == copy.key && ($0.version == nil || $0.version == object.version) }
            objects.append(object)
        }
    }
}
