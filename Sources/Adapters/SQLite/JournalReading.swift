internal import CSQLite
internal import SerinModel
internal import SerinPorts
internal import SerinRecords

extension JournalFile {
    /// A value for a statement's parameter.
    enum Binding {
        case integer(Int64)
        case text(String)
    }

    static let columns = "sequence, epoch, rollout, at, body, previous, hash"

    /// Entries after a number.
    func entries(after sequence: Int64, rollout: RolloutID?, limit: Int) throws(StoreError) -> [Entry] {
        let limit = Binding.integer(Int64(max(0, limit)))
        guard let rollout else {
            return try read(
                "SELECT \(JournalFile.columns) FROM entry WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
                [.integer(sequence), limit])
        }
        return try read(
            "SELECT \(JournalFile.columns) FROM entry WHERE rollout = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
            [.text(rollout.description), .integer(sequence), limit])
    }

    /// The entries of no rollout.
    func controllerEntries() throws(StoreError) -> [Entry] {
        try read("SELECT \(JournalFile.columns) FROM entry WHERE rollout IS NULL ORDER BY sequence", [])
    }

    /// Every rollout, by its first entry. Walks the index from name to name instead of over every entry.
    func rollouts() throws(StoreError) -> [RolloutID] {
        let texts = try rows(
            """
            WITH RECURSIVE name(value) AS (
                SELECT min(rollout) FROM entry
                UNION ALL
                SELECT (SELECT min(rollout) FROM entry WHERE rollout > value) FROM name WHERE value IS NOT NULL)
            SELECT value FROM name WHERE value IS NOT NULL ORDER BY (SELECT min(sequence) FROM entry WHERE rollout = value)
            """, []
        ) { String(decoding: $0.bytes(0), as: UTF8.self) }
        var rollouts: [RolloutID] = []
        for text in texts {
            guard let rollout = RolloutID(text) else { throw .damaged("the journal \(path) names a rollout '\(text)'") }
            rollouts.append(rollout)
        }
        return rollouts
    }

    func readLast() throws(StoreError) -> Entry? {
        try read("SELECT \(JournalFile.columns) FROM entry ORDER BY sequence DESC LIMIT 1", []).first
    }

    func read(_ query: String, _ bindings: [Binding]) throws(StoreError) -> [Entry] {
        var entries: [Entry] = []
        for row in try rows(query, bindings, StoredRow.init) {
            guard let entry = row.entry else {
                throw .damaged(
                    "entry \(row.sequence) of the journal \(path) belongs to a rollout '\(row.rollout ?? "")', which is no name")
            }
            entries.append(entry)
        }
        return entries
    }

    private func rows<Row>(_ query: String, _ bindings: [Binding], _ row: (Statement) -> Row) throws(StoreError) -> [Row] {
        guard let connection else { throw .unavailable("cannot read the journal \(path): it is closed") }
        do {
            let statement = try connection.prepare(query)
            for (index, binding) in bindings.enumerated() {
                switch binding {
                case .integer(let value): try statement.bind(Int32(index + 1), value)
                case .text(let value): try statement.bind(Int32(index + 1), text: Array(value.utf8))
                }
            }
            var rows: [Row] = []
            while try statement.step() { rows.append(row(statement)) }
            return rows
        } catch {
            let text = "cannot read the journal \(path): \(words(error))"
            throw error.meansDamage ? .damaged(text) : .unavailable(text)
        }
    }
}

/// One row as it is stored.
private struct StoredRow {
    var sequence: Int64
    var rollout: String?
    var entry: Entry?

    init(_ statement: Statement) {
        sequence = statement.integer(0)
        rollout = statement.isNull(2) ? nil : String(decoding: statement.bytes(2), as: UTF8.self)
        let name = rollout.map { RolloutID($0) }
        if case .some(.none) = name { return }
        entry = Entry(
            sequence: sequence, epoch: statement.integer(1), rollout: name ?? nil,
            at: Instant(millisecondsSince1970: statement.integer(3)), body: statement.bytes(4), previous: statement.bytes(5),
            hash: statement.bytes(6))
    }
}
