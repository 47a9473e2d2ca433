internal import SerinDatabase
internal import SerinLocks
internal import SerinModel
internal import SerinProcesses

/// Watches who waits for a migration while a tool works, on a thread and a session of its own, and cancels the tool's statement
/// when too many queue behind it, or when it keeps them waiting for a lock that it does not get itself.
final class BlockingWatch: Sendable {
    private struct State: Sendable {
        var report = BlockingReport()
        var reason: String?
        /// The tool's sessions that were seen, as `ToolSessions` numbers them.
        var seen: Set<String> = []
        var isDone = false
        var hasEnded = false
    }

    /// The rules of one watch.
    struct Rules: Sendable {
        /// How many may wait at once.
        var mostQueued: Int
        /// How long others may wait behind a statement that waits itself.
        var patience: Duration
    }

    private let database: MigrationDatabase
    private let session: String
    private let record: Int64
    private let rules: Rules
    private let stop: StopSignal
    private let progress: @Sendable (IndexProgress) -> Void
    private let state = Locked(State())

    /// How far the build of an index is.
    struct IndexProgress: Sendable, Hashable {
        /// The server's word, such as `building index: scanning table`.
        var phase: String
        var done: Int64
        var total: Int64
    }

    /// - Parameters:
    ///   - session: What the tool's sessions are called.
    ///   - record: The note of the step, where every session is noted that was seen.
    ///   - stop: Ends the tool's sessions when it is raised.
    init(
        _ database: MigrationDatabase, session: String, record: Int64, rules: Rules, stop: StopSignal,
        progress: @escaping @Sendable (IndexProgress) -> Void
    ) {
        self.database = database
        self.session = session
        self.record = record
        self.rules = rules
        self.stop = stop
        self.progress = progress
    }

    /// Begins. Fails when the database cannot be watched.
    func start() throws(Failure) {
        let first = Locked<Result<Void, Failure>?>(nil)
        onNewThread {
            do throws(Failure) {
                let connection = try self.database.connect()
                first.withLock { $0 = .success(()) }
                self.watch(connection)
            } catch {
                first.withLock { $0 = $0 ?? .failure(error) }
            }
            self.state.withLock { $0.hasEnded = true }
        }
        while true {
            if let result = first.withLock({ $0 }) { return try result.get() }
            rest(.milliseconds(2))
        }
    }

    /// Ends, and says what was seen; and why the tool was interrupted, if it was.
    func finish() -> (report: BlockingReport, reason: String?) {
        state.withLock { $0.isDone = true }
        while !state.withLock({ $0.hasEnded }) { rest(.milliseconds(2)) }
        return state.withLock { ($0.report, $0.reason) }
    }

    private func watch(_ first: Connection) {
        var connection: Connection? = first
        var waiting: [String: ContinuousClock.Instant] = [:]
        var last = ContinuousClock.now
        var looks = 0
        while !state.withLock({ $0.isDone }) {
            do throws(Failure) {
                let session: Connection
                if let connection { session = connection } else { session = try database.connect(patience: .seconds(1)) }
                connection = session
                let now = ContinuousClock.now
                try look(session, &waiting, since: last, now)
                last = now
                if looks % 10 == 0 { try tellProgress(session) }
                looks += 1
                if stop.isRaised { _ = try session.rows(each("pg_terminate_backend")) }
            } catch {
                // A watch that lost its session gets another; the server may be restarting.
                connection = nil
                last = ContinuousClock.now
            }
            rest(.milliseconds(50))
        }
    }

    private func look(
        _ session: Connection, _ waiting: inout [String: ContinuousClock.Instant], since last: ContinuousClock.Instant,
        _ now: ContinuousClock.Instant
    ) throws(Failure) {
        let seen = try session.rows("SELECT \(ToolSessions.number) FROM pg_stat_activity WHERE \(sessions.condition)")
            .compactMap { $0.first ?? nil }
        let known = state.withLock { $0.seen }
        if !known.isSuperset(of: seen) {
            try StepRecords(session).note(known.union(seen), of: record)
            state.withLock { $0.seen.formUnion(seen) }
        }
        let rows = try session.rows(
            """
            WITH own AS (\(own)), waiting AS (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted)
            SELECT w.pid::text, w.pid = ANY (own.pids) FROM waiting w, own
            WHERE w.pid = ANY (own.pids) OR pg_blocking_pids(w.pid) && own.pids
            """)
        let isWaitingItself = rows.contains { $0.last == "t" }
        let others = rows.filter { $0.last != "t" }.compactMap { $0.first ?? nil }
        waiting = waiting.filter { others.contains($0.key) }
        for pid in others where waiting[pid] == nil { waiting[pid] = now }
        let longest = waiting.values.map { $0.milliseconds(to: now) }.max() ?? 0
        state.withLock { state in
            if !others.isEmpty { state.report.total = state.report.total + .milliseconds(last.milliseconds(to: now)) }
            state.report.longest = max(state.report.longest, .milliseconds(longest))
            state.report.mostQueued = max(state.report.mostQueued, others.count)
        }
        var reason: String?
        if others.count > rules.mostQueued {
            reason = "\(others.count) sessions waited for it, more than \(rules.mostQueued)"
        } else if isWaitingItself, longest > rules.patience.milliseconds {
            reason = "others waited \(Duration.milliseconds(longest)) behind it while it waited for a lock itself"
        }
        guard let reason else { return }
        state.withLock { $0.reason = $0.reason ?? reason }
        _ = try session.rows(each("pg_cancel_backend"))
    }

    private func tellProgress(_ session: Connection) throws(Failure) {
        let rows = try session.rows(
            """
            SELECT p.phase, greatest(p.blocks_done, p.tuples_done)::text,
                CASE WHEN p.blocks_done >= p.tuples_done THEN p.blocks_total ELSE p.tuples_total END::text
            FROM pg_stat_progress_create_index p, (\(own)) own WHERE p.pid = ANY (own.pids) LIMIT 1
            """)
        guard let row = rows.first, row.count == 3, let phase = row[0] else { return }
        progress(
            IndexProgress(phase: phase, done: row[1].flatMap { Int64($0) } ?? 0, total: row[2].flatMap { Int64($0) } ?? 0))
    }

    private var sessions: ToolSessions { ToolSessions(name: session, known: state.withLock { $0.seen }) }

    private var own: String {
        "SELECT coalesce(array_agg(pid), '{}') AS pids FROM pg_stat_activity WHERE \(sessions.condition)"
    }

    private func each(_ function: String) -> String {
        "SELECT \(function)(pid) FROM pg_stat_activity WHERE \(sessions.condition)"
    }
}

extension ContinuousClock.Instant {
    fileprivate func milliseconds(to other: ContinuousClock.Instant) -> Int64 {
        let parts = duration(to: other).components
        return parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000
    }
}
