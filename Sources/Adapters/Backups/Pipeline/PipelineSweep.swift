internal import FoundationEssentials
internal import SerinCatalogue
internal import SerinModel
internal import SerinProcesses

/// Removes what runs that were killed left behind. Under the target's lease every unfinished thing of it is one of those.
struct PipelineSweep: Sendable {
    private let pipeline: BackupPipeline
    private let lease: TargetLease

    init(_ pipeline: BackupPipeline, _ lease: TargetLease) {
        self.pipeline = pipeline
        self.lease = lease
    }

    func run() async throws(Failure) {
        // Programs that did not notice the end of their starter still write, and hold sessions at the server.
        _ = await ProgramLeftovers.endOrphans()
        TemporaryFolder.sweep(pipeline.settings.workFolder)
        TemporaryFile.sweep()
        try emptyFolder()
        var silent: Set<String> = []
        for record in try await leftovers() {
            await remove(record, &silent)
            if record.state == .running { try await close(record) }
        }
        let settings = pipeline.settings
        let strays = StrayUploads(
            of: "\(settings.target)", in: try await pipeline.state(), layout: settings.layout, at: pipeline.now())
        for place in settings.places where !silent.contains(place.name) { await strays.remove(at: place) }
    }

    private func emptyFolder() throws(Failure) {
        let folder = pipeline.settings.targetFolder
        do {
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
            }
        } catch { throw Failure(.denied, "cannot empty \(folder), where unfinished work is: \(error)") }
    }

    /// What may have left something at a destination: runs that were killed, and those that failed since the last good one, as a
    /// destination that failed them may not have answered the removal either.
    private func leftovers() async throws(Failure) -> [BackupRecord] {
        let own = try await pipeline.state().records.filter { $0.order.target == "\(pipeline.settings.target)" }
        let sinceGood = own.reversed().prefix { !$0.state.isRestorable }.filter { $0.state == .failed }
        return own.filter { $0.state == .running } + sinceGood.prefix(PipelineSweep.most)
    }

    /// So many failed runs are looked after at most.
    private static let most = 20

    /// Nothing of it was ever available, so nothing of it is kept.
    private func remove(_ record: BackupRecord, _ silent: inout Set<String>) async {
        // One whose plan made other keys is found by comparing the catalogue with the destination.
        guard let key = try? pipeline.settings.layout.key(of: record.order) else { return }
        let exchange = CopyExchange(pipeline.settings, pipeline.now)
        for place in pipeline.settings.places where !silent.contains(place.name) {
            // Each question to one that does not answer takes its time, and the preflight asks it again.
            if await !exchange.removeEverything(of: key, at: place) { silent.insert(place.name) }
        }
    }

    private func close(_ record: BackupRecord) async throws(Failure) {
        try await pipeline.append(
            [
                CatalogueEvent(
                    backup: record.id, at: pipeline.now(), by: lease.by,
                    .failed(.runWasCutOff))
            ], under: lease)
    }
}
