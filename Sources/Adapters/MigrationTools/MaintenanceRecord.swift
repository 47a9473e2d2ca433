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

    /// Notes that a run of a service is about to keep writes away.
    public func noteFence(of run: String, for service: ServiceName, by principal: Principal) async throws(Failure) {
        try await asked { (session) throws(Failure) in
            try StepRecords(session).prepare()
            _ = try session.rows(
                """
                CREATE TABLE IF NOT EXISTS serin.maintenance (run text PRIMARY KEY, asked_by text NOT NULL,
                    since timestamptz NOT NULL DEFAULT clock_timestamp());
                ALTER TABLE serin.maintenance ADD COLUMN IF NOT EXISTS service text;
                INSERT INTO serin.maintenance (run, asked_by, service)
                    VALUES (\(sqlText(run)), \(sqlText("\(principal)")), \(sqlText("\(service)")))
                """)
        }
    }

    /// The runs that may keep writes away, the oldest first.
    public func fences() async throws(Failure) -> [FenceNote] {
        try await asked { (session) throws(Failure) in try FenceNote.read(session) }
    }

    /// Notes that the writes that runs of a service kept away are let in again; those of others stay noted.
    public func forgetFences(of service: ServiceName) async throws(Failure) {
        try await asked { (session) throws(Failure) in
            _ = try session.rows("DELETE FROM serin.maintenance WHERE service = \(sqlText("\(service)"))")
        }
    }

    /// Which database it is.
    public func identity() async throws(Failure) -> DatabaseIdentity? {
        try await asked { (session) throws(Failure) in session.identity }
    }

    /// Asks the database on a thread of its own.
    func asked<Value: Sendable>(
        _ body: @escaping @Sendable (Connection) throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (_) throws(Failure) in try body(try database.connect()) }
    }
}

/// A run that may keep writes away, as the database has it.
public struct FenceNote: Sendable, Hashable {
    /// The run.
    public var run: String
    /// Whose it is; nil where an earlier version noted nobody.
    public var service: String?
    /// Since when, and who asked.
    public var since: String

    /// `shop-1763-12 of shop since 2026-11-21 22:04:01+00 (uid:0)`
    public var words: String { "\(run) of \(service ?? "a service that is not noted") since \(since)" }

    static func read(_ session: Connection) throws(Failure) -> [FenceNote] {
        guard try session.value("SELECT to_regclass('serin.maintenance')") != nil else { return [] }
        return try session.rows(
            """
            SELECT run, to_jsonb(m) ->> 'service', date_trunc('second', since) || ' (' || asked_by || ')'
            FROM serin.maintenance m ORDER BY since
            """
        ).compactMap { row in
            guard row.count == 3, let run = row[0], let since = row[2] else { return nil }
            return FenceNote(run: run, service: row[1], since: since)
        }
    }

    /// Why nothing is begun while these keep writes away; nil when there are none.
    ///
    /// - Parameter hint: What lets writes in.
    public static func objection(to fences: [FenceNote], in database: String, hint: String? = nil) -> Failure? {
        guard !fences.isEmpty else { return nil }
        return Failure(
            .conflict, "WRITES ARE FENCED in \(database), by \(fences.map(\.words).joined(separator: ", "))",
            hint: hint
                ?? "serin migrate up POLICY of that service lets them in, first of all; or do it by hand, and DELETE its row FROM serin.maintenance"
        )
    }
}
