internal import SerinModel

extension Judge {
    mutating func createTable(_ table: TableDefinition) {
        // A table that is there already is none of this revision's, whatever the text says.
        if table.ifNotExists, schema[table.name] != nil { return }
        make(.table, table.name)
        schema[table.name] = KnownSchema.Table(isPartitioned: table.isPartitioned)
        for column in table.columns {
            schema.add(column, to: table.name)
            for constraint in column.constraints { reference(constraint, from: table.name) }
            flagJSON(column, of: table.name)
        }
        for constraint in table.constraints {
            schema.add(constraint, to: table.name)
            reference(constraint, from: table.name)
        }
        for constraint in table.columns.flatMap({ column in column.constraints.map { $0.about(column.name) } })
            + table.constraints
        {
            flagForeignKeyWithoutIndex(constraint, of: table.name)
        }
        if let parent = table.partitionOf {
            lock(parent, .accessExclusive)
            if !isNew(parent) {
                flag(
                    .partitionOrLock, "creating the partition \(table.name) in place takes ACCESS EXCLUSIVE on \(parent)",
                    safe:
                        "CREATE TABLE \(table.name) (LIKE \(parent) INCLUDING ALL); then ALTER TABLE \(parent) ATTACH PARTITION \(table.name) …"
                )
            }
        }
        for parent in table.parents { lock(parent, .shareUpdateExclusive) }
    }

    /// A new foreign key of a new table stops writers of the table that it points to.
    private mutating func reference(_ constraint: ConstraintDefinition, from table: RelationName) {
        if case .foreignKey(let target) = constraint.kind { lock(target, .shareRowExclusive) }
    }

    mutating func createTable(_ table: RelationName, from sources: [RelationName]) {
        make(.table, table)
        for source in sources {
            lock(source, .accessShare)
            saved.insert(source.full)
        }
    }

    mutating func alter(_ table: RelationName, _ change: TableChange) {
        switch change {
        case .addColumn(let column): addColumn(column, to: table)
        case .dropColumn(let column, let cascades): dropColumn(column, of: table, cascades)
        case .changeType(let column, let type, let conversion): changeType(column, of: table, to: type, conversion)
        case .setNotNull(let column): setNotNull(column, of: table)
        case .dropNotNull(let column):
            alterQuickly(table, .expand)
            survival(.depends("it may read NULL in \(table).\(quoted(column))"))
            schema.change(table) { $0.columns[column]?.isNotNull = false }
        case .setDefault: alterQuickly(table, .expand)
        case .dropDefault(let column):
            alterQuickly(table, .contract)
            breaks(
                isOwn(objectKey(.column, table, column)) || isNew(table),
                "it may insert rows without \(table).\(quoted(column)), whose default is gone",
                "the default of \(table).\(quoted(column)) is dropped")
        case .identity: alterQuickly(table, .expand)
        case .dropExpression: alterQuickly(table, .contract)
        case .addConstraint(let constraint): addConstraint(constraint, to: table)
        case .validate(let constraint): validate(constraint, of: table)
        case .dropConstraint(let name, let cascades): dropConstraint(name, of: table, cascades)
        case .alterConstraint: alterQuickly(table, .migrate)
        case .store(let what): store(table, what)
        case .setAccessMethod:
            needs(15, "SET ACCESS METHOD")
            store(table, "SET ACCESS METHOD")
        case .setParameters:
            lock(table, .shareUpdateExclusive)
            phase(.expand)
        case .setProperty: alterQuickly(table, .expand)
        case .switchTrigger(let what):
            lock(table, .shareRowExclusive)
            phase(.migrate)
            if !isNew(table) { survival(.depends("it may rely on triggers of \(table): \(what)")) }
        case .rowSecurity(let isEnabled):
            alterQuickly(table, isEnabled ? .contract : .expand)
            if isEnabled, !isNew(table) { survival(.depends("row level security may hide rows of \(table) from it")) }
        case .attach(let partition): attach(partition, to: table)
        case .detach(let partition, let isConcurrent): detach(partition, from: table, isConcurrent)
        case .inherit(let parent):
            lock(table, .accessExclusive)
            lock(parent, .shareUpdateExclusive)
            phase(.expand)
        case .other(let what): unknown("ALTER TABLE … \(what) is not among the changes that serin knows")
        }
    }

    /// A change of the catalogue alone, under the strongest lock.
    mutating func alterQuickly(_ table: RelationName, _ part: MigrationPhase) {
        lock(table, .accessExclusive)
        phase(part)
    }

    /// The previous version breaks. Going back it is already there again, so nothing is to be said then.
    mutating func breaks(_ isOwn: Bool, _ how: String, _ what: String, safe: String? = nil) {
        guard !isOwn, direction == .up else { return }
        survival(.breaks(how))
        flag(.breaksPrevious, "\(what): the previous version breaks, as \(how)", safe: safe)
    }

    /// Every row is written anew by storing it otherwise.
    private mutating func store(_ table: RelationName, _ what: String) {
        rewriteWhole(table, "ALTER TABLE … \(what)")
        phase(.expand)
    }

    /// Every row is written anew, by one statement for that alone.
    mutating func rewriteWhole(_ table: RelationName?, _ what: String) {
        guard let table else {
            report.mystery = report.mystery ?? "\(what) of every table"
            flag(
                .rewrites, "\(what) writes every table anew, one after the other",
                safe: "name the table, and use a tool that works online")
            return
        }
        lock(table, .accessExclusive)
        rewrites(table)
        flagRewrite(
            of: table, "\(what) writes every row of \(table) anew",
            safe: "do it in a maintenance window, or with a tool that works online")
    }

    /// Flags a rewrite unless the table is new or known to be small.
    mutating func flagRewrite(of table: RelationName, _ what: String, safe: String) {
        guard !isNew(table) else { return }
        let rows = settings.rowCount(table)
        flag(
            .rewrites, settings.isSmall(table) ? .warning : nil,
            what + (rows.map { ": \($0) rows, about \(Judge.seconds(rewriting: $0)) s without reads and writes" } ?? ""),
            safe: safe)
    }

    /// A million narrow rows a second, as measured with three indexes on a small machine.
    private static func seconds(rewriting rows: Int) -> Int { max(1, rows / 1_000_000 + (rows % 1_000_000 > 0 ? 1 : 0)) }

    private mutating func attach(_ partition: RelationName, to table: RelationName) {
        lock(table, .shareUpdateExclusive)
        lock(partition, .accessExclusive)
        phase(.expand)
        guard !isNew(partition) else { return }
        scans(partition)
        flag(
            .partitionOrLock, .warning,
            "ATTACH PARTITION reads every row of \(partition) under ACCESS EXCLUSIVE unless a check already proves its bounds",
            safe:
                "ALTER TABLE \(partition) ADD CONSTRAINT … CHECK (<the bounds>) NOT VALID; VALIDATE CONSTRAINT; then ATTACH, and drop the check"
        )
    }

    private mutating func detach(_ partition: RelationName, from table: RelationName, _ isConcurrent: Bool) {
        phase(.contract)
        survival(.depends("rows of \(partition) are no longer in \(table)"))
        lock(partition, .accessExclusive)
        lock(table, isConcurrent ? .shareUpdateExclusive : .accessExclusive)
        if isConcurrent {
            needs(14, "DETACH PARTITION CONCURRENTLY")
            flagInTransaction("DETACH PARTITION … CONCURRENTLY", rule: .partitionOrLock)
        } else if !isNew(table) {
            flag(
                .partitionOrLock, "DETACH PARTITION takes ACCESS EXCLUSIVE on \(table)",
                safe: settings.version >= 14
                    ? "ALTER TABLE \(table) DETACH PARTITION \(partition) CONCURRENTLY, outside a transaction"
                    : "keep lock_timeout short and try again; version 14 has DETACH PARTITION … CONCURRENTLY")
        }
    }
}

extension ConstraintDefinition {
    /// The constraint with the column that it stands behind.
    func about(_ column: String) -> ConstraintDefinition {
        guard columns.isEmpty, !isCheck else { return self }
        var placed = self
        placed.columns = [column]
        return placed
    }
}
