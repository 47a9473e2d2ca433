internal import SerinModel

extension Judge {
    mutating func truncate(_ tables: [RelationName], _ cascades: Bool) {
        for table in tables {
            lock(table, .accessExclusive)
            rewrites(table)
            disturb(table, "is emptied")
            guard !made.ownsRows(of: table) else { continue }
            phase(.contract)
            let isUndone = hasOwnRows(table)
            loses("the rows of \(table)", isOwn: isUndone)
            survival(.depends("the rows of \(table) are gone"))
            flag(.destroys, isUndone ? .warning : nil, "TRUNCATE destroys every row of \(table)")
        }
        if cascades {
            loses("the rows of every table that references them")
            flag(
                .destroys, "TRUNCATE … CASCADE empties every table that references them, which the text does not say",
                safe: "name the tables")
        }
    }

    mutating func insert(_ table: RelationName, _ sources: [RelationName], _ rows: [[String: String]]) {
        lock(table, .rowExclusive)
        for source in sources { lock(source, .accessShare) }
        disturb(table, "gets other rows")
        inserted[made.placed(table), default: []] += rows
        copies(sources)
        if !made.ownsRows(of: table) { phase(.migrate) }
    }

    /// Rows come in with keys that a sequence gives too, and does not know of.
    mutating func giveNumbers(_ table: RelationName, _ columns: [String]?) {
        guard direction == .up, let known = schema[table] else { return }
        let numbered = known.columns.values.filter { column in
            (column.type.isSerial || column.defaultValue == .sequence) && columns?.contains(column.name) != false
                && known.uniques.contains { $0.columns == [column.name] } && !isNumberedLater(column.name, of: table)
        }
        for column in numbered.map(\.name).sorted() {
            let name = "\(table).\(quoted(column))"
            guard unnumbered.insert(objectKey(.column, table.full, column)).inserted else { continue }
            if !isNew(table) { survival(.breaks("its next INSERT may get a number of \(name) that is there already")) }
            flag(
                .breaksPrevious, isNew(table) ? .warning : nil,
                "rows come in with numbers of \(name) of their own, of which its sequence does not know",
                why:
                    "the next INSERT that asks for a number may get one that is there already, and fails, whichever version sends it",
                safe:
                    "leave \(quoted(column)) out; or behind it, in the same revision, SELECT setval('<sequence>', greatest((SELECT max(\(quoted(column))) FROM \(table)), (SELECT last_value FROM <sequence>)))"
            )
        }
    }

    /// Whether the sequence of a column is set further on.
    private func isNumberedLater(_ column: String, of table: RelationName) -> Bool {
        /// A sequence that is no other column's by its name.
        func isOfColumn(_ sequence: RelationName) -> Bool {
            let owner = schema.table(numberedBy: sequence.name)
            return owner == nil || owner == table.full && sequence.name.hasSuffix("_\(column)_seq")
        }
        return laterNumberings.contains { action in
            switch action {
            case .catchesUp(let sequence): isOfColumn(sequence)
            case .alterSequence(let sequence, let what, let restarts): (restarts || what == "setval") && isOfColumn(sequence)
            case .alterTable(let other, let changes): other.full == table.full && changes.contains(.restartIdentity(column))
            default: false
            }
        }
    }

    /// Every row of tables that were there is read, to be written elsewhere.
    mutating func copies(_ sources: [RelationName]) {
        for source in sources where !isNew(source) && !settings.isSmall(source) { report.copies.append(source) }
    }

    mutating func update(_ change: DataChange) {
        guard changeRows(change) else { return }
        let table = change.table
        report.updates.append(table.full)
        report.updatedColumns.formUnion(change.columns)
        filled.formUnion(change.columns.map { objectKey(.column, table, $0) })
        runTriggers(of: change, "UPDATE") {
            $0.isOfUpdates && ($0.columns.isEmpty || !$0.columns.isDisjoint(with: change.columns))
        }
        let old = change.columns.filter { !isFill($0, change) }
        guard !old.isEmpty || change.columns.isEmpty else { return flagBigChange(change, "UPDATE") }
        if old.isEmpty || old.contains(where: { mayBeReferenced($0, in: table) }) {
            passOn(change, "UPDATE", by: \.passesUpdates)
        }
        let columns = change.columns.map(quoted).joined(separator: ", ")
        let isRestored = restores(change, Set(old))
        let open = openCopy(of: change)
        if isRestored || !save(change, old) {
            loses("the old values of \(columns.isEmpty ? "columns" : columns) in \(table)", isOwn: isRestored)
            if isRestored { report.overwritten.append("\(columns) of \(table)") }
            let saved = savedRevisions(change, old)
            flag(
                .overwrites, isRestored ? .warning : nil,
                "UPDATE overwrites \(columns) of \(table), and the old values are saved \(open.map { "only as they were when nobody kept others from writing: what commits between \($0) and this is nowhere" } ?? "nowhere")",
                why: open != nil || schema[table]?.keys.isEmpty == false
                    ? nil
                    : "the revisions show no primary key of \(table), so that nothing proves whose a saved value is",
                safe: saved.isEmpty ? savedForm(table, "<key>, \(columns)", where: change.hasCondition ? " WHERE …" : "") : nil,
                instead: saved)
        }
        survival(.depends("it reads \(columns) of \(table) as they were"))
        flagBigChange(change, "UPDATE")
    }

    /// A change is passed on to rows of other tables, of which no copy of this one knows.
    private mutating func passOn(_ change: DataChange, _ verb: String, by isPassed: (KnownSchema.ForeignKey) -> Bool) {
        let others = schema.reached(from: change.table, by: isPassed).filter { !isOwn(rowsOf: $0) }.map { table in
            (table.schema == "public" ? RelationName(table.name) : table).description
        }
        guard !others.isEmpty else { return }
        let names = others.joined(separator: ", ")
        loses("rows of \(names), which foreign keys change with those of \(change.table)")
        flag(
            .overwrites,
            "\(verb) of \(change.table) is passed on to rows of \(names) by foreign keys, and those are saved nowhere",
            safe: "drop the foreign key first, change the rows of \(names) with a copy of their own, and add it again NOT VALID")
    }

    /// Triggers that the revisions made see the change, and change more than the statement says.
    private mutating func runTriggers(
        of change: DataChange, _ verb: String, by isRun: (KnownSchema.Trigger) -> Bool
    ) {
        let names = (schema[change.table]?.triggers ?? [:]).filter { isRun($0.value) }.keys.sorted().map(quoted)
        guard !names.isEmpty else { return }
        let words = names.joined(separator: ", ")
        loses("what \(verb) of \(change.table) makes the trigger \(words) change")
        flag(
            .overwrites, "\(verb) of \(change.table) runs the trigger \(words), and what that changes is saved nowhere",
            safe: "drop the trigger in a release before, and make it again in one behind")
    }

    /// Whether all rows of a table that is known by its schema come from this revision.
    private func isOwn(rowsOf table: RelationName) -> Bool {
        let bare = RelationName(table.name)
        return hasOwnRows(table) || table.schema == "public" && made.placed(bare).schema == nil && hasOwnRows(bare)
    }

    /// Whether a column may be one that foreign keys point to.
    private func mayBeReferenced(_ column: String, in table: RelationName) -> Bool {
        schema[table]?.keys.contains { $0.contains(column) } ?? true || schema.mayBeIndexed(column, in: table)
    }

    /// Whether a column has only values that nobody had written before.
    private func isFill(_ column: String, _ change: DataChange) -> Bool {
        let key = objectKey(.column, change.table, column)
        return isOwn(key) || (pendingColumns.contains(comparable(key)) && change.columnsThatAreNull.contains(column))
    }

    /// How rows are saved so that none is missed; nil when the SQL of it says that.
    private func savedForm(_ table: RelationName, _ columns: String, where condition: String = "") -> String? {
        guard direction == .up else {
            return "leave the rows as they are, or write back, by the key, what the way forward saved before it changed them"
        }
        return
            "LOCK TABLE \(table) IN SHARE ROW EXCLUSIVE MODE; CREATE TABLE \(quoted(table.name + "_before")) AS SELECT \(columns) FROM \(table)\(condition) first, in \(transaction.isOpen ? "this transaction" : "one transaction with it (BEGIN; … COMMIT)")"
    }

    /// A change with a copy of its rows before it, and the way back that surely writes them back; none when that is not known to work.
    ///
    /// - Parameter columns: The columns whose values are overwritten; nil when rows are removed.
    private func savedRevisions(_ change: DataChange, _ columns: [String]?) -> [SafeRevision] {
        let table = change.table
        let isDelete = columns == nil
        guard direction == .up, var statement = wholeText(of: isDelete ? "DELETE FROM \(table) " : "UPDATE \(table) SET "),
            let key = schema[table]?.keys.first, !(columns ?? []).contains(where: key.contains), !statement.holds("RETURNING")
        else { return [] }
        var rows = ""
        if change.hasCondition {
            guard let place = statement.placeOutsideQuotes(of: " WHERE ") else { return [] }
            rows = String(statement[place...])
        }
        let known = schema[table]?.columns.values.map(\.defaultValue) ?? []
        let copy = RelationName(schema: table.schema, table.name + "_before")
        let byKey = key.map { "saved.\(quoted($0)) = \(quoted(table.name)).\(quoted($0))" }.joined(separator: " AND ")
        var taken = "*"
        let back: String
        if let columns {
            guard !change.hasCondition || change.condition != nil else { return [] }
            taken = (key + columns).map(quoted).joined(separator: ", ")
            let values = columns.map { "\(quoted($0)) = saved.\(quoted($0))" }.joined(separator: ", ")
            back = "UPDATE \(table) SET \(values) FROM \(copy) saved WHERE \(byKey)"
        } else {
            guard change.hasCondition, !known.contains(.stored) else { return [] }
            if change.condition == nil { statement = "DELETE FROM \(table) USING \(copy) saved WHERE \(byKey)" }
            back = "INSERT INTO \(table)\(known.contains(.sequence) ? " OVERRIDING SYSTEM VALUE" : "") SELECT * FROM \(copy)"
        }
        let steps = [
            "LOCK TABLE \(table) IN SHARE ROW EXCLUSIVE MODE", "CREATE TABLE \(copy) AS SELECT \(taken) FROM \(table)\(rows)",
            statement,
        ]
        return [SafeRevision(inTransaction(steps), back: [back, "DROP TABLE \(copy)"])]
    }

    /// A copy of the table that was made while others could write to it, or in another transaction.
    private func openCopy(of change: DataChange) -> RelationName? {
        let table = made.placed(change.table)
        return copies.filter { made.placed($0.value.copy.source) == table && !isStill($0.value) }.keys.min {
            "\($0)" < "\($1)"
        }
    }

    /// Whether nobody else has written to what was copied since.
    private func isStill(_ saved: SavedRows) -> Bool { transaction.isOpen && saved.transaction == transaction.number }

    /// Whether the old rows stand in a table that this direction made of them and that stays: the same rows or all, with their key and
    /// every column that changes, and nobody else wrote in between.
    private mutating func save(_ change: DataChange, _ columns: [String]?, isMerge: Bool = false) -> Bool {
        guard direction == .up, !schema.viewNames.contains(change.table.full) else { return false }
        // Rows of an heir come back into its parent, without the columns that only the heir has.
        if columns == nil, let known = schema[change.table], known.hasHeirs, !known.isPartitioned { return false }
        let table = made.placed(change.table)
        let keys = schema[change.table]?.keys.first
        let place = copies.keys.sorted { "\($0)" < "\($1)" }.first { place in
            guard let saved = copies[place], !saved.isSpent, isStill(saved), made.placed(saved.copy.source) == table else {
                return false
            }
            let copy = saved.copy
            let isWhole = copy.columns == nil
            let hasColumns =
                columns.map { columns in
                    guard let keys else { return false }
                    let held = copy.columns ?? columns + keys
                    return !columns.isEmpty && (columns + keys).allSatisfy(held.contains)
                        && !columns.contains(where: keys.contains)
                } ?? isWhole
            // Exactly the rows that were copied, whatever they are.
            if let rows = change.rowsOf, made.placed(rows.table) == place, let keys, Set(rows.keys) == Set(keys) {
                return hasColumns
            }
            // The way back from a wider copy would put back values of rows that were never changed.
            return hasColumns && (copy.condition == change.condition || copy.condition == nil && columns == nil)
        }
        if let place {
            copies[place]?.isUsed = true
            copies[place]?.columns.formUnion(columns ?? [])
            if columns == nil { copies[place]?.isForRows = true }
            if isMerge { copies[place]?.isForMerge = true }
        }
        // What a condition finds is other rows from now on.
        for (other, saved) in copies where saved.copy.condition != nil && made.placed(saved.copy.source) == table {
            copies[other]?.isSpent = true
        }
        return place != nil
    }

    /// Whether values are put back that the way forward saved before it changed them.
    private func restores(_ change: DataChange, _ columns: Set<String>) -> Bool {
        guard direction == .down, !columns.isEmpty else { return false }
        return forward.copies.contains { place, saved in
            saved.isUsed && change.sources.contains { made.placed($0).full == place.full }
                && saved.copy.source.full == change.table.full
                && columns.isSubset(of: saved.columns) && columns.isSubset(of: proven)
        }
    }

    /// Rows of a copy are written back. Only what surely meets every row that was changed counts: by the key, and nothing else.
    mutating func bringBack(_ rows: RowsBrought) {
        let place = made.placed(rows.source).full
        proven = []
        // A table that this way back made, or called so, is another one.
        let target = made.placed(rows.table).full
        guard direction == .down, !spoiled.contains(place), !isNew(rows.table) else { return }
        // All of them, into a table that stays, and nobody writes more of them.
        if rows.inserts, !rows.skips, rows.updates.isEmpty, !hasOwnRows(rows.table),
            apart.contains(place) || transaction.still.contains(place)
        {
            forward.made.leadOthersBack(from: made.placed(rows.source))
        }
        let copies = forward.copies.filter { $0.key.full == place }
        guard !apart.contains(target), copies.values.contains(where: { $0.copy.source.full == rows.table.full }) else { return }
        let isByKey = schema[rows.table]?.keys.first.map { Set($0) == Set(rows.keys) } ?? false
        var found = restored[place] ?? RowsRestored()
        proven = isByKey ? Set(rows.updates) : []
        found.columns.formUnion(proven)
        if rows.inserts, rows.keys.isEmpty && !rows.skips || isByKey { found.hasRows = true }
        restored[place] = found
    }

    /// Whether only rows are removed that the way forward put in: those with values of a key that it gave.
    private func takesBackRows(_ change: DataChange) -> Bool {
        guard direction == .down, let rows = forward.inserted[made.placed(change.table)] else { return false }
        return (schema[change.table]?.keys ?? []).contains { key in
            guard key.count == 1, let column = key.first, let values = change.values[column] else { return false }
            return values.allSatisfy { value in rows.contains { $0[column] == value } }
        }
    }

    mutating func delete(_ change: DataChange) {
        guard changeRows(change) else { return }
        let table = change.table
        report.deletes.append(table.full)
        let isUndone = hasOwnRows(table) || takesBackRows(change)
        if !isUndone, change.hasCondition, !save(change, nil) {
            loses("the deleted rows of \(table)")
            let saved = savedRevisions(change, nil)
            flag(
                .overwrites,
                "DELETE removes rows of \(table), which are saved \(openCopy(of: change).map { "only as they were when nobody kept others from writing: what commits between \($0) and this is nowhere" } ?? "nowhere")",
                safe: saved.isEmpty ? savedForm(table, "*", where: " WHERE …") : nil, instead: saved)
        } else if !change.hasCondition {
            loses("the rows of \(table)", isOwn: isUndone)
            flag(.destroys, isUndone ? .warning : nil, "DELETE without WHERE destroys every row of \(table)")
        }
        passOn(change, "DELETE", by: \.passesDeletes)
        // What was deleted comes back as new rows.
        let comesBack = direction == .up
        runTriggers(of: change, "DELETE") { $0.isOfDeletes || $0.isOfInserts && comesBack }
        survival(.depends("the deleted rows of \(table) are gone"))
        flagBigChange(change, "DELETE")
    }

    mutating func merge(_ change: DataChange) {
        needs(15, "MERGE")
        guard changeRows(change) else { return }
        report.updates.append(change.table.full)
        report.deletes.append(change.table.full)
        if !save(change, nil, isMerge: true) {
            loses("the old values of rows of \(change.table)", isOwn: hasOwnRows(change.table))
            flag(
                .overwrites, hasOwnRows(change.table) ? .warning : nil,
                "MERGE changes rows of \(change.table), and the old ones are saved nowhere")
        }
        passOn(change, "MERGE") { $0.passesDeletes || $0.passesUpdates }
        runTriggers(of: change, "MERGE") { _ in true }
        survival(.depends("it reads rows of \(change.table) as they were"))
        flagBigChange(change, "MERGE")
    }

    /// The locks of a change of rows; false when nothing of it matters as the table is new, or the tool's own.
    private mutating func changeRows(_ change: DataChange) -> Bool {
        lock(change.table, .rowExclusive)
        for source in change.sources { lock(source, .accessShare) }
        disturb(change.table, "is changed")
        guard !made.ownsRows(of: change.table) else { return false }
        // The tool's record of where the database is.
        if text.holdsRecord, LintSettings.versionTables.contains(change.table.name) { return false }
        phase(.migrate)
        return true
    }

    private mutating func flagBigChange(_ change: DataChange, _ verb: String) {
        let table = change.table
        guard !change.isBatch, !settings.isSmall(table), !namesItsRows(change) else { return }
        flag(
            .bigChange,
            "\(verb) of \(change.hasCondition ? "as many rows as its condition finds" : "every row") of \(table) in one transaction",
            safe:
                "serin migrate backfill, or batches by key: \(verb == "DELETE" ? "DELETE FROM \(table)" : "UPDATE \(table) SET …") WHERE <key> IN (SELECT <key> FROM \(table) WHERE … LIMIT 5000), each committed"
        )
    }

    /// Whether the values of a key are given, each of which is that of one row.
    private func namesItsRows(_ change: DataChange) -> Bool {
        (schema[change.table]?.uniques ?? []).contains { key in
            let counts = key.columns.map { change.values[$0]?.count }
            return !counts.isEmpty
                && counts.reduce(1 as Int?) { product, count in
                    guard let product, let count, product <= Judge.mostNamedRows else { return nil }
                    return product * count
                }.map { $0 <= Judge.mostNamedRows } ?? false
        }
    }

    /// The most rows that a condition may give by their keys.
    private static let mostNamedRows = 10_000

    mutating func vacuum(_ tables: [RelationName], _ isFull: Bool) {
        flagInTransaction("VACUUM", rule: .transactions)
        guard isFull else {
            for table in tables { lock(table, .shareUpdateExclusive) }
            return
        }
        for table in tables { rewriteWhole(table, "VACUUM FULL") }
        if tables.isEmpty { rewriteWhole(nil, "VACUUM FULL") }
    }

    mutating func refresh(_ view: RelationName, _ isConcurrent: Bool) {
        lock(view, isConcurrent ? .exclusive : .accessExclusive)
        phase(.migrate)
        guard !isConcurrent, !isNew(view) else { return }
        rewrites(view)
        flag(
            .partitionOrLock, "REFRESH MATERIALIZED VIEW takes ACCESS EXCLUSIVE on \(view) while it computes",
            safe: "which needs a unique index on it",
            instead: [SafeRevision(["REFRESH MATERIALIZED VIEW CONCURRENTLY \(view)"])])
    }

    mutating func lockTables(_ tables: [RelationName], _ mode: TableLock, withoutHeirs heirless: [RelationName]) {
        for table in tables {
            lock(table, mode)
            if mode.blocksWrites, !heirless.contains(table) { transaction.stop(made.placed(table).full) }
        }
        let others = tables.filter { !isNew($0) && !isCopiedLater($0) }
        guard !others.isEmpty else { return }
        flag(
            .partitionOrLock, mode.blocksWrites ? .error : .warning,
            "LOCK TABLE takes \(mode.name) on \(others.map { "\($0)" }.joined(separator: ", ")) until the transaction ends",
            safe: "leave locking to the statements; one statement a transaction needs no LOCK TABLE")
    }

    /// Whether rows of a table are saved or written back further on in this transaction, for which nobody may write meanwhile.
    private func isCopiedLater(_ table: RelationName) -> Bool {
        for action in upcoming.flatMap(\.actions) {
            switch action {
            case .commit, .rollback: return false
            case .createTableAs(let query): if query.copy?.source.full == table.full { return true }
            case .bringsBack(let rows): if rows.source.full == table.full { return true }
            default: continue
            }
        }
        return false
    }
}

extension StatementAction {
    /// Whether it may set a sequence.
    var isNumbering: Bool {
        switch self {
        case .catchesUp, .alterSequence: true
        case .alterTable(_, let changes):
            changes.contains {
                if case .restartIdentity = $0 { return true }
                return false
            }
        default: false
        }
    }
}

extension LintSettings {
    /// The tables in which the known tools keep where the database is: Alembic, golang-migrate and dbmate, Flyway, Django, Prisma.
    static let versionTables = [
        "alembic_version", "schema_migrations", "flyway_schema_history", "django_migrations", "_prisma_migrations",
    ]
}
