import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

/// A catalogue that fails around the moment in which a backup becomes available.
@Suite(.serialized) struct CatalogueFaultTests {
    @Test(arguments: UncertainCatalogue.Fault.allCases)
    fileprivate func anAvailableBackupKeepsItsObjectsWhateverTheCatalogueAnswers(fault: UncertainCatalogue.Fault) async throws {
        let stand = try await FaultStand()
        defer { stand.scene.end() }
        let scene = stand.scene
        let catalogue = UncertainCatalogue(inner: scene.catalogue, fault: fault)
        let pipeline = BackupPipeline(scene.settings, catalogue: catalogue, holder: BackupScene.holder, now: BackupScene.now)
        do throws(BackupRunFailure) {
            let made = try await pipeline.run(stand.source, BackupRequest(by: BackupScene.principal)).record
            #expect(fault != .saysNothingAndIsGone && fault != .isFull, "\(fault)")
            #expect(made.state == .available && made.copies.map(\.state) == [.confirmed])
        } catch {
            #expect(fault == .saysNothingAndIsGone || fault == .isFull, "\(fault): \(error)")
        }
        let record = try #require(try await scene.catalogue.state().records.last)
        let read = try await scene.folder(scene.store).head(try scene.settings.layout.key(of: record.order), version: nil)
        #expect((read != nil) == record.state.isRestorable || record.state == .running, "\(fault): \(record.state)")
        #expect(record.state == (fault == .isFull ? .running : .available))
        // What was left of a run that was not agreed to goes with the next one.
        _ = try await scene.backUp(stand.source)
        #expect(scene.files(scene.store).count == (fault == .isFull ? 5 : 7), "\(scene.files(scene.store))")
    }
}

/// Does what a fault says from the moment on in which a backup is told of.
private struct UncertainCatalogue: CatalogueStore {
    enum Fault: CaseIterable, Sendable {
        /// The events are taken, and the answer to them is lost.
        case losesTheAnswer
        /// The events are taken and the answer is lost, and nothing is answered after it.
        case saysNothingAndIsGone
        /// The events are taken, and no reading is answered after it.
        case cannotBeReadAfterwards
        /// Nothing more is taken.
        case isFull
    }

    let inner: MemoryCatalogue
    let fault: Fault
    let isTold = Switch()

    func append(_ lines: [CatalogueLine], under lease: TargetLease?) async throws(CatalogueStoreError) -> Int64 {
        let lost = CatalogueStoreError.unavailable(Failure(.unknown, "the line to the catalogue was cut"))
        let isTelling = lines.contains { line in
            if case .event(let event) = line, case .stored = event.change { return true }
            return false
        }
        if isTold.isOn, fault == .saysNothingAndIsGone || fault == .isFull { throw lost }
        guard isTelling else { return try await inner.append(lines, under: lease) }
        isTold.set(true)
        if fault == .isFull { throw lost }
        let number = try await inner.append(lines, under: lease)
        if fault == .cannotBeReadAfterwards { return number }
        throw lost
    }

    func state() async throws(CatalogueStoreError) -> CatalogueState {
        if isTold.isOn, fault == .saysNothingAndIsGone || fault == .cannotBeReadAfterwards {
            throw .unavailable(Failure(.transient, "the catalogue does not answer"))
        }
        return try await inner.state()
    }

    func entries(after sequence: Int64, limit: Int) async throws(CatalogueStoreError) -> [CatalogueEntry] {
        try await inner.entries(after: sequence, limit: limit)
    }
    func takeLease(_ request: LeaseRequest) async throws(CatalogueStoreError) -> TargetLease {
        try await inner.takeLease(request)
    }
    func renewLease(
        _ lease: TargetLease, at now: Instant, for duration: Duration
    ) async throws(CatalogueStoreError) -> TargetLease { try await inner.renewLease(lease, at: now, for: duration) }
    func releaseLease(_ lease: TargetLease) async throws(CatalogueStoreError) { try await inner.releaseLease(lease) }
    func leases() async throws(CatalogueStoreError) -> [TargetLease] { try await inner.leases() }
    func addJob(_ job: BackupJob) async throws(CatalogueStoreError) { try await inner.addJob(job) }
    func changeJob(_ id: BackupID, _ change: JobChange, at now: Instant) async throws(CatalogueStoreError) -> BackupJob {
        try await inner.changeJob(id, change, at: now)
    }
    func claimJob(for worker: LeaseHolder, at now: Instant) async throws(CatalogueStoreError) -> BackupJob? {
        try await inner.claimJob(for: worker, at: now)
    }
    func reapJobs(at now: Instant, patience: Duration) async throws(CatalogueStoreError) -> [BackupJob] {
        try await inner.reapJobs(at: now, patience: patience)
    }
    func jobs() async throws(CatalogueStoreError) -> [BackupJob] { try await inner.jobs() }
    func close() async {}
}
