internal import SerinDatabase
public import SerinModel

extension DatabaseMigrations {
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
