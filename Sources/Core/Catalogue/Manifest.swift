internal import SerinModel
internal import SerinRecords

/// What is stored beside each copy: enough to know the backup again without the catalogue, and to see that nobody has put an older
/// one in its place.
///
/// The bytes are one canonical JSON document (sorted keys, no white space). `mac` is HMAC-SHA-256 over the document without it.
/// `previous` is SHA-256 of the bytes of the manifest before, for the same target and destination, so that they form a chain.
public struct Manifest: Sendable, Hashable, Codable {
    /// The version of this form.
    public static let currentVersion = 1
    /// What `previous` is for the first one.
    public static let genesis = String(repeating: "0", count: 64)

    /// The version of the form.
    public var version: Int
    /// Its number in the chain of its target and destination, from 1.
    public var sequence: Int64
    /// SHA-256 of the manifest before, in hexadecimal.
    public var previous: String
    /// What was asked for.
    public var order: BackupOrder
    /// What was produced.
    public var facts: BackupFacts
    /// The copy beside which it stands, as it was written.
    public var copy: BackupCopy
    /// Which key authenticates it, see ``keyID(by:)``; nil until it is sealed, and in manifests of before it was written.
    public var keyID: String?
    /// HMAC-SHA-256 over the rest, in hexadecimal; empty until it is sealed.
    public var mac: String

    /// A manifest that is not sealed yet.
    public init(
        order: BackupOrder, facts: BackupFacts, copy: BackupCopy, sequence: Int64 = 1, previous: String = Manifest.genesis
    ) {
        version = Manifest.currentVersion
        self.sequence = sequence
        self.previous = previous
        self.order = order
        self.facts = facts
        var written = copy
        written.state = .stored
        written.confirmedAt = nil
        written.verifiedAt = nil
        written.sequence = nil
        written.formers = nil
        self.copy = written
        mac = ""
    }

    /// The copy with the manifest's number.
    public var numberedCopy: BackupCopy {
        var numbered = copy
        numbered.sequence = sequence
        return numbered
    }

    /// Computes an authentication code over bytes, in hexadecimal: HMAC-SHA-256 with the key that the caller holds.
    public typealias Authentication = ([UInt8]) -> String

    /// The name of a key, which tells nothing of it: the first 16 digits of the code over a fixed text.
    public static func keyID(by authenticate: Authentication) -> String {
        String(authenticate(Array("serin-manifest-key".utf8)).prefix(16))
    }

    /// The manifest with its authentication code.
    public func sealed(by authenticate: Authentication) throws(ManifestError) -> Manifest {
        var sealed = self
        sealed.keyID = Manifest.keyID(by: authenticate)
        sealed.mac = authenticate(try sealed.authenticatedBytes())
        guard sealed.mac.utf8.count == 64 else { throw ManifestError("the authentication code could not be computed") }
        return sealed
    }

    /// The bytes to store.
    public func bytes() throws(ManifestError) -> [UInt8] {
        guard !mac.isEmpty else { throw ManifestError("the manifest of \(order.id) is not sealed") }
        return try Manifest.canonical(self)
    }

    /// Reads a manifest. Anything but the very bytes that were stored, and any other author, is refused.
    ///
    /// - Parameters:
    ///   - bytes: What was stored.
    ///   - authenticate: The authentication with the same key; nil reads without proof, to show what there is.
    ///   - former: Those with the keys that were used before, which are believed too.
    public init(
        reading bytes: [UInt8], authenticate: Authentication?, former: [Authentication] = []
    ) throws(ManifestError) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes, depthLimit: 32)
        } catch {
            throw ManifestError("the manifest is cut short or no JSON document: \(error)")
        }
        guard let version = document["version"]?.integer else { throw ManifestError("the manifest names no version") }
        guard version == Int64(Manifest.currentVersion) else {
            throw ManifestError("the manifest has version \(version), and only version \(Manifest.currentVersion) is understood")
        }
        do {
            self = try CanonicalDecoder.decode(Manifest.self, from: document)
        } catch {
            throw ManifestError("the manifest lacks something or has a wrong value \(error)")
        }
        // Numbers and sizes that arithmetic may be done with: JSON's whole numbers.
        guard
            [sequence, Int64(facts.envelope.plainBytes), Int64(facts.envelope.storedBytes)].allSatisfy({
                (0...1 << 53).contains($0)
            })
        else {
            throw ManifestError("the manifest of \(order.id) has a number or a size that cannot be")
        }
        guard try Manifest.canonical(self) == bytes else {
            throw ManifestError("the manifest of \(order.id) has keys or a form that were not written here")
        }
        if let authenticate {
            let (known, rest) = ([authenticate] + former, try authenticatedBytes())
            guard known.contains(where: { Manifest.equal($0(rest), mac) }) else {
                guard known.contains(where: { Manifest.keyID(by: $0) == keyID }) else {
                    let key = keyID.map { "the key \($0)" } ?? "a key that it does not name"
                    throw ManifestError(
                        "the manifest of \(order.id) was sealed with \(key), which is not at hand, so it is not believed",
                        isForeign: true)
                }
                throw ManifestError("the manifest of \(order.id) does not bear the right authentication code")
            }
        }
    }

    /// Whether this one follows another directly, whose stored bytes have a digest.
    public func follows(_ earlier: Manifest, digest: String) -> Bool {
        sequence == earlier.sequence + 1 && previous == digest && order.target == earlier.order.target
            && copy.destination == earlier.copy.destination
    }

    private func authenticatedBytes() throws(ManifestError) -> [UInt8] {
        var rest = self
        rest.mac = ""
        return try Manifest.canonical(rest)
    }

    private static func canonical(_ manifest: Manifest) throws(ManifestError) -> [UInt8] {
        do {
            return try CanonicalEncoder.bytes(of: manifest)
        } catch {
            throw ManifestError("the manifest of \(manifest.order.id) cannot be written \(error)")
        }
    }

    /// Compares every character, so that the time taken tells nothing.
    static func equal(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count, left.count == 64 else { return false }
        return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// Why a manifest cannot be written or believed.
public struct ManifestError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong; lower case.
    public var description: String
    /// Whether all that is wrong may be that another key sealed it: then nothing says that anything was changed.
    public var isForeign: Bool

    /// An error.
    public init(_ description: String, isForeign: Bool = false) {
        self.description = description
        self.isForeign = isForeign
    }
}
