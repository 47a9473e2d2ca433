internal import SerinDatabase
internal import SerinMigrations
internal import SerinModel

/// Rows that a tool changed or deleted although the SQL by which its revision was judged does not: what surrounds a revision did it,
/// such as Alembic's `env.py`, and no way back brings them back.
enum UnannouncedRows {
    /// Why a step cannot be taken for what it was judged to be; nil where nothing speaks against it, or nobody can say.
    ///
    /// - Parameters:
    ///   - side: What was judged. Only what a tool generates may be another thing than what it runs.
    ///   - counted: What the step did to rows as the server counted it.
    static func objection(
        _ step: RevisionStep, _ side: MigrationSide, counted: [TableActivity], _ session: Connection, without own: [String]
    ) throws(Failure) -> Failure? {
        let changed = counted.filter { $0.updated > 0 || $0.deleted > 0 }
        guard !changed.isEmpty, case .text(let text) = side, text.isGenerated else { return nil }
        var named: Set<String> = []
        var written: Set<String> = []
        for pieces in SQLStatements(text.sql).pieces {
            let names = pieces.map { name($0) ?? "" }
            guard Set(names).isDisjoint(with: own), let verb = names.first else { continue }
            // Whatever these call may do anything, and was judged so.
            if ["do", "call", "execute"].contains(verb) || verb == "select" && calls(pieces) { return nil }
            if names.contains("rename") { named.formUnion(names.filter { !$0.isEmpty }) }
            guard ["insert", "update", "delete", "merge", "copy", "with", "refresh"].contains(verb) else { continue }
            let targets = targets(pieces)
            named.formUnion(targets.changed)
            written.formUnion(targets.changed + targets.inserted)
        }
        // Triggers, rules, foreign keys and heirs carry what is written there to other tables.
        if !written.isEmpty {
            let reaching = try PassedChange.read(session).map { "\($0.relation)" } + parents(session)
            guard !side.reachesFurther, !reaching.contains(where: { table in written.contains { isTable(table, $0) } }) else {
                return nil
            }
        }
        let strange = changed.filter { rows in !named.contains { isTable(rows.table, $0) } }
        guard !strange.isEmpty else { return nil }
        let words = strange.map { "\($0.table) (\($0.updated) changed, \($0.deleted) deleted)" }.joined(separator: ", ")
        return Failure(
            .conflict,
            "\(step.revision) was \(step.direction == .up ? "applied" : "taken back"), and beside its SQL rows were changed in "
                + "\(words): nothing brings them back",
            hint: "look at what env.py and what it imports do on a server; then take it as it is with --accept-schema")
    }

    /// The tables of which a statement changes or deletes rows, and those into which it only puts some.
    private static func targets(_ pieces: [SQLStatements.Piece]) -> (changed: [String], inserted: [String]) {
        var (changed, inserted): ([String], [String]) = ([], [])
        let words = pieces.map(word)
        for (index, word) in words.enumerated() {
            var rest = pieces[(index + 1)...].drop { skipped.contains(self.word($0)) }
            // The name behind its schema, or the name alone.
            guard var table = rest.popFirst().flatMap(name) else { continue }
            while rest.first == .mark(UInt8(ascii: ".")), let next = rest.dropFirst().first.flatMap(name) {
                table = next
                rest = rest.dropFirst(2)
            }
            let before = index > 0 ? words[index - 1] : ""
            switch word {
            case "INSERT":
                inserted.append(table)
                if words[index...].contains("CONFLICT"), words[index...].contains("UPDATE") { changed.append(table) }
            case "COPY" where index == 0: inserted.append(table)
            // Of a lock of rows, and of what is done on a conflict or by a foreign key.
            case "UPDATE" where !["FOR", "KEY", "DO", "ON", "THEN"].contains(before): changed.append(table)
            case "DELETE" where before != "THEN" && before != "ON": changed.append(table)
            case "MERGE", "REFRESH": changed.append(table)
            default: break
            }
        }
        return (changed, inserted)
    }

    private static let skipped: Set<String> = ["INTO", "FROM", "ONLY", "MATERIALIZED", "VIEW", "CONCURRENTLY"]

    /// Whether a query calls what may do anything: a name before a parenthesis, but of what is known to change nothing.
    private static func calls(_ pieces: [SQLStatements.Piece]) -> Bool {
        zip(pieces, pieces.dropFirst()).contains { piece, next in
            guard next == .mark(UInt8(ascii: "(")) else { return false }
            switch piece {
            case .word(let word): return !harmless.contains(word)
            case .quoted: return true
            case .mark, .text: return false
            }
        }
    }

    private static let harmless: Set<String> = [
        "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "ANY", "ALL", "SOME", "EXISTS", "AS", "ON", "USING", "VALUES",
        "CASE",
        "WHEN", "THEN", "ELSE", "BY", "HAVING", "UNION", "EXCEPT", "INTERSECT", "OVER", "FILTER", "LATERAL", "DISTINCT", "LIMIT",
        "CAST", "COALESCE", "NULLIF", "COUNT", "SUM", "MIN", "MAX", "AVG", "LOWER", "UPPER", "NOW", "LENGTH", "SETVAL", "NEXTVAL",
        "SET_CONFIG", "CURRENT_SETTING", "TO_REGCLASS", "VERSION", "PG_SLEEP",
    ]

    private static func word(_ piece: SQLStatements.Piece) -> String {
        if case .word(let word) = piece { return word }
        return ""
    }

    private static func parents(_ session: Connection) throws(Failure) -> [String] {
        try session.rows("SELECT DISTINCT inhparent::regclass::text FROM pg_inherits").compactMap { $0.first ?? nil }
    }

    private static func name(_ piece: SQLStatements.Piece) -> String? {
        switch piece {
        case .word(let word): word.lowercased()
        case .quoted(let text): text.lowercased()
        case .mark, .text: nil
        }
    }

    private static func isTable(_ table: String, _ name: String) -> Bool {
        let table = table.lowercased().filter { $0 != "\"" }
        return table == name || table.hasSuffix(".\(name)")
    }
}
