internal import SerinDatabase
public import SerinModel
internal import SerinProcesses

// Who keeps writes away for a migration is noted in the database itself, so that whoever comes after a kill knows it.
extension DatabaseMigrations {
    /// Runs a body while no other controller does the same to this database, wherever it is. Backups and migrations, which take the
    /// lease, may be part of the body. When the session with the lock is lost the body's task is cancelled.
    ///
    /// - Throws: `conflict` when another one is at it.
    public func alone<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async throws(Failure) -> Value {
        try await DatabaseLock(database: try MigrationDatabase(url: url()), key: DatabaseLock.gated).hold(body)
    }

    /// Notes that a run is about to keep writes away.
    public func noteFence(of run: String, by principal: Principal) async throws(Failure) {
        try await asked { (session) throws(Failure) in
            try StepRecords(session).prepare()
            _ = try session.rows(
                """
                CREATE TABLE IF NOT EXISTS serin.maintenance (run text PRIMARY KEY, asked_by text NOT NULL,
                    since timestamptz NOT NULL DEFAULT clock_timestamp());
                INSERT INTO serin.maintenance (run, asked_by) VALUES (\(sqlText(run)), \(sqlText("\(principal)")))
                """)
        }
    }

    /// The runs that may keep writes away, in words: `shop-1763-12 since 2026-11-21 22:04:01+00`. Meant for `alone`.
    public func fences() async throws(Failure) -> [String] {
        try await asked { (session) throws(Failure) in
            guard try session.value("SELECT to_regclass('serin.maintenance')") != nil else { return [] }
            return try session.rows(
                "SELECT run || ' since ' || date_trunc('second', since) FROM serin.maintenance ORDER BY since"
            )
            .compactMap { $0.first ?? nil }
        }
    }

    /// Notes that writes are let in again.
    public func forgetFences() async throws(Failure) {
        try await asked { (session) throws(Failure) in _ = try session.rows("DELETE FROM serin.maintenance") }
    }

    /// Asks the database on a thread of its own.
    func asked<Value: Sendable>(
        _ body: @escaping @Sendable (Connection) throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (_) throws(Failure) in try body(try database.connect()) }
    }
}
