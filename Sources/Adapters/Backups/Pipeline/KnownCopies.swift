internal import SerinCatalogue
internal import SerinModel

extension BackupPlace {
    /// Refuses a place that has none of the newest copies that are known there: it is another one, such as the folder under a disk that
    /// is not mounted.
    func expectKnownCopies(of target: String, in state: CatalogueState) async throws(Failure) {
        let known = state.records.filter { $0.order.target == target }.compactMap { $0.copy(at: name) }
            .filter(\.state.isUsable).suffix(3)
        guard let newest = known.last else { return }
        for copy in known where try await destination.head(copy.key, version: copy.versionID) != nil { return }
        throw Failure(
            .denied, "\(destination.name) has none of the newest copies that are known there, such as \(newest.key)",
            hint:
                "is its disk mounted, and is it the right place? if they are lost for good, serin backup verify PLAN BACKUP --from "
                + "\(name) tells the catalogue so for each of them")
    }
}
