internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinCrypto
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinProcesses
internal import SerinRollouts
internal import SerinSQLite

/// Exports and restores that were asked for over the API: queued in the catalogue, and done one after the other by the plans that this
/// process was given. What an ended process has left running shows as stuck; what still waited is done by the next one.
actor BackupQueue: BackupDesk {
    /// Nothing heard of a job for so long, and it counts as stuck.
    private static let patience = Duration.minutes(5)
    private static let heartbeat = Duration.seconds(10)

    /// How far the receiving of a write-ahead log was when last looked at.
    private struct LogLook: Sendable {
        var receivedAt: Instant?
        /// How many bytes the server has that were not received; nil while nobody could tell.
        var lag: Int64?
    }

    private let session: Session
    private var plans: [LoadedBackupPlan]
    private let clock = SystemClock()
    private var store: (any CatalogueStore)?
    private var logs: [ServiceName: LogLook] = [:]
    private var reads = BackupReads()
    private let arrivals: AsyncStream<Void>
    private let arrive: AsyncStream<Void>.Continuation

    /// A queue for plans. The catalogue is opened when it is first needed, so that a broken one keeps no rollout from being halted.
    init(_ session: Session, plans: [LoadedBackupPlan]) {
        self.session = session
        self.plans = plans
        (arrivals, arrive) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes orders for these plans from now on.
    func use(_ plans: [LoadedBackupPlan]) {
        self.plans = plans
        arrive.yield()
    }

    private func catalogue() async throws(OperationError) -> any CatalogueStore {
        if let store { return store }
        let opened = try await session.assembly.backups.openCatalogue(session.state)
        // Another request may have opened it meanwhile.
        if let store {
            await opened.close()
            return store
        }
        store = opened
        return opened
    }

    func state() async throws(OperationError) -> CatalogueState {
        let store = try await catalogue()
        do throws(CatalogueStoreError) { return try await store.state() } catch { throw .unavailable(error.description) }
    }

    func jobs() async throws(OperationError) -> [BackupJob] {
        let store = try await catalogue()
        do throws(CatalogueStoreError) { return try await store.jobs() } catch { throw .unavailable(error.description) }
    }

    /// The metrics of the plans' backups.
    func metrics() async -> String {
        guard !plans.isEmpty else { return "" }
        // Why it cannot be read is said by whatever is asked of backups; here it matters that somebody is called.
        guard let state = try? await self.state() else { return BackupMetrics(isCatalogueReadable: false).text }
        var metrics = BackupMetrics(isCatalogueReadable: true)
        // As above.
        let reads = try? await countReads()
        for loaded in plans {
            metrics.add(loaded.plan, state, reads: reads, at: clock.wall)
            // The server is asked once a minute, so that whoever scrapes waits for none.
            guard loaded.plan.source.receivesLog, let log = logs[loaded.plan.target], let store else { continue }
            // Notes that cannot be read say as little as none: it counts as not followed.
            let notes = try? await store.notes(BackupMetrics.logTopic, of: loaded.plan.target.description)
            metrics.addLog(loaded.plan, words: notes?.last?.text, receivedAt: log.receivedAt, lag: log.lag)
        }
        return metrics.text
    }

    /// Counts on from where it was: the log only grows.
    private func countReads() async throws(OperationError) -> BackupReads {
        let store = try await catalogue()
        do throws(CatalogueStoreError) {
            while true {
                let (before, entries) = (reads.sequence, try await store.entries(after: reads.sequence, limit: 1000))
                guard !entries.isEmpty else { return reads }
                // Another scrape may have counted them meanwhile.
                if before == reads.sequence { reads.take(entries) }
            }
        } catch { throw .unavailable(error.description) }
    }

    /// Looks how far the receiving of each plan's write-ahead log is behind its server.
    func lookAtLogs() async {
        let following = plans.filter(\.plan.source.receivesLog)
        for target in logs.keys where !following.contains(where: { $0.plan.target == target }) { logs[target] = nil }
        for loaded in following { logs[loaded.plan.target] = await look(at: loaded) }
    }

    private func look(at loaded: LoadedBackupPlan) async -> LogLook {
        guard case .postgresPhysical(let source) = loaded.plan.source, let folder = source.log.folder else { return LogLook() }
        // A folder without a thread to read it is one of which nothing is known.
        let received = try? await onOwnThread { _ throws(Failure) in LogFolder.newest(in: folder) }
        var options = BackupWorkOptions(purpose: "serin daemon", later: { _ in }) { _ in }
        options.makesKey = false
        // A server that does not answer is left out: its own alerts tell of it.
        let lag = try? await session.assembly.backups.open(loaded, session.state, try catalogue(), options).logLag()
        return LogLook(receivedAt: received.flatMap { $0 }, lag: lag.flatMap { $0 })
    }

    func export(_ order: ExportOrder, by principal: Principal) async throws(OperationError) -> BackupJob {
        let plan = try plan(for: order).plan
        try refuse(order, plan)
        return try await add(
            order.isLogs ? JobType.logs : .export, plan.project, plan.target.description, nil, by: principal)
    }

    func restore(_ record: BackupRecord, by principal: Principal) async throws(OperationError) -> BackupJob {
        guard plans.contains(where: { $0.plan.target.description == record.order.target }) else {
            throw .refused(
                Refusal("no plan of \(record.order.target) is loaded here", hint: "serin daemon --backup PLAN loads one"))
        }
        guard record.kind == .logical else {
            throw .refused(
                Refusal(
                    "backup \(record.id) is a \(record.kind.rawValue) one, and only dumps are restored over the API",
                    hint: "serin backup restore restores the others into a folder"))
        }
        guard record.state.isRestorable else {
            throw .refused(Refusal("backup \(record.id) is \(record.state.rawValue) and cannot be restored"))
        }
        return try await add(.restore, record.order.project, record.order.target, record.id, by: principal)
    }

    func approve(
        _ record: BackupRecord, request: String?, reason: String, by principal: Principal
    ) async throws(OperationError) -> ApprovedBackup {
        let approved = try await ChangeApprovals.approve(
            ChangeSubject(record), code: request, reason: reason, by: principal, in: try await catalogue(), at: clock.wall)
        return ApprovedBackup(record.id, approved.code, approved.words, by: principal)
    }

    private func plan(for order: ExportOrder) throws(OperationError) -> LoadedBackupPlan {
        let fitting = plans.filter { loaded in
            let isLogs = if case .logs = loaded.plan.source { true } else { false }
            return loaded.plan.project == order.project && isLogs == order.isLogs
                && (order.target == nil || loaded.plan.target.description == order.target)
        }
        guard let first = fitting.first else {
            throw .refused(
                Refusal(
                    "no plan of project '\(order.project)' is loaded here that \(order.isLogs ? "exports logs" : "makes this")",
                    hint: "serin daemon --backup PLAN loads one"))
        }
        guard fitting.count == 1 else {
            let targets = fitting.map { $0.plan.target.description }.joined(separator: ", ")
            throw .refused(Refusal("project '\(order.project)' has several targets: \(targets)", hint: "name one as 'target'"))
        }
        return first
    }

    /// Refuses what is asked for otherwise than the plan makes it: a backup is what its plan says, or its retention and its drills
    /// would be about something else.
    private func refuse(_ order: ExportOrder, _ plan: BackupPlan) throws(OperationError) {
        var complaints = order.unsupported.map { "'\($0)' is the plan's to say" }
        if case .postgres(let dump) = plan.source, let format = order.format, format != .sql,
            format.rawValue != dump.format.rawValue
        {
            complaints.append("the plan makes dumps of the form \(dump.format.rawValue), not \(format.rawValue)")
        }
        if case .logs(let logs) = plan.source, let format = order.logFormat, logs.format.rawValue != format {
            complaints.append("the plan exports logs as \(logs.format.rawValue), not \(format)")
        }
        if !order.compress, plan.compression.method != .none { complaints.append("the plan compresses") }
        guard let first = complaints.first else { return }
        throw .refused(Refusal(first, hint: "leave it out, or change the plan of \(plan.target)"))
    }

    private enum JobType: String {
        case export = "export_backup"
        case logs = "export_logs"
        case restore = "restore_backup"
    }

    private func add(
        _ type: JobType, _ project: String, _ target: String, _ backup: BackupID?, by principal: Principal
    ) async throws(OperationError) -> BackupJob {
        let store = try await catalogue()
        let random: [UInt8]
        do throws(CryptoError) { random = try randomBytes(10) } catch { throw .unavailable("\(error)") }
        let now = clock.wall
        let job = BackupJob(
            id: BackupID(millisecondsSince1970: now.millisecondsSince1970, random: random), type: type.rawValue,
            project: project, target: target, createdAt: now, createdBy: principal, backup: backup)
        do throws(CatalogueStoreError) { try await store.addJob(job) } catch { throw .unavailable(error.description) }
        arrive.yield()
        return job
    }

    // MARK: work

    /// Does what is queued, until its task is cancelled.
    func run() async {
        arrive.yield()
        let (clock, arrive) = (clock, arrive)
        await withDiscardingTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    await clock.sleep(for: .minutes(1))
                    arrive.yield()
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    await self.lookAtLogs()
                    await clock.sleep(for: .minutes(1))
                }
            }
            for await _ in arrivals where !plans.isEmpty {
                do throws(Failure) { try await workOff() } catch {
                    session.complain("what was asked of backups cannot be done: \(error)")
                }
            }
            group.cancelAll()
        }
        await close()
    }

    private func close() async {
        await store?.close()
        store = nil
    }

    private func workOff() async throws(Failure) {
        let store: any CatalogueStore
        do throws(OperationError) { store = try await catalogue() } catch { throw Failure(.transient, error.description) }
        do throws(CatalogueStoreError) {
            _ = try await store.reapJobs(at: clock.wall, patience: Self.patience)
            while !Task.isCancelled, let job = try await store.claimJob(for: .current(purpose: "serin daemon"), at: clock.wall) {
                let outcome = await perform(job, store)
                let change: JobChange =
                    switch outcome {
                    case .success(let backup): .succeeded(backup)
                    case .failure(let failure): Task.isCancelled ? .cancelled("the daemon stopped") : .failed(failure.description)
                    }
                try await store.changeJob(job.id, change, at: clock.wall)
            }
        } catch { throw error.failure }
    }

    /// Does one job, with a sign of life now and then.
    private func perform(_ job: BackupJob, _ store: any CatalogueStore) async -> Result<BackupID?, Failure> {
        guard let loaded = plans.first(where: { $0.plan.target.description == job.target }),
            let type = JobType(rawValue: job.type)
        else { return .failure(Failure(.invalid, "no plan of \(job.target) is loaded here")) }
        let progress = Locked(JobProgress(stage: type.rawValue, done: 0))
        let afterwork = Afterwork()
        let clock = clock
        let session = session
        let options = BackupWorkOptions(purpose: "serin daemon", later: afterwork.add) { now in progress.withLock { $0 = now } }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    await clock.sleep(for: Self.heartbeat)
                    guard !Task.isCancelled else { return }
                    // The next one says it again.
                    _ = try? await store.changeJob(job.id, .progressed(progress.withLock { $0 }), at: clock.wall)
                }
            }
            let result = await afterwork.beside { () async -> Result<BackupID?, Failure> in
                do throws(Failure) {
                    let work = try await session.assembly.backups.open(loaded, session.state, store, options)
                    return .success(try await Self.perform(job, type, loaded.plan, work, store, at: clock.wall))
                } catch { return .failure(error) }
            }
            group.cancelAll()
            return result
        }
    }

    private static func perform(
        _ job: BackupJob, _ type: JobType, _ plan: BackupPlan, _ work: any BackupWork, _ store: any CatalogueStore,
        at now: Instant
    ) async throws(Failure) -> BackupID? {
        switch type {
        case .export, .logs:
            do throws(BackupRunFailure) {
                return try await work.create(
                    plan.source.defaultKind, BackupRequest(by: job.createdBy, purpose: plan.purpose, label: "api")
                ).record.id
            } catch { throw error.failure }
        case .restore:
            let known: CatalogueState
            do throws(CatalogueStoreError) { known = try await store.state() } catch { throw error.failure }
            guard let record = job.backup.flatMap({ known[$0] }) else {
                throw Failure(.invalid, "the backup is no longer known")
            }
            let permit = RestorePermit(
                backup: record.id, database: try work.liveDatabase(), scope: .beside, by: job.createdBy)
            let note = AuditNote(
                at: now, by: job.createdBy, topic: "restore", target: job.target, backup: record.id,
                text: "\(permit.scope.rawValue) for \(permit.database)")
            do throws(CatalogueStoreError) { try await store.note(note) } catch { throw error.failure }
            let restored = try await within(plan.restore.deadline, "the restore") { () throws(Failure) in
                try await work.restore(record, RestoreWish(), permit: permit)
            }.get()
            guard restored.passed else {
                throw Failure(.invalid, "restored as \(restored.name), and a check of it failed; nothing live was touched")
            }
            return record.id
        }
    }
}
