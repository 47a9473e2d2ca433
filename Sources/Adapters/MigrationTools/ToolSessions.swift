internal import SerinDatabase

/// The sessions of tools in a database, whatever their scripts call themselves: known by their name, by the lock that Serin's own
/// scripts hold, and by the numbers under which they were seen.
struct ToolSessions: Sendable {
    /// What those of one run are called; nil is all of them.
    var name: String?
    /// Those that were seen before, as `number` has them.
    var known: Set<String> = []

    /// A session as an expression over `pg_stat_activity`. The server gives the numbers of processes again, but not at one moment.
    static let number = "concat(pid, '@', extract(epoch FROM backend_start))"

    /// A condition over `pg_stat_activity`.
    var condition: String {
        let named =
            name.map { "application_name = \(sqlText($0))" }
            ?? "starts_with(application_name, \(sqlText(MigrationDatabase.toolPrefix)))"
        let seen = known.isEmpty ? "" : " OR \(ToolSessions.number) IN (\(known.sorted().map(sqlText).joined(separator: ", ")))"
        return """
            datname = current_database() AND pid <> pg_backend_pid()
            AND (\(named) OR pid IN (\(DatabaseLock.holders(of: DatabaseLock.working)))\(seen))
            """
    }
}
