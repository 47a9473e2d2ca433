internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel

/// Puts manifests beside objects, each bound to the one before, and moves the pointer to the newest.
struct ManifestStore: Sendable {
    private let settings: PipelineSettings
    private let seal: ManifestSeal

    init(_ settings: PipelineSettings) {
        self.settings = settings
        seal = settings.seal
    }

    /// Puts the manifest of a copy beside it and reads it back.
    ///
    /// - Returns: The copy with its manifest's number.
    func put(
        _ order: BackupOrder, _ facts: BackupFacts, _ copy: BackupCopy, at place: BackupPlace, _ state: CatalogueState
    ) async throws(Failure) -> BackupCopy {
        let (number, previous) = try await last(at: place, state)
        var numbered = copy
        numbered.sequence = number + 1
        try await put(order, facts, copy, number: number + 1, previous, lock: copy.lock, at: place)
        return numbered
    }

    /// Puts the manifest of a copy that is good and has lost it beside the copy again, as it was.
    func rewrite(
        _ record: BackupRecord, _ facts: BackupFacts, _ copy: BackupCopy, at place: BackupPlace, _ state: CatalogueState,
        now: Instant
    ) async throws(Failure) {
        try makePrivateFolder(settings.targetFolder)
        let (number, previous) = try await last(at: place, state, before: copy.sequence)
        // A lock that is over cannot be asked for again.
        let lock = copy.lock.flatMap { $0.until > now ? $0 : nil }
        try await put(record.order, facts, copy, number: copy.sequence ?? number + 1, previous, lock: lock, at: place)
    }

    private func put(
        _ order: BackupOrder, _ facts: BackupFacts, _ copy: BackupCopy, number: Int64, _ previous: String, lock: ObjectLock?,
        at place: BackupPlace
    ) async throws(Failure) {
        let bytes: [UInt8]
        do throws(ManifestError) {
            bytes = try Manifest(order: order, facts: facts, copy: copy, sequence: number, previous: previous)
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
            Upload(file: path, key: key, size: Int64(bytes.count), sha256: sha256, lock: lock, isEncrypted: true))
        _ = try await place.destination.confirm(object, sha256: sha256, lock: lock)
    }

    /// Moves the pointer to the newest backup.
    func point(at copy: BackupCopy, _ order: BackupOrder, at place: BackupPlace) async throws(Failure) {
        guard let key = Manifest.key(beside: copy.key),
            let bytes = try await place.destination.read(key, limit: ManifestStore.limit)
        else { throw Failure(.invalid, "there is no manifest beside \(copy.reference)") }
        // The pointer is the manifest itself: it says what is newest, and bears the same authentication code.
        _ = try await place.destination.replace(try ObjectLayout.latest(order.target, order.kind), with: bytes)
    }

    /// The number of the last manifest in the chain of this target and destination, and the digest of the last one that is there. No
    /// number is given twice, also where its manifest is gone.
    ///
    /// - Parameter limit: Only manifests with smaller numbers.
    private func last(
        at place: BackupPlace, _ state: CatalogueState, before limit: Int64? = nil
    ) async throws(Failure) -> (Int64, String) {
        let all = state.records.filter { $0.order.target == "\(settings.target)" }.compactMap { $0.copy(at: place.name) }
        let known = all.compactMap(\.sequence) + all.flatMap { $0.formers ?? [] }.compactMap(\.sequence)
        let highest = known.filter { number in limit.map { number < $0 } ?? true }.max() ?? 0
        // Older catalogues do not know the numbers; there the last one is the copy that became known last.
        let copies = all.enumerated().filter { _, copy in
            copy.state != .deleted && limit.map { limit in (copy.sequence ?? 0) < limit } ?? true
        }.sorted { ($1.element.sequence ?? 0, $1.offset) < ($0.element.sequence ?? 0, $0.offset) }
        for (_, copy) in copies {
            guard let key = Manifest.key(beside: copy.key),
                let bytes = try await place.destination.read(key, limit: ManifestStore.limit)
            else { continue }
            let sha256 = try digest(of: bytes)
            do throws(ManifestError) {
                return (max(highest, try seal.read(bytes).sequence), sha256)
            } catch {
                // One that was changed is no link; comparing the catalogue with the destination names it.
                continue
            }
        }
        return (highest, Manifest.genesis)
    }

    /// The largest manifest that is read, in bytes: row counts of many tables take room.
    static let limit = 16 << 20
}
