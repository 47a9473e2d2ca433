internal import SerinDatabase
internal import SerinLocks
internal import SerinMigrations
internal import SerinModel
internal import SerinProcesses

/// Sees which locks a tool takes in a scratch database, on a thread and sessions of its own.
///
/// Locks are gone with the transaction that had them, and most transactions last for a millisecond. So the tool is stopped on its way:
/// one session holds the tool's table of versions, which is written last in a transaction, when all its locks are there; another
/// holds every other table as a writer does, which every statement that keeps writers out, and every concurrent build of an index,
/// has to wait for. Once the tool waits its locks are read, and it is let through.
final class LockGate: Sendable {
    /// What was seen.
    struct Seen: Sendable {
        /// By the relation's number, each kind once.
        var locks: [Int64: Set<TableLock>] = [:]
        /// Whether the tool was stopped at its table of versions.
        var wasAtVersions = false
        /// Whether it was stopped at another table.
        var wasAtTables = false
    }

    private struct State: Sendable {
        var seen = Seen()
        var isDone = false
        var hasEnded = false
        var isReady = false
        var failure: Failure?
    }

    private let database: MigrationDatabase
    private let ownTables: [String]
    private let state = Locked(State())

    init(_ database: MigrationDatabase, ownTables: [String]) {
        self.database = database
        self.ownTables = ownTables
    }

    /// Begins; the gates are closed when it returns.
    func start() throws(Failure) {
        onNewThread {
            do throws(Failure) {
                let eye = try self.database.connect()
                var gates = try self.gates(eye)
                for index in gates.indices { try gates[index].close() }
                self.state.withLock { $0.isReady = true }
                try self.watch(eye, &gates)
            } catch {
                self.state.withLock { $0.failure = error }
            }
            self.state.withLock { $0.hasEnded = true }
        }
        while true {
            let now = state.withLock { $0 }
            if let failure = now.failure { throw failure }
            if now.isReady { return }
            rest(.milliseconds(1))
        }
    }

    /// Ends, and says what was seen.
    func finish() throws(Failure) -> Seen {
        state.withLock { $0.isDone = true }
        while !state.withLock({ $0.hasEnded }) { rest(.milliseconds(1)) }
        let now = state.withLock { $0 }
        if let failure = now.failure { throw failure }
        return now.seen
    }

    /// One session that holds tables until somebody waits for them.
    private struct Gate {
        let session: Connection
        let number: String
        let statement: String
        let isOfVersions: Bool
        var isClosed = false

        init(_ session: Connection, _ tables: [String], _ mode: String, isOfVersions: Bool) throws(Failure) {
            self.session = session
            self.isOfVersions = isOfVersions
            number = try session.value("SELECT pg_backend_pid()::text") ?? ""
            statement = "LOCK TABLE \(tables.joined(separator: ", ")) IN \(mode) MODE NOWAIT"
            _ = try session.rows("SET idle_in_transaction_session_timeout = 0")
        }

        /// Takes its tables, unless somebody else has one of them at the moment, or one is gone.
        mutating func close() throws(Failure) {
            _ = try session.rows("BEGIN")
            do throws(Failure) {
                _ = try session.rows(statement)
                isClosed = true
            } catch { try open() }
        }

        mutating func open() throws(Failure) {
            _ = try session.rows("ROLLBACK")
            isClosed = false
        }
    }

    private func gates(_ eye: Connection) throws(Failure) -> [Gate] {
        let names = ownTables.map(sqlText).joined(separator: ", ")
        let rows = try eye.rows(
            """
            SELECT c.oid::regclass::text, c.relname IN (\(names.isEmpty ? "''" : names)) FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            """)
        var gates: [Gate] = []
        for (isOfVersions, mode) in [(true, "SHARE"), (false, "ROW EXCLUSIVE")] {
            let tables = rows.filter { ($0.last == "t") == isOfVersions }.compactMap { $0.first ?? nil }
            guard !tables.isEmpty else { continue }
            gates.append(try Gate(database.connect(), tables, mode, isOfVersions: isOfVersions))
        }
        return gates
    }

    private func watch(_ eye: Connection, _ gates: inout [Gate]) throws(Failure) {
        while !state.withLock({ $0.isDone }) {
            // Who waits is asked first: whoever waits for a gate goes on waiting while its locks are read.
            let waiting = try eye.rows(
                """
                SELECT DISTINCT b::text, a.application_name <> \(sqlText(MigrationDatabase.ownSession)) FROM pg_locks l
                JOIN pg_stat_activity a ON a.pid = l.pid, unnest(pg_blocking_pids(l.pid)) b WHERE NOT l.granted
                """)
            try look(eye)
            for index in gates.indices {
                if gates[index].isClosed {
                    let behind = waiting.filter { $0.first == gates[index].number }
                    guard !behind.isEmpty else { continue }
                    if behind.contains(where: { $0.last == "t" }) {
                        let isOfVersions = gates[index].isOfVersions
                        state.withLock { state in
                            if isOfVersions { state.seen.wasAtVersions = true } else { state.seen.wasAtTables = true }
                        }
                    }
                    try gates[index].open()
                } else {
                    try gates[index].close()
                }
            }
            rest(.milliseconds(2))
        }
        for index in gates.indices where gates[index].isClosed { try gates[index].open() }
    }

    private func look(_ eye: Connection) throws(Failure) {
        let rows = try eye.rows(
            """
            SELECT DISTINCT l.relation::text, l.mode FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'relation' AND a.backend_type = 'client backend' AND a.datname = current_database()
            AND l.database = a.datid AND a.application_name <> \(sqlText(MigrationDatabase.ownSession))
            """)
        state.withLock { state in
            for row in rows {
                guard let number = row[0].flatMap({ Int64($0) }), let mode = row[1].flatMap(TableLock.init(serverName:)) else {
                    continue
                }
                state.seen.locks[number, default: []].insert(mode)
            }
        }
    }
}
