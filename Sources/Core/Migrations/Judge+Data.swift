internal import SerinModel

extension Judge {
    mutating func truncate(_ tables: [RelationName], _ cascades: Bool) {
        for table in tables {
            lock(table, .accessExclusive)
            rewrites(table)
            guard !isNew(table) else { continue }
            phase(.contract)
            loses("the rows of \(table)")
            survival(.depends("the rows of \(table) are gone"))
            let isUndone = direction == .down && isOwn(objectKey(.table, table))
            flag(.destroys, isUndone ? .warning : nil, "TRUNCATE destroys every row of \(table)")
        }
        if cascades {
            loses("the rows of every table that references them")
            flag(
                .destroys, "TRUNCATE … CASCADE empties every table that references them, which the text does not say",
                safe: "name the tables")
        }
    }

    mutating func insert(_ table: RelationName, _ sources: [RelationName]) {
        lock(table, .rowExclusive)
        for source in sources {
            lock(source, .accessShare)
            if isNew(table) { saved.insert(source.full) }
        }
        if !isNew(table) { phase(.migrate) }
    }

    mutating func update(_ change: DataChange) {
        guard changeRows(change) else { return }
        let table = change.table
        let isFilled = change.columns.allSatisfy {
            made.contains(objectKey(.column, table, $0)) || change.columnsThatAreNull.contains($0)
        }
        guard !isFilled || change.columns.isEmpty else { return flagBigChange(change, "UPDATE") }
        let columns = change.columns.map(quoted).joined(separator: ", ")
        if !saved.contains(table.full) {
            loses("the old values of \(columns.isEmpty ? "columns" : columns) in \(table)")
            flag(
                .overwrites, direction == .down ? .warning : nil,
                "UPDATE overwrites \(columns) of \(table), and the old values are saved nowhere",
                safe:
                    "CREATE TABLE \(quoted(table.name + "_before")) AS SELECT <key>, \(columns) FROM \(table) first, in this revision"
            )
        }
        survival(.depends("it reads \(columns) of \(table) as they were"))
        flagBigChange(change, "UPDATE")
    }

    mutating func delete(_ change: DataChange) {
        guard changeRows(change) else { return }
        let table = change.table
        let isUndone = direction == .down && isOwn(objectKey(.table, table))
        if !isUndone, change.hasCondition, !saved.contains(table.full) {
            loses("the deleted rows of \(table)")
            flag(
                .overwrites, direction == .down ? .warning : nil, "DELETE removes rows of \(table), which are saved nowhere",
                safe: "CREATE TABLE \(quoted(table.name + "_before")) AS SELECT * FROM \(table) WHERE … first, in this revision")
        } else if !change.hasCondition {
            loses("the rows of \(table)")
            flag(.destroys, isUndone ? .warning : nil, "DELETE without WHERE destroys every row of \(table)")
        }
        survival(.depends("the deleted rows of \(table) are gone"))
        flagBigChange(change, "DELETE")
    }

    mutating func merge(_ change: DataChange) {
        needs(15, "MERGE")
        guard changeRows(change) else { return }
        if !saved.contains(change.table.full) {
            loses("the old values of rows of \(change.table)")
            flag(
                .overwrites, direction == .down ? .warning : nil,
                "MERGE changes rows of \(change.table), and the old ones are saved nowhere")
        }
        survival(.depends("it reads rows of \(change.table) as they were"))
        flagBigChange(change, "MERGE")
    }

    /// The locks of a change of rows; false when nothing of it matters as the table is new, or the tool's own.
    private mutating func changeRows(_ change: DataChange) -> Bool {
        lock(change.table, .rowExclusive)
        for source in change.sources { lock(source, .accessShare) }
        guard !isNew(change.table) else { return false }
        // The tool's record of where the database is.
        if LintSettings.versionTables.contains(change.table.name) { return false }
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
