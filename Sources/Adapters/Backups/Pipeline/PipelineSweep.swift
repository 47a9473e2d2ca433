internal import FoundationEssentials
internal import SerinCatalogue
internal import SerinModel

/// Removes what runs that were killed left behind. Under the target's lease every unfinished thing of it is one of those.
struct PipelineSweep: Sendable {
    private let pipeline: BackupPipeline
    private let lease: TargetLease

    init(_ pipeline: BackupPipeline, _ lease: TargetLease) {
        self.pipeline = pipeline
        self.lease = lease
    }

    func run() async throws(Failure) {
        try emptyFolder()
        let state = try await pipeline.state()
        for record in state.records where record.order.target == "\(pipeline.settings.target)" && record.state == .running {
            try await close(record)
        }
    }

    private func emptyFolder() throws(Failure) {
        let folder = pipeline.settings.targetFolder
        do {
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
            }
        } catch { throw Failure(.denied, "cannot empty \(folder), where unfinished work is: \(error)") }
    }

    /// Nothing of it was ever available, so nothing of it is kept.
    private func close(_ record: BackupRecord) async throws(Failure) {
        let exchange = CopyExchange(pipeline.settings, pipeline.now)
        let key = try pipeline.settings.layout.key(of: record.order)
        for place in pipeline.settings.places { await exchange.removeEverything(of: key, at: place) }
        try await pipeline.append(
            [
                CatalogueEvent(
                    backup: record.id, at: pipeline.now(), by: lease.by,
                    .failed(Failure(.transient, "the run was ended before it was done: its process is gone")))
            ], under: lease)
    }
}
