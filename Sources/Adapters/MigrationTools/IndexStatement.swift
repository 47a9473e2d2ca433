/// A statement that builds an index, read well enough to know the index that it built.
struct IndexStatement: Hashable {
    private let isUnique: Bool
    private let name: [String]
    private let table: [String]
    /// Everything behind the table, names as the server reads them.
    private let rest: [SQLStatements.Piece]

    /// Nil when a statement builds no index, or one without a name.
    private init?(_ pieces: [SQLStatements.Piece]) {
        var reading = SQLStatements.Reading(pieces[...])
        guard reading.takes("CREATE") else { return nil }
        isUnique = reading.takes("UNIQUE")
        guard reading.takes("INDEX") else { return nil }
        while ["CONCURRENTLY", "IF", "NOT", "EXISTS"].contains(where: { reading.takes($0) }) {}
        name = reading.takeName()
        guard !name.isEmpty, reading.takes("ON") else { return nil }
        _ = reading.takes("ONLY")
        table = reading.takeName()
        if reading.takes("USING"), !reading.takes("BTREE") {
            rest = [.word("USING")] + reading.rest.map(\.folded)
        } else {
            rest = reading.rest.map(\.folded)
        }
    }

    /// Those of a text.
    static func all(in text: String) -> [IndexStatement] {
        SQLStatements(Array(text.utf8)).pieces.compactMap { IndexStatement($0) }
    }

    /// Whether an index that the server has is what this builds: its name, its table, and all of its definition. One with
    /// expressions, which the server writes in its own way, is none.
    func builds(_ index: SchemaSnapshot.Index) -> Bool {
        guard let there = IndexStatement.all(in: index.definition).first else { return false }
        return isUnique == there.isUnique && name.last == there.name.last && there.table.suffix(table.count) == table[...]
            && rest == there.rest
    }
}

extension SQLStatements.Piece {
    /// The same for two ways to write one name.
    fileprivate var folded: SQLStatements.Piece { name.map { .quoted($0) } ?? self }
}
