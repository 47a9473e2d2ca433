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
        if direction == .down { spoiled.insert(made.placed(table).full) }
        inserted[made.placed(table), default: []] += rows
        if !made.ownsRows(of: table) { phase(.migrate) }
    }

    mutating func update(_ change: DataChange) {
        guard changeRows(change) else { return }
        let table = change.table
        report.updates.append(table.full)
        let old = change.columns.filter { !isFill($0, change) }
        guard !old.isEmpty || change.columns.isEmpty else { return flagBigChange(change, "UPDATE") }
        if old.isEmpty || old.contains(where: { mayBeReferenced($0, in: table) }) {
            passOn(change, "UPDATE", by: \.passesUpdates)
        }
        let columns = change.columns.map(quoted).joined(separator: ", ")
        let isRestored = restores(change, Set(old))
        if isRestored || !save(change, old) {
            loses("the old values of \(columns.isEmpty ? "columns" : columns) in \(table)", isOwn: isRestored)
            if isRestored { report.overwritten.append("\(columns) of \(table)") }
            flag(
                .overwrites, isRestored ? .warning : nil,
                "UPDATE overwrites \(columns) of \(table), and the old values are saved nowhere",
                why: schema[table]?.keys.isEmpty == false
                    ? nil
                    : "the revisions show no primary key of \(table), so that nothing proves whose a saved value is",
                safe:
                    "CREATE TABLE \(quoted(table.name + "_before")) AS SELECT <key>, \(columns) FROM \(table) first, in this revision"
            )
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

    /// Whether the old rows stand in a table that this direction made of them and that stays: the same rows or all, with their key and
    /// every column that changes.
    private mutating func save(_ change: DataChange, _ columns: [String]?, isMerge: Bool = false) -> Bool {
        guard direction == .up, !schema.viewNames.contains(change.table.full) else { return false }
        let table = made.placed(change.table)
        let keys = schema[change.table]?.keys.first
        let place = copies.keys.sorted { "\($0)" < "\($1)" }.first { place in
            guard let saved = copies[place], !saved.isSpent, made.placed(saved.copy.source) == table else { return false }
            let copy = saved.copy
            let isWhole = copy.columns == nil
            let hasColumns =
                columns.map { columns in
                    guard let keys else { return false }
                    let held = copy.columns ?? columns + keys
                    return !columns.isEmpty && (columns + keys).allSatisfy(held.contains)
                        && !columns.contains(where: keys.contains)
                } ?? isWhole
            return hasColumns && (copy.condition == nil || copy.condition == change.condition)
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
        guard direction == .down, !spoiled.contains(place) else { return }
        if rows.inserts { forward.made.leadOthersBack(from: made.placed(rows.source)) }
        let copies = forward.copies.filter { $0.key.full == place }
        guard copies.values.contains(where: { $0.copy.source.full == rows.table.full }) else { return }
        let isByKey = schema[rows.table]?.keys.first.map { Set($0) == Set(rows.keys) } ?? false
        var found = restored[place] ?? RowsRestored()
        proven = isByKey ? Set(rows.updates) : []
        found.columns.formUnion(proven)
        if rows.inserts, rows.keys.isEmpty || isByKey { found.hasRows = true }
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
            flag(
                .overwrites, "DELETE removes rows of \(table), which are saved nowhere",
                safe: "CREATE TABLE \(quoted(table.name + "_before")) AS SELECT * FROM \(table) WHERE … first, in this revision")
        } else if !change.hasCondition {
            loses("the rows of \(table)", isOwn: isUndone)
            flag(.destroys, isUndone ? .warning : nil, "DELETE without WHERE destroys every row of \(table)")
        }
        passOn(change, "DELETE", by: \.passesDeletes)
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
        guard !change.isBatch, !settings.isSmall(table) else { return }
        flag(
            .bigChange,
            "\(verb) of \(change.hasCondition ? "as many rows as its condition finds" : "every row") of \(table) in one transaction",
            safe:
                "serin migrate backfill, or batches by key: \(verb == "DELETE" ? "DELETE FROM \(table)" : "UPDATE \(table) SET …") WHERE <key> IN (SELECT <key> FROM \(table) WHERE … LIMIT 5000), each committed"
        )
    }

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
            safe: "REFRESH MATERIALIZED VIEW CONCURRENTLY \(view), which needs a unique index on it")
    }

    mutating func lockTables(_ tables: [RelationName], _ mode: TableLock) {
        for table in tables { lock(table, mode) }
        guard tables.contains(where: { !isNew($0) }) else { return }
        flag(
            .partitionOrLock, mode.blocksWrites ? .error : .warning,
            "LOCK TABLE takes \(mode.name) on \(tables.map { "\($0)" }.joined(separator: ", ")) until the transaction ends",
            safe: "leave locking to the statements; one statement a transaction needs no LOCK TABLE")
    }
}

extension LintSettings {
    /// The tables in which the known tools keep where the database is: Alembic, golang-migrate and dbmate, Flyway, Django, Prisma.
    static let versionTables = [
        "alembic_version", "schema_migrations", "flyway_schema_history", "django_migrations", "_prisma_migrations",
    ]
}
