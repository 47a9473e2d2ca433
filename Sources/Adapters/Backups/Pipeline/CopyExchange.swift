internal import SerinCatalogue
internal import SerinModel

/// Puts one object to a destination and proves that it is there.
struct CopyExchange: Sendable {
    private let settings: PipelineSettings
    private let now: @Sendable () -> Instant

    init(_ settings: PipelineSettings, _ now: @escaping @Sendable () -> Instant) {
        self.settings = settings
        self.now = now
    }

    /// Puts a file under a key.
    func put(
        _ path: String, _ key: ObjectKey, _ facts: BackupFacts, _ order: BackupOrder, at place: BackupPlace
    ) async throws(Failure) -> (copy: BackupCopy, object: StoredObject) {
        // Destinations keep whole seconds.
        let until = place.lock.map {
            Instant(millisecondsSince1970: (now() + $0.length).millisecondsSince1970 / 1000 * 1000 + 1000)
        }
        let lock = place.lock.flatMap { lock in until.map { ObjectLock(mode: lock.mode, until: $0) } }
        let object = try await place.destination.put(
            Upload(
                file: path, key: key, size: Int64(facts.envelope.storedBytes), sha256: facts.envelope.storedSHA256,
                metadata: ["backup": "\(order.id)", "kind": order.kind.rawValue], lock: lock,
                isEncrypted: facts.envelope.profile != .none))
        guard object.key == key, object.size == Int64(facts.envelope.storedBytes) else {
            throw Failure(
                .invalid,
                "\(place.name) says it stored \(object.size) bytes as \(object.key), where "
                    + "\(facts.envelope.storedBytes) were given as \(key)")
        }
        return (
            BackupCopy(destination: place.name, key: key, versionID: object.version, lock: object.lock ?? lock, storedAt: now()),
            object
        )
    }

    /// Reads it back completely.
    func confirm(
        _ object: StoredObject, _ copy: BackupCopy, _ facts: BackupFacts, at place: BackupPlace
    ) async throws(Failure) -> CopyEvidence {
        let found = try await place.destination.confirm(object, sha256: facts.envelope.storedSHA256, lock: copy.lock)
        guard let sha256 = found.sha256 else { throw Failure(.invalid, "\(copy.reference) was read without a digest") }
        return CopyEvidence(size: found.size, sha256: sha256, versionID: copy.versionID, lock: found.lock)
    }

    /// Removes a version of an object; one that cannot be removed is found by comparing the catalogue with the destination.
    func remove(_ key: ObjectKey, _ version: String?, at place: BackupPlace) async {
        try? await place.destination.delete(key, version: version)
    }

    /// Removes whatever an upload of this key left: the object, its manifest, unfinished parts.
    ///
    /// - Returns: Whether the destination answered; if it did not, something may be left, which the next run tries again.
    @discardableResult func removeEverything(of key: ObjectKey, at place: BackupPlace) async -> Bool {
        let keys = [key, Manifest.key(beside: key)].compactMap { $0 }
        do throws(Failure) {
            for key in keys {
                if let object = try await place.destination.head(key, version: nil) {
                    try await place.destination.delete(key, version: object.version)
                }
            }
            for upload in try await place.destination.pending()
            where upload.key == nil || keys.contains(where: { $0 == upload.key }) {
                // One that is seen to be under way is refused, and is not ours.
                do throws(Failure) { try await place.destination.abort(upload) } catch  where error.kind == .conflict {}
            }
            return true
        } catch { return false }
    }
}
