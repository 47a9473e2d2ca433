public import SerinCatalogue
public import SerinModel
public import SerinRecords

/// The catalogue's reference: in memory, with the same chain and the same rules as a durable one.
///
/// An actor, because it waits for nothing: every method runs to its end at once.
public actor MemoryCatalogue: CatalogueStore {
    /// Whether a holder lives; nil when that cannot be seen.
    public typealias Liveness = @Sendable (LeaseHolder) -> Bool?

    private var log: CatalogueLog
    private var journal: [Entry] = []
    private var held: [String: TargetLease] = [:]
    private var work: [BackupID: BackupJob] = [:]
    private var lastToken: Int64 = 0
    private let isAlive: Liveness

    /// An empty catalogue.
    public init(digest: @escaping Digest, isAlive: @escaping Liveness = { _ in nil }) {
        log = CatalogueLog(chain: Chain(digest: digest))
        self.isAlive = isAlive
    }

    /// Appends all lines or none.
    @discardableResult
    public func append(_ lines: [CatalogueLine], under lease: TargetLease?) async throws(CatalogueStoreError) -> Int64 {
        if let lease { try check(lease) }
        return try write(lines)
    }

    private func write(_ lines: [CatalogueLine]) throws(CatalogueStoreError) -> Int64 {
        do {
            let next = try log.appending(lines)
            journal += next.entries
            log = next.log
        } catch { throw .refused(error) }
        return log.last?.sequence ?? 0
    }

    private func check(_ lease: TargetLease) throws(CatalogueStoreError) {
        guard held[lease.target]?.token == lease.token else { throw .leaseLost(target: lease.target) }
    }

    /// Every backup that ever was.
    public func state() async throws(CatalogueStoreError) -> CatalogueState { log.state }

    /// Entries of the log after a number.
    public func entries(after sequence: Int64, limit: Int) async throws(CatalogueStoreError) -> [CatalogueEntry] {
        var entries: [CatalogueEntry] = []
        for entry in journal.filter({ $0.sequence > sequence }).prefix(max(0, limit)) {
            do {
                entries.append(CatalogueEntry(sequence: entry.sequence, line: try CatalogueLog.line(of: entry)))
            } catch { throw .damaged(Failure(.invalid, "\(error)")) }
        }
        return entries
    }

    /// Takes the lease of a target.
    public func takeLease(_ request: LeaseRequest) async throws(CatalogueStoreError) -> TargetLease {
        if let existing = held[request.target] {
            guard let reason = existing.reasonForTakeover(at: request.at, isAlive: isAlive(existing.holder)) else {
                throw .held(existing)
            }
            let note = existing.takeover(by: request.by, holder: request.holder, because: reason, at: request.at)
            _ = try write([.note(note)])
        }
        lastToken += 1
        let lease = request.lease(token: lastToken)
        held[request.target] = lease
        return lease
    }

    /// Prolongs a lease.
    public func renewLease(
        _ lease: TargetLease, at now: Instant, for duration: Duration
    ) async throws(CatalogueStoreError) -> TargetLease {
        try check(lease)
        let renewed = lease.renewed(at: now, for: duration)
        held[lease.target] = renewed
        return renewed
    }

    /// Gives a lease back.
    public func releaseLease(_ lease: TargetLease) async throws(CatalogueStoreError) {
        if held[lease.target]?.token == lease.token { held[lease.target] = nil }
    }

    /// All leases, by target.
    public func leases() async throws(CatalogueStoreError) -> [TargetLease] { held.values.sorted { $0.target < $1.target } }

    /// Adds a job.
    public func addJob(_ job: BackupJob) async throws(CatalogueStoreError) {
        guard work[job.id] == nil else { throw .refused(CatalogueRefusal("job \(job.id) is known already")) }
        work[job.id] = job
    }

    /// Changes a job.
    @discardableResult
    public func changeJob(_ id: BackupID, _ change: JobChange, at now: Instant) async throws(CatalogueStoreError) -> BackupJob {
        guard var job = work[id] else { throw .refused(CatalogueRefusal("no job \(id) is known")) }
        do { try job.apply(change, at: now) } catch { throw .refused(error) }
        work[id] = job
        return job
    }

    /// Gives a worker the oldest job that waits.
    public func claimJob(for worker: LeaseHolder, at now: Instant) async throws(CatalogueStoreError) -> BackupJob? {
        guard let job = try await jobs().last(where: { $0.state == .pending }) else { return nil }
        return try await changeJob(job.id, .started(worker), at: now)
    }

    /// Marks jobs as stuck.
    public func reapJobs(at now: Instant, patience: Duration) async throws(CatalogueStoreError) -> [BackupJob] {
        var stuck: [BackupJob] = []
        for job in try await jobs() {
            if let reason = job.reasonForStuck(at: now, patience: patience, isAlive: job.worker.flatMap(isAlive)) {
                stuck.append(try await changeJob(job.id, .stuck(reason), at: now))
            }
        }
        return stuck
    }

    /// All jobs, the newest first.
    public func jobs() async throws(CatalogueStoreError) -> [BackupJob] {
        work.values.sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }
    }

    /// Does nothing.
    public func close() async {}
}
