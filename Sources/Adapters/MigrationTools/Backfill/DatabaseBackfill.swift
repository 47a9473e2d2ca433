internal import SerinDatabase
public import SerinModel
internal import SerinProcesses

/// Backfills of one database.
public struct DatabaseBackfill: Sendable {
    private let url: @Sendable () throws(Failure) -> String

    /// - Parameter url: Gives the connection string, each time it is needed; nothing of it is kept.
    public init(url: @escaping @Sendable () throws(Failure) -> String) { self.url = url }

    /// Runs a backfill from where it is to its end. Cancelling the task, or a reason from `stopWanted`, ends it behind the present
    /// batch; it goes on from there when it is run again.
    ///
    /// - Throws: `conflict` when another process runs it or it was begun as another statement, `invalid` when its table or key will
    ///   not do, and what the server said of a batch that failed. Everything committed before stays.
    public func run(
        _ backfill: Backfill, stopWanted: @escaping @Sendable () -> String? = { nil },
        progress: @escaping @Sendable (BackfillProgress) -> Void = { _ in }
    ) async throws(Failure) -> BackfillReport {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (stop) throws(Failure) in
            var run = try BackfillRun(backfill, database, stop: stop, stopWanted: stopWanted, progress: progress)
            return try run.run()
        }
    }

    /// Asks a backfill to stop behind its present batch, wherever it runs.
    ///
    /// - Returns: Whether there is one of this name that is not done.
    public func stop(_ name: String) async throws(Failure) -> Bool {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (_) throws(Failure) in
            let session = try database.connect()
            guard try session.value("SELECT to_regclass('serin.backfills')") != nil else { return false }
            let found = try session.value(
                "UPDATE serin.backfills SET stop_wanted = true WHERE name = \(sqlText(name)) AND NOT is_done RETURNING name")
            return found != nil
        }
    }

    /// Asks by a query whether everything is filled in: it gives one value, which is 0 or true when it is.
    ///
    /// - Returns: What the query gave when it was anything else; nil when everything is filled in.
    public func whatIsLeft(_ query: String, deadline: Duration = .minutes(5)) async throws(Failure) -> String? {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (_) throws(Failure) in
            let session = try database.connect()
            _ = try session.rows("SET statement_timeout = \(deadline.milliseconds); SET default_transaction_read_only = on")
            _ = try session.rows("RESET search_path")
            let rows = try session.rows(query, within: deadline)
            guard rows.count == 1, rows[0].count == 1 else {
                throw Failure(
                    .invalid, "the query gave \(rows.count) rows; expected one value, 0 or true when everything is filled in")
            }
            let value = rows[0][0] ?? "null"
            return value == "0" || value == "t" ? nil : value
        }
    }
}
