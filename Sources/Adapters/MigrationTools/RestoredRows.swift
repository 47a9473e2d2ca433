internal import SerinDatabase
internal import SerinModel

/// What scripts do to rows, as the server counts it, set against what they say: a way back that changes rows of a table brings back
/// what its revision changed there, and nothing is brought back by a statement that finds no row.
enum RestoredRows {
    /// What the session's transaction did so far, by table; none of Serin's own tables and none of these.
    static func counted(_ session: Connection, without tables: [String]) throws(Failure) -> [TableActivity] {
        try session.rows(counting(without: tables)).compactMap { ($0.first ?? nil).flatMap(activity) }
    }

    private static func counting(without tables: [String]) -> String {
        let names = (tables + [""]).map(sqlText).joined(separator: ", ")
        return """
            SELECT concat_ws(' ', n_tup_ins, n_tup_upd, n_tup_del, schemaname || '.' || relname) AS line
            FROM pg_stat_xact_user_tables
            WHERE schemaname <> 'serin' AND relname NOT IN (\(names)) AND n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 1
            """
    }

    /// The statement by which a tool's own transaction adds what it did to the notes of the step that was begun last: so they are
    /// committed together, whoever is killed.
    static func noting(without tables: [String]) -> String {
        """
        UPDATE serin.migration_steps SET changed = concat_ws(chr(10), nullif(changed, ''),
            (SELECT string_agg(line, chr(10)) FROM (\(counting(without: tables))) counted))
        WHERE id = (SELECT max(id) FROM serin.migration_steps)
        """
    }

    /// A line of what was counted: inserted, updated, deleted, and the table.
    static func activity(_ line: String) -> TableActivity? {
        let parts = line.split(separator: " ", maxSplits: 3)
        let counts = parts.dropLast().compactMap { Int64($0) }
        guard parts.count == 4, counts.count == 3 else { return nil }
        return TableActivity(table: String(parts[3]), inserted: counts[0], updated: counts[1], deleted: counts[2])
    }

    /// As a line that `activity` reads.
    static func line(_ rows: TableActivity) -> String { "\(rows.inserted) \(rows.updated) \(rows.deleted) \(rows.table)" }

    /// Why a way back must not be committed; nil when nothing speaks against it.
    static func objection(_ step: RevisionStep, _ statements: SQLStatements, counted: [TableActivity]) -> Failure? {
        let named = tables(statements)
        let missing = step.changed.first { changed in
            named.contains { changed.table.hasSuffix(".\($0)") } && !counted.contains { $0.table == changed.table }
        }
        guard let missing else { return nil }
        return Failure(
            .conflict,
            "the way back from \(step.revision) changes \(missing.table), and found no row there: the way forward had changed "
                + "\(missing.updated) and deleted \(missing.deleted), which would not come back: nothing was taken back",
            hint: "correct the way back; or take it as it is with serin migrate down --accept-schema")
    }

    /// What people should know of a way back that changed fewer rows than its revision had.
    static func shortfalls(_ step: RevisionStep, counted: [TableActivity]) -> [String] {
        step.changed.compactMap { changed in
            guard let now = counted.first(where: { $0.table == changed.table }), now.total < changed.updated + changed.deleted
            else {
                return nil
            }
            return "the way back from \(step.revision) wrote \(now.total) rows of \(changed.table), of which the way forward had "
                + "changed \(changed.updated) and deleted \(changed.deleted)"
        }
    }

    /// The tables into which a script puts rows, or whose rows it changes, without their schemas.
    private static func tables(_ statements: SQLStatements) -> Set<String> {
        var found: Set<String> = []
        for pieces in statements.pieces {
            guard let verb = pieces.first, [.word("UPDATE"), .word("INSERT"), .word("MERGE")].contains(verb) else { continue }
            var rest = pieces.dropFirst().drop { $0 == .word("INTO") || $0 == .word("ONLY") }
            var name: String?
            while let piece = rest.popFirst() {
                switch piece {
                case .word(let word): name = word.lowercased()
                case .quoted(let text): name = text
                case .mark, .text: break
                }
                guard rest.popFirst() == .mark(UInt8(ascii: ".")) else { break }
            }
            if let name { found.insert(name) }
        }
        return found
    }
}

extension TableActivity {
    fileprivate var total: Int64 { inserted + updated + deleted }
}
