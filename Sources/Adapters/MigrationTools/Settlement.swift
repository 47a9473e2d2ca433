internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// Cleans up what an earlier run, or a failed try, left in a database. Used under the database's advisory lock: every session of a
/// tool that is found then belongs to nobody any more.
struct Settlement {
    let database: MigrationDatabase
    /// How long a statement that nobody waits for any more may go on.
    let patience: Duration

    /// Waits for sessions of tools that outlived their programs, and ends them when that takes too long.
    ///
    /// - Returns: What was found, for people.
    /// - Throws: `unknown` when one cannot be ended.
    func endOrphans(waiting: Bool = true) throws(Failure) -> [String] {
        let session = try database.connect()
        let sessions = ToolSessions(known: try StepRecords(session).sessions())
        let limit = timeLimit(waiting ? patience : .zero)
        var found: [String: String] = [:]
        while true {
            let rows = try session.rows(
                """
                SELECT pid::text, application_name, left(regexp_replace(coalesce(query, ''), '\\s+', ' ', 'g'), 80)
                FROM pg_stat_activity WHERE \(sessions.condition)
                """)
            if rows.isEmpty { return found.values.sorted() }
            for row in rows where row.count == 3 {
                guard let pid = row[0], found[pid] == nil else { continue }
                found[pid] = "ended session \(pid) of an earlier run, which was at: \(row[2] ?? "")"
            }
            if ContinuousClock.now >= limit {
                for pid in rows.compactMap({ $0.first ?? nil }) { _ = try session.rows("SELECT pg_terminate_backend(\(pid))") }
            }
            guard ContinuousClock.now < limit + .seconds(15) else {
                throw Failure(
                    .unknown, "\(rows.count) sessions of an earlier run cannot be ended at \(database.name)",
                    hint: "look at pg_stat_activity for \(MigrationDatabase.toolPrefix)")
            }
            rest(.milliseconds(50))
        }
    }

    /// How much each table was written to, once the sessions of the tool are gone: each tells the server's counters at its end.
    func activity(without tables: [String]) throws(Failure) -> [TableActivity] {
        let session = try database.connect()
        let sessions = ToolSessions(known: try StepRecords(session).sessions())
        let limit = timeLimit(.seconds(2))
        while ContinuousClock.now < limit {
            let left = try session.value(
                "SELECT count(*)::text FROM pg_stat_activity WHERE \(sessions.condition)")
            if left == "0" { break }
            rest(.milliseconds(20))
        }
        return try TableActivity.read(session, without: tables)
    }

    /// Refuses while a dump is being made: the two would wait for each other.
    func refuseDumps() throws(Failure) {
        let rows = try database.connect().rows(
            """
            SELECT pid::text, application_name FROM pg_stat_activity WHERE datname = current_database()
            AND application_name IN ('pg_dump', 'pg_dumpall', 'serin-backup')
            """)
        guard let row = rows.first, let pid = row[0] else { return }
        throw Failure(
            .conflict, "a backup of \(database.name) is being made (\(row[1] ?? ""), session \(pid))",
            hint: "wait until it is done, and repeat")
    }

    /// Takes back what an unfinished step may have left outside its transaction: indexes that were not there before it, when they
    /// are invalid, or when the step was at work and its text builds the very same.
    ///
    /// - Parameter text: Everything that is written about the step: its SQL, its file.
    /// - Parameter isWhole: Whether the schema must then be what it was.
    /// - Returns: What was done, for people.
    /// - Throws: `conflict` when the schema is still not what it was before the step.
    func undo(
        _ step: RevisionStep, before: SchemaSnapshot, text: String, isWhole: Bool = true,
        without tables: [String]
    ) throws(Failure) -> [String] {
        let session = try database.connect()
        let present = try SchemaSnapshot(session, without: tables)
        guard !present.isSame(as: before) else { return [] }
        let built = IndexStatement.all(in: text)
        var notes: [String] = []
        let names = Set(before.indexes.map(\.name))
        let validBefore = Set(before.indexes.filter(\.isValid).map(\.name))
        for index in present.indexes.sorted(by: { $0.name < $1.name }) {
            let isNew = !names.contains(index.name)
            let isLeft = isNew && (!index.isValid || built.contains { $0.builds(index) })
            guard isLeft || !index.isValid && isTemporary(index.name) else { continue }
            guard !validBefore.contains(index.name) else { continue }
            // It keeps nobody waiting, but waits itself for every transaction that could use the index.
            _ = try session.rows("SET lock_timeout = \(max(1000, patience.milliseconds)); SET statement_timeout = 0")
            _ = try session.rows("DROP INDEX CONCURRENTLY IF EXISTS \(index.name)", within: .minutes(10))
            notes.append("dropped \(index.isValid ? "" : "the invalid ")index \(index.name), which \(step.revision) had left")
        }
        let settled = try SchemaSnapshot(session, without: tables)
        guard isWhole, !settled.isSame(as: before) else { return notes }
        throw Failure(
            .conflict,
            "revision \(step.revision) was done in part: compared with before it\n"
                + settled.difference(from: before).map { "  " + $0 }.joined(separator: "\n"),
            hint:
                "an index that is valid is dropped only where the revision builds the very same; bring the schema by hand to where it was; or finish the revision, tell the tool so (stamp), and repeat"
        )
    }

    /// Whether an index is one that REINDEX CONCURRENTLY makes while it works.
    private func isTemporary(_ name: String) -> Bool { name.contains("_ccnew") || name.contains("_ccold") }
}
