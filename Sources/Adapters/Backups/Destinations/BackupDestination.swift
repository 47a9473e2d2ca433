public import SerinCatalogue
public import SerinModel
public import SerinPolicies
internal import SerinProcesses

/// A place that keeps objects. Every call has its own deadline; what comes back is what the place says, which proves nothing:
/// `confirm` reads the object.
///
/// Failures are classified: `conflict` when the key holds something else, `denied` when rights or room are missing, `unknown` when a
/// request may have been carried out. Their words hold no secret.
public protocol BackupDestination: Sendable {
    /// What messages and the catalogue call it: `file:///var/backups/checkout`, `s3://bucket/prefix`. Holds no secret.
    var name: String { get }
    /// What it can do.
    var traits: DestinationTraits { get }

    /// Looks whether objects can be stored and how well they are kept. Fails when it cannot be reached or written.
    func probe() async throws(Failure) -> DestinationFacts

    /// Stores a file under a key that holds nothing yet. When the key holds the same bytes already, as after an answer that was lost,
    /// that object is the answer; when it holds others, a `conflict`. What it leaves behind when it fails, `pending` names.
    func put(_ upload: Upload) async throws(Failure) -> StoredObject

    /// What the destination says of an object; nil when there is none.
    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject?

    /// Reads a whole object into a new private file, or only hashes it when there is no path. A file is removed when this fails.
    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject

    /// The objects whose keys begin with a text, by key. Fails when there are more than the limit.
    func list(prefix: String, limit: Int) async throws(Failure) -> Listing

    /// Deletes an object, or the named version of it, and returns when reading confirms that it is gone. Deleting nothing is no failure.
    func delete(_ key: ObjectKey, version: String?) async throws(Failure)

    /// What uploads that never finished left behind, including those under way.
    func pending() async throws(Failure) -> [PendingUpload]

    /// Removes what an upload left behind. A `conflict` when it is seen to be under way.
    func abort(_ upload: PendingUpload) async throws(Failure)

    /// Stores a small object in place of the one that the key holds: for pointers such as `latest` alone.
    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject
}

extension BackupDestination {
    /// Asks again and reads the whole object: its size, its SHA-256, its version and the lock that was wanted.
    ///
    /// - Parameters:
    ///   - stored: What `put` answered.
    ///   - sha256: The digest of the file that was put, in hexadecimal.
    /// - Returns: What the destination says of the object now, with the digest that was read.
    public func confirm(_ stored: StoredObject, sha256: String, lock: ObjectLock? = nil) async throws(Failure) -> StoredObject {
        let what = "\(stored.key) at \(name)"
        guard var found = try await head(stored.key, version: stored.version) else {
            throw Failure(
                .invalid, "cannot confirm \(what): the upload was accepted, but there is no such object",
                hint: "the destination loses what it accepts; do not rely on it")
        }
        guard found.size == stored.size else {
            throw Failure(.invalid, "cannot confirm \(what): \(found.size) bytes long where \(stored.size) were stored")
        }
        if let before = stored.etag, let now = found.etag, before != now {
            throw Failure(.invalid, "cannot confirm \(what): its ETag is \(now) where \(before) was stored")
        }
        if let lock { try checkLock(found, lock) }
        let fetched = try await get(stored.key, version: stored.version, to: nil, limit: stored.size)
        guard fetched.size == stored.size, fetched.sha256 == sha256.lowercased() else {
            throw Failure(
                .invalid,
                "cannot confirm \(what): reading gives \(fetched.size) bytes with SHA-256 \(fetched.sha256), expected \(stored.size) bytes with \(sha256)"
            )
        }
        found.sha256 = fetched.sha256
        return found
    }

    /// Fails unless the destination states a lock that promises what was wanted.
    func checkLock(_ stored: StoredObject, _ wanted: ObjectLock) throws(Failure) {
        if let lock = stored.lock, lock.covers(wanted) { return }
        let found = stored.lock.map { "\($0.mode.rawValue) until \($0.until)" } ?? "none"
        throw Failure(
            .invalid,
            "\(stored.key) at \(name) is not locked: \(wanted.mode.rawValue) until \(wanted.until) was asked for, \(found) found",
            hint: "object lock must be switched on for the bucket, and the identity must be allowed to set it")
    }

    /// Reads a small object into memory; nil when there is none.
    public func read(_ key: ObjectKey, version: String? = nil, limit: Int = 1 << 20) async throws(Failure) -> [UInt8]? {
        guard try await head(key, version: version) != nil else { return nil }
        let path = try TemporaryFile.path()
        defer { removeFile(path) }
        _ = try await get(key, version: version, to: path, limit: Int64(limit))
        return try await onOwnThread { _ throws(Failure) in try readFile(path, limit: limit) }
    }
}
