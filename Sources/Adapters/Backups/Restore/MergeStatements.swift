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

    private func match(_ columns: [String], of other: String = "s") -> String {
        columns.map { "l.\(sqlName($0)) = \(other).\(sqlName($0))" }.joined(separator: " AND ")
    }

    /// What the live table lacks.
    private var lacking: String { "FROM \(side) s WHERE NOT EXISTS (SELECT FROM \(live) l WHERE \(match(key)))" }

    private func count(_ sql: String) throws(Failure) -> Int64 {
        guard let count = try session.value("SELECT count(*) \(sql)", within: patience).flatMap({ Int64($0) }) else {
            throw Failure(.invalid, "\(session.name) gives no count")
        }
        return count
    }

    /// Counts, and takes what cannot come back out of the table beside; `leftOut` is for the caller.
    func plan(of table: String, from name: String) throws(Failure) -> TableMerge.Plan {
        let others = columns.filter { !key.contains($0) }
        let differs = others.map { "l.\(sqlName($0))::text IS DISTINCT FROM s.\(sqlName($0))::text" }.joined(separator: " OR ")
        let clashes = try uniqueColumns().map { "(\(match($0)))" }.joined(separator: " OR ")
        let list = columns.map(sqlName).joined(separator: ", ")
        var plan = TableMerge.Plan(
            table: table, from: name, key: key, restored: try count("FROM \(side)"), live: try count("FROM \(live)"),
            missing: try count(lacking), conflicting: 0,
            differing: others.isEmpty ? 0 : try count("FROM \(side) s JOIN \(live) l ON \(match(key)) WHERE \(differs)"),
            leftOut: [],
            statement: "INSERT INTO \(live) (\(list)) OVERRIDING SYSTEM VALUE SELECT \(list) \(lacking) ON CONFLICT DO NOTHING")
        if !clashes.isEmpty {
            plan.conflicting = try takeOut("EXISTS (SELECT FROM \(live) l WHERE \(clashes))").count
        }
        let orphaned = try parentless().joined(separator: " OR ")
        guard !orphaned.isEmpty else { return plan }
        // Rows of a table that refers to itself may lose their parents only now.
        while case let found = try takeOut(orphaned), found.count > 0 {
            plan.orphaned += found.count
            plan.orphans += found.first.prefix(TableMerge.Plan.orphansNamed - plan.orphans.count)
        }
        return plan
    }

    /// Takes rows that the live table lacks out of the table beside it, so that what is left of them can be added.
    private func takeOut(_ condition: String) throws(Failure) -> (count: Int64, first: [String]) {
        let words = key.map { "\(sqlText($0 + "=")) || \(sqlName($0))::text" }.joined(separator: " || ', ' || ")
        let row = try session.rows(
            """
            WITH gone AS (
                DELETE FROM \(side) s WHERE NOT EXISTS (SELECT FROM \(live) l WHERE \(match(key))) AND (\(condition)) RETURNING s.*
            ), named AS (SELECT \(words) AS name FROM gone ORDER BY \(key.map(sqlName).joined(separator: ", ")) LIMIT \(
                TableMerge.Plan.orphansNamed))
            SELECT (SELECT count(*) FROM gone), coalesce((SELECT string_agg(name, E'\\n') FROM named), '')
            """, within: patience
        ).first
        guard let row, row.count == 2, let count = row[0].flatMap({ Int64($0) }) else {
            throw Failure(.invalid, "\(session.name) gives no count")
        }
        return (count, (row[1] ?? "").parts(at: "\n").map(String.init))
    }

    /// Of each foreign key of the live table: that a row's parent is neither live nor, for a table that refers to itself, comes back.
    private func parentless() throws(Failure) -> [String] {
        let rows = try session.rows(
            """
            SELECT c.oid::text, format('%I.%I', n.nspname, p.relname), c.confrelid = c.conrelid, c.confmatchtype = 'f', a.attname,
                f.attname
            FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
            CROSS JOIN unnest(c.conkey, c.confkey) WITH ORDINALITY k(own, theirs, place)
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
            JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.theirs
            WHERE c.conrelid = \(sqlText(live))::regclass AND c.contype = 'f' ORDER BY c.oid, k.place
            """)
        var keys: [(parent: String, refersToItself: Bool, isFull: Bool, columns: [(own: String, theirs: String)])] = []
        var last: String?
        for row in rows {
            guard row.count == 6, let parent = row[1], let own = row[4], let theirs = row[5] else { continue }
            if row[0] != last { keys.append((parent, row[2] == "t", row[3] == "t", [])) }
            last = row[0]
            keys[keys.count - 1].columns.append((own, theirs))
        }
        // A column that is not carried over gets what the live table gives it.
        return keys.filter { $0.columns.allSatisfy { columns.contains($0.own) } }.map { reference in
            let isMeant = reference.columns.map { "s.\(sqlName($0.own)) IS NOT NULL" }
                .joined(separator: reference.isFull ? " OR " : " AND ")
            let same = reference.columns.map { "p.\(sqlName($0.theirs)) = s.\(sqlName($0.own))" }.joined(separator: " AND ")
            let comesBack = reference.refersToItself && reference.columns.allSatisfy { columns.contains($0.theirs) }
            return "(\(isMeant)) AND NOT EXISTS (SELECT FROM \(reference.parent) p WHERE \(same))"
                + (comesBack
                    ? " AND NOT EXISTS (SELECT FROM \(side) p WHERE \(same) "
                        + "AND NOT EXISTS (SELECT FROM \(live) l WHERE \(match(key, of: "p"))))"
                    : "")
        }.map { "(\($0))" }
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
            guard left == 0 else {
                throw Failure(
                    .conflict, "\(left) rows of \(plan.table) were not taken",
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
                failure.hint = "a row that these refer to went meanwhile: look at the plan again"
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
