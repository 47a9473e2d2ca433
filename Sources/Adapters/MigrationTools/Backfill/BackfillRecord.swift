internal import SerinDatabase
internal import SerinModel

/// Where a backfill is, in a table of its own: moved in the same transaction as the rows.
struct BackfillRecord {
    /// The last key of the last batch; nil before the first.
    var position: String?
    /// The last key when it began; rows behind it were written by who knows the new column.
    var end: String?
    var walked: Int64
    var changed: Int64
    var isDone: Bool

    static func prepare(_ session: Connection) throws(Failure) {
        guard try session.value("SELECT to_regclass('serin.backfills')") == nil else { return }
        if try session.value("SELECT to_regnamespace('serin')") == nil { _ = try session.rows("CREATE SCHEMA serin") }
        _ = try session.rows(
            """
            CREATE TABLE IF NOT EXISTS serin.backfills (
                name text PRIMARY KEY, statement text NOT NULL, table_name text NOT NULL, key_name text NOT NULL, position text,
                end_key text, walked bigint NOT NULL DEFAULT 0, changed bigint NOT NULL DEFAULT 0,
                is_done boolean NOT NULL DEFAULT false, stop_wanted boolean NOT NULL DEFAULT false,
                started_at timestamptz NOT NULL DEFAULT clock_timestamp(), updated_at timestamptz NOT NULL DEFAULT clock_timestamp())
            """)
    }

    /// What is noted of a backfill, which is begun when there is nothing.
    ///
    /// - Throws: `conflict` when it was begun as another statement.
    static func open(_ backfill: Backfill, _ session: Connection) throws(Failure) -> BackfillRecord {
        let name = sqlText(backfill.name)
        if backfill.restarts { _ = try session.rows("DELETE FROM serin.backfills WHERE name = \(name)") }
        let keys = "\(sqlName(backfill.key))"
        _ = try session.rows(
            """
            INSERT INTO serin.backfills (name, statement, table_name, key_name, end_key)
            SELECT \(name), \(sqlText(backfill.statement)), \(sqlText(backfill.table)), \(sqlText(backfill.key)),
                (SELECT t.\(keys)::text FROM \(backfill.quotedTable) t ORDER BY t.\(keys) DESC LIMIT 1)
            ON CONFLICT DO NOTHING;
            UPDATE serin.backfills SET stop_wanted = false WHERE name = \(name)
            """)
        let row =
            try session.rows(
                """
                SELECT statement, table_name, key_name, position, end_key, walked::text, changed::text, is_done
                FROM serin.backfills WHERE name = \(name)
                """
            ).first ?? []
        guard row.count == 8, row[0] == backfill.statement, row[1] == backfill.table, row[2] == backfill.key else {
            throw Failure(
                .conflict, "the backfill \(backfill.name) was begun as: \(row.first.flatMap { $0 } ?? "something else")",
                hint: "give this one another name, or begin it again with --restart")
        }
        return BackfillRecord(
            position: row[3], end: row[4], walked: row[5].flatMap { Int64($0) } ?? 0, changed: row[6].flatMap { Int64($0) } ?? 0,
            isDone: row[7] == "t")
    }
}

extension Backfill {
    /// The table's name, quoted; without a schema it is one of `public`.
    var quotedTable: String {
        let parts = table.parts(at: ".").map { sqlName(String($0)) }
        return parts.count > 1 ? parts.joined(separator: ".") : "public." + (parts.first ?? "\"\"")
    }

    /// The condition for the keys behind one and up to another.
    func condition(after position: String?, upTo last: String) -> String {
        let column = sqlName(key)
        let upper = "\(column) <= \(sqlText(last))"
        return position.map { "(\(column) > \(sqlText($0)) AND \(upper))" } ?? "(\(upper))"
    }
}
