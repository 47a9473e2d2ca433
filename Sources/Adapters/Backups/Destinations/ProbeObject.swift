internal import SerinCatalogue
internal import SerinModel

/// The small object by which a place is tried that keeps objects. Each try has one of its own, so that two machines do not disturb each
/// other, and takes it away again.
struct ProbeObject {
    /// What the keys of all begin with.
    static let prefix = "serin-probe"
    /// One of this age is no try under way: whoever wrote it was killed.
    private static let age = Duration.hours(1)
    /// So many that were left are removed at once, so that no try takes long.
    private static let most = 20

    let key: ObjectKey
    let bytes: [UInt8]
    private let now: Instant

    init(at now: Instant) throws(Failure) {
        guard let key = ObjectKey("\(Self.prefix)-\(try randomName())") else { throw Failure(.invalid, "no key to probe with") }
        self.key = key
        self.now = now
        bytes = Array("written to see whether backups can be stored here, at \(now)\n".utf8)
    }

    /// Takes it away, and those that were left. Who may not delete, or must not, leaves them.
    func remove(_ stored: StoredObject, from place: some BackupDestination) async {
        do throws(Failure) {
            try await place.delete(key, version: stored.version)
            let left = try await place.list(prefix: Self.prefix, limit: 100_000).objects.filter { object in
                object.modified.map { now - $0 > Self.age } ?? false
            }
            for object in left.prefix(Self.most) { try await place.delete(object.key, version: nil) }
        } catch {
            // The next try looks again.
            return
        }
    }
}
