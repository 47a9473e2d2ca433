internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel

/// Puts manifests beside objects, each bound to the one before, and moves the pointer to the newest.
struct ManifestStore: Sendable {
    private let settings: PipelineSettings
    private let seal: ManifestSeal

    init(_ settings: PipelineSettings) {
        self.settings = settings
        seal = ManifestSeal(settings.manifestKey)
    }

    /// Puts the manifest of a copy beside it and reads it back.
    func put(
        _ order: BackupOrder, _ facts: BackupFacts, _ copy: BackupCopy, at place: BackupPlace, _ state: CatalogueState
    ) async throws(Failure) {
        let (sequence, previous) = try await last(at: place, state)
        let bytes: [UInt8]
        do throws(ManifestError) {
            bytes = try Manifest(order: order, facts: facts, copy: copy, sequence: sequence + 1, previous: previous)
                .sealed(by: seal.code).bytes()
        } catch { throw Failure(.invalid, error.description) }
        guard let key = Manifest.key(beside: copy.key) else {
            throw Failure(.invalid, "the key \(copy.key) leaves no room for its manifest's")
        }
        let path = "\(settings.targetFolder)/\(order.id).\(try randomName()).manifest"
        try writeFile(path, bytes)
        defer { removeFile(path) }
        let sha256 = try digest(of: bytes)
        let object = try await place.destination.put(
            Upload(file: path, key: key, size: Int64(bytes.count), sha256: sha256, lock: copy.lock, isEncrypted: true))
        _ = try await place.destination.confirm(object, sha256: sha256, lock: copy.lock)
    }

    /// Moves the pointer to the newest backup.
    func point(at copy: BackupCopy, _ order: BackupOrder, at place: BackupPlace) async throws(Failure) {
        guard let key = Manifest.key(beside: copy.key),
            let bytes = try await place.destination.read(key, limit: ManifestStore.limit)
        else { throw Failure(.invalid, "there is no manifest beside \(copy.reference)") }
        // The pointer is the manifest itself: it says what is newest, and bears the same authentication code.
        _ = try await place.destination.replace(try ObjectLayout.latest(order.target, order.kind), with: bytes)
    }

    /// The number and digest of the last manifest in the chain of this target and destination.
    private func last(at place: BackupPlace, _ state: CatalogueState) async throws(Failure) -> (Int64, String) {
        let copies = state.records.filter { $0.order.target == "\(settings.target)" }.compactMap { $0.copy(at: place.name) }
            .filter { $0.state != .deleted }
        for copy in copies.reversed() {
            guard let key = Manifest.key(beside: copy.key),
                let bytes = try await place.destination.read(key, limit: ManifestStore.limit)
            else { continue }
            let sha256 = try digest(of: bytes)
            do throws(ManifestError) {
                return (try Manifest(reading: bytes, authenticate: seal.code).sequence, sha256)
            } catch {
                // One that was changed is no link; comparing the catalogue with the destination names it.
                continue
            }
        }
        return (0, Manifest.genesis)
    }

    /// The largest manifest that is read, in bytes: row counts of many tables take room.
    static let limit = 16 << 20
}
