internal import SerinDatabase
public import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// Brings rows that are missing in a table of the live database back from a restored one: through a schema of its own beside the
/// live table, so that nothing is overwritten and everything can be looked at before.
public struct TableMerge: Sendable {
    /// What would be done.
    public struct Plan: Sendable, Hashable {
        /// The table: `public.orders`.
        public var table: String
        /// The schema beside it that holds the restored rows.
        public var schema: String
        /// The columns that tell rows apart.
        public var key: [String]
        /// Rows in the restored table.
        public var restored: Int64
        /// Rows in the live table.
        public var live: Int64
        /// Restored rows that the live table lacks: these are inserted.
        public var missing: Int64
        /// Rows that both have, and that differ: these are left as they are in the live table.
        public var differing: Int64
        /// The statement that inserts the missing rows.
        public var statement: String
        /// The statement that removes the schema again.
        public var cleanup: String
    }

    private let settings: RestoreSettings

    /// A merge.
    public init(_ settings: RestoreSettings) { self.settings = settings }

    /// Copies a table of a restored database into a schema beside the live one, and says what a merge would do. The live table is
    /// only read.
    public func plan(_ table: String, from restored: RestoredDatabase, permit: RestorePermit) async throws(Failure) -> Plan {
        try permit.allows(.beside, restored.backup, restored.live)
        let settings = settings
        return try await onOwnThread { (stop) throws(Failure) in
            let server = try RestoreServer(settings)
            let chosen = PostgresSelection.Table(table)
            let schema = restored.name
            let session = try server.session(server.live)
            let side = sqlName(schema) + "." + sqlName(chosen.name)
            _ = try session.rows(
                "BEGIN; CREATE SCHEMA \(sqlName(schema)); CREATE TABLE \(side) (LIKE \(chosen.pattern)); COMMIT",
                within: .minutes(1))
            do throws(Failure) {
                let columns = try TableMerge.columns(session, chosen)
                try TableMerge.copy(chosen, columns.all, from: restored.name, to: side, settings, stop)
                return try TableMerge.describe(session, chosen, schema, side, columns, settings.policy.deadline)
            } catch {
                // The first failure is the one to tell.
                _ = try? session.rows("ROLLBACK; DROP SCHEMA IF EXISTS \(sqlName(schema)) CASCADE", within: .minutes(1))
                throw error
            }
        }
    }

    /// Inserts the missing rows and removes the schema beside, in one transaction.
    ///
    /// - Returns: How many rows were inserted.
    /// - Throws: Also when there are more of them now than the plan said; then nothing was inserted.
    public func apply(_ plan: Plan, permit: RestorePermit) async throws(Failure) -> Int64 {
        try permit.allows(.merge, permit.backup, try RestoreServer(settings).live)
        let settings = settings
        return try await onOwnThread { _ throws(Failure) in
            let server = try RestoreServer(settings)
            let session = try server.session(server.live)
            _ = try session.rows("BEGIN")
            let text = try session.value(
                "WITH added AS (\(plan.statement) RETURNING 1) SELECT count(*) FROM added", within: settings.policy.deadline)
            let count = text.flatMap { Int64($0) } ?? -1
            guard (0...plan.missing).contains(count) else {
                _ = try session.rows("ROLLBACK")
                throw Failure(
                    .conflict, "\(count) rows would be inserted, where the plan said \(plan.missing)", hint: "plan it anew")
            }
            _ = try session.rows("\(plan.cleanup); COMMIT")
            return count
        }
    }

    private typealias Columns = (all: [String], key: [String])

    private static func columns(_ session: Connection, _ table: PostgresSelection.Table) throws(Failure) -> Columns {
        let relation = sqlText(table.pattern) + "::regclass"
        let all = try session.rows(
            """
            SELECT attname FROM pg_attribute WHERE attrelid = \(relation) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
            ORDER BY attnum
            """
        ).compactMap { $0.first ?? nil }
        let key = try session.rows(
            """
            SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = \(relation) AND i.indisprimary ORDER BY a.attnum
            """
        ).compactMap { $0.first ?? nil }
        guard !key.isEmpty else {
            throw Failure(.invalid, "\(table.schema).\(table.name) has no primary key, so its rows cannot be told apart")
        }
        return (all, key)
    }

    /// One program writes what the other reads.
    private static func copy(
        _ table: PostgresSelection.Table, _ columns: [String], from database: String, to side: String,
        _ settings: RestoreSettings,
        _ stop: StopSignal
    ) throws(Failure) {
        let live = try PostgresClient(settings.url, settings.environment)
        let restored = try live.database(database)
        let list = columns.map(sqlName).joined(separator: ", ")
        let common = ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
        let reader = try restored.start(
            restored.program("psql", common + ["--command=COPY \(table.pattern) (\(list)) TO STDOUT"]), .reading, stop: stop)
        let writer = try live.start(
            live.program("psql", common + ["--command=COPY \(side) (\(list)) FROM STDIN"]), .writing, stop: stop)
        try reader.readAll { (bytes) throws(Failure) in try writer.write(bytes) }
        try writer.finish()
    }

    private static func describe(
        _ session: Connection, _ table: PostgresSelection.Table, _ schema: String, _ side: String, _ columns: Columns,
        _ patience: Duration
    ) throws(Failure) -> Plan {
        let live = table.pattern
        let match = columns.key.map { "l.\(sqlName($0)) = s.\(sqlName($0))" }.joined(separator: " AND ")
        let list = columns.all.map(sqlName).joined(separator: ", ")
        let lacking = "FROM \(side) s WHERE NOT EXISTS (SELECT FROM \(live) l WHERE \(match))"
        let others = columns.all.filter { !columns.key.contains($0) }
        let differs = others.map { "l.\(sqlName($0))::text IS DISTINCT FROM s.\(sqlName($0))::text" }.joined(separator: " OR ")
        func count(_ sql: String) throws(Failure) -> Int64 {
            guard let count = try session.value("SELECT count(*) \(sql)", within: patience).flatMap({ Int64($0) }) else {
                throw Failure(.invalid, "\(session.name) gives no count")
            }
            return count
        }
        return Plan(
            table: "\(table.schema).\(table.name)", schema: schema, key: columns.key, restored: try count("FROM \(side)"),
            live: try count("FROM \(live)"), missing: try count(lacking),
            differing: others.isEmpty ? 0 : try count("FROM \(side) s JOIN \(live) l ON \(match) WHERE \(differs)"),
            statement:
                "INSERT INTO \(live) (\(list)) OVERRIDING SYSTEM VALUE SELECT \(columns.all.map { "s.\(sqlName($0))" }.joined(separator: ", ")) \(lacking)",
            cleanup: "DROP SCHEMA \(sqlName(schema)) CASCADE")
    }
}
