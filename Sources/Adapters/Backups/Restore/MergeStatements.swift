internal import SerinDatabase
internal import SerinModel

/// The statements of a merge between a live table and one of the same columns in a schema beside. Blocks its thread.
struct MergeStatements {
    let session: Connection
    /// Both quoted, with their schema.
    let live: String
    let side: String
    let columns: [String]
    let key: [String]
    /// For one statement.
    let patience: Duration

    private func match(_ columns: [String]) -> String {
        columns.map { "l.\(sqlName($0)) = s.\(sqlName($0))" }.joined(separator: " AND ")
    }

    /// What the live table lacks.
    private var lacking: String { "FROM \(side) s WHERE NOT EXISTS (SELECT FROM \(live) l WHERE \(match(key)))" }

    private func count(_ sql: String) throws(Failure) -> Int64 {
        guard let count = try session.value("SELECT count(*) \(sql)", within: patience).flatMap({ Int64($0) }) else {
            throw Failure(.invalid, "\(session.name) gives no count")
        }
        return count
    }

    /// Counts; `leftOut` is for the caller.
    func plan(of table: String, from name: String) throws(Failure) -> TableMerge.Plan {
        let others = columns.filter { !key.contains($0) }
        let differs = others.map { "l.\(sqlName($0))::text IS DISTINCT FROM s.\(sqlName($0))::text" }.joined(separator: " OR ")
        let clashes = try uniqueColumns().map { "(\(match($0)))" }.joined(separator: " OR ")
        let list = columns.map(sqlName).joined(separator: ", ")
        return TableMerge.Plan(
            table: table, from: name, key: key, restored: try count("FROM \(side)"), live: try count("FROM \(live)"),
            missing: try count(lacking),
            conflicting: clashes.isEmpty ? 0 : try count("\(lacking) AND EXISTS (SELECT FROM \(live) l WHERE \(clashes))"),
            differing: others.isEmpty ? 0 : try count("FROM \(side) s JOIN \(live) l ON \(match(key)) WHERE \(differs)"),
            leftOut: [],
            statement: "INSERT INTO \(live) (\(list)) OVERRIDING SYSTEM VALUE SELECT \(list) \(lacking) ON CONFLICT DO NOTHING")
    }

    /// The columns of each unique index but that of the key. What is unique by an expression, or for some rows only, is found when
    /// the rows are added.
    private func uniqueColumns() throws(Failure) -> [[String]] {
        var found: [String: [String]] = [:]
        let rows = try session.rows(
            """
            SELECT i.indexrelid::text, a.attname FROM pg_index i
            CROSS JOIN unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k(num)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num
            WHERE i.indrelid = \(sqlText(live))::regclass AND i.indisunique AND NOT i.indisprimary
                AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY 1, 2
            """)
        for row in rows {
            if row.count == 2, let index = row[0], let column = row[1] { found[index, default: []].append(column) }
        }
        return found.sorted { $0.key < $1.key }.map(\.value).filter { $0.allSatisfy(columns.contains) }
    }

    /// Adds the missing rows and reads them back, in one transaction.
    func apply(_ plan: TableMerge.Plan) throws(Failure) -> TableMerge.Merged {
        do throws(Failure) {
            // Triggers of the table look for their tables where the application's do.
            _ = try session.rows("BEGIN; SET LOCAL search_path TO DEFAULT")
            let text = try session.value(
                "WITH added AS (\(plan.statement) RETURNING 1) SELECT count(*) FROM added", within: patience)
            let added = text.flatMap { Int64($0) } ?? -1
            guard (0...max(0, plan.added)).contains(added) else {
                throw Failure(
                    .conflict, "\(added) rows would be added to \(plan.table), where the plan said \(plan.added)",
                    hint: "look at the plan again")
            }
            let left = try count(lacking)
            guard left <= plan.conflicting else {
                throw Failure(
                    .conflict, "\(left - plan.conflicting) rows of \(plan.table) were not taken",
                    hint: "a trigger of the table or a unique index of an expression keeps them out")
            }
            let merged = TableMerge.Merged(added: added, sequences: try raiseSequences())
            _ = try session.rows("COMMIT")
            return merged
        } catch {
            var failure = error
            // The first failure is the one to tell.
            _ = try? session.rows("ROLLBACK")
            if failure.message.contains("foreign key"), failure.hint == nil {
                failure.hint = "bring the rows back first that these refer to"
            }
            throw failure
        }
    }

    /// A sequence that stands before the rows that were added would give their numbers out again.
    private func raiseSequences() throws(Failure) -> [String] {
        var raised: [String] = []
        for column in columns {
            let named = "pg_get_serial_sequence(\(sqlText(live)), \(sqlText(column)))"
            guard let sequence = try session.value("SELECT \(named)") else { continue }
            let value = try session.value(
                """
                SELECT setval(\(sqlText(sequence)), t.top) FROM (SELECT max(\(sqlName(column))) AS top FROM \(live)) t
                WHERE t.top > (SELECT last_value FROM \(sequence))
                    AND (SELECT seqincrement FROM pg_sequence WHERE seqrelid = \(sqlText(sequence))::regclass) > 0
                """, within: patience)
            if value != nil { raised.append(sequence) }
        }
        return raised
    }
}
