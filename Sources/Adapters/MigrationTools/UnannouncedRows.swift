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
        for pieces in SQLStatements(text.sql).pieces {
            let names = Set(pieces.compactMap(name))
            guard names.isDisjoint(with: own), let verb = pieces.first.flatMap(name) else { continue }
            // Whatever these call may do anything, and was judged so.
            if ["do", "call", "select", "execute"].contains(verb) { return nil }
            let isWriting = ["insert", "update", "delete", "merge", "copy", "with", "refresh"].contains(verb)
            if isWriting || names.contains("rename") { named.formUnion(names) }
        }
        // Triggers, rules, foreign keys and heirs carry what is written there to other tables.
        if !named.isEmpty {
            let reaching = try MigrationInspector.reaching(session).union(parents(session))
            guard !side.reachesFurther, !reaching.contains(where: { table in named.contains { isTable(table, $0) } }) else {
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
