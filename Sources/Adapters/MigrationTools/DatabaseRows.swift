internal import SerinDatabase
public import SerinModel
internal import SerinPolicies

extension DatabaseMigrations {
    /// Waits until the server has heard of what was written before: a session tells it at the latest ten seconds after it became idle.
    ///
    /// - Returns: Whose rows are not counted all the same, in words.
    func awaitCounts() async -> [String] {
        let others =
            "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            + "AND backend_type = 'client backend' AND NOT starts_with(application_name, 'serin')"
        do throws(Failure) {
            return try await asked { (session) throws(Failure) in
                let limit = timeLimit(.seconds(11))
                while ContinuousClock.now < limit {
                    let late = try session.value(
                        "SELECT EXISTS (SELECT \(others) AND (backend_xid IS NOT NULL OR state_change > clock_timestamp() - interval '10.5 s'))"
                    )
                    if late == "f" { break }
                    rest(.milliseconds(250))
                }
                let open = try session.value(
                    "SELECT string_agg(pid::text, ', ' ORDER BY pid) \(others) AND backend_xid IS NOT NULL")
                return open.map { ["not counted is what is written in transactions that are still open (sessions \($0))"] } ?? []
            }
        } catch { return ["nobody can say whether everything that was written is counted: \(error.message)"] }
    }

    /// The policy by which this database was migrated last, its service and digest; nil when none ever was.
    public func governing() async throws(Failure) -> String? {
        try await asked { (session) throws(Failure) in
            let records = StepRecords(session)
            return try records.exist() ? try records.policy() : nil
        }
    }

    /// Whether data may have to be restored.
    var mayRestore: Bool { policy.destructive == .allow }

    /// Whether there is nothing that a migration could destroy: no table of anybody's has a row but the tool's own, and nothing is kept
    /// elsewhere.
    public func isEmpty() async throws(Failure) -> Bool {
        let names = (tool.ownTables + [""]).map(sqlText).joined(separator: ", ")
        return try await asked { (session) throws(Failure) in
            // A row that a policy hides is there all the same: then this is an error.
            _ = try session.rows("SET row_security = off")
            let elsewhere = try session.value(
                "SELECT EXISTS (SELECT FROM pg_foreign_table) OR EXISTS (SELECT FROM pg_largeobject_metadata)")
            guard elsewhere == "f" else { return false }
            let tables = try session.rows(
                """
                SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'serin')
                    AND n.nspname NOT LIKE 'pg\\_t%' AND c.relname NOT IN (\(names))
                """
            ).compactMap { $0.first ?? nil }
            for table in tables {
                guard try session.value("SELECT EXISTS (SELECT FROM \(table))") == "f" else { return false }
            }
            return true
        }
    }
}
