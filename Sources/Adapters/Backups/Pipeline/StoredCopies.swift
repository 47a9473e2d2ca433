internal import SerinCatalogue
public import SerinModel

extension BackupPipeline {
    /// A copy that turned out not to be what the catalogue says.
    public struct BadCopy: Sendable, Hashable {
        /// The destination's name in the plan.
        public var destination: String
        /// What is wrong with it.
        public var failure: Failure
    }

    /// Reads those copies of a backup back of which only is known that they were written: imported ones, and those of a run that ended
    /// between. Each is told to the catalogue by itself, good or bad; one good copy is enough for the backup.
    ///
    /// - Parameter rightPlace: The destination of which somebody says that it is the one that it was.
    /// - Returns: The bad ones.
    /// - Throws: When no copy is usable and one could not be read, which says nothing about it.
    public func confirmStored(
        _ id: BackupID, rightPlace: String? = nil, by principal: Principal
    ) async throws(Failure) -> [BadCopy] {
        let state = try await state()
        guard let record = state[id], let facts = record.facts else { return [] }
        var bad: [BadCopy] = []
        var unread: Failure?
        for copy in record.copies where copy.state == .stored {
            guard let place = settings.places.first(where: { $0.name == copy.destination }) else { continue }
            let change: CatalogueEvent.Change
            do throws(Failure) {
                let known = StoredObject(key: copy.key, size: Int64(facts.envelope.storedBytes), version: copy.versionID)
                let found = try await place.destination.confirm(known, sha256: facts.envelope.storedSHA256)
                change = .confirmed(
                    destination: copy.destination,
                    CopyEvidence(size: found.size, sha256: found.sha256 ?? "", versionID: copy.versionID, lock: found.lock))
            } catch {
                guard error.kind == .invalid else {
                    unread = unread ?? error
                    continue
                }
                do throws(Failure) {
                    if place.name != rightPlace, try await place.destination.head(copy.key, version: copy.versionID) == nil {
                        try await place.expectSigns(of: record, in: state)
                    }
                } catch {
                    unread = unread ?? error
                    continue
                }
                bad.append(BadCopy(destination: copy.destination, failure: error))
                change = .quarantined(destination: copy.destination, error)
            }
            try await append([CatalogueEvent(backup: id, at: now(), by: principal, change)], under: nil)
        }
        if let unread, try await self.state()[id]?.usableCopies.isEmpty != false { throw unread }
        return bad
    }
}
