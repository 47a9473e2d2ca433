internal import SerinModel

extension Judge {
    mutating func createTable(_ table: TableDefinition) {
        // In the way back an empty table is not the one that was renamed.
        if direction == .up { given.insert(comparable(objectKey(.table, table.name))) }
        phase(.expand)
        // Whatever may be there already is none of this revision's, and what it looks like is not known.
        if table.ifNotExists { return reachParents(of: table) }
        // What goes with the transaction gives its name back to whatever had it.
        if !table.dropsOnCommit {
            made.insert(table: table.name, isTemporary: table.isTemporary, ownsRows: !table.isForeign)
        }
        if table.isTemporary { return }
        if isTaken(table.name) { leadOthers(to: table.name) }
        // Under another search path it is a table of that name somewhere else.
        guard table.name.schema != nil || made.placed(table.name) == table.name else { return reachParents(of: table) }
        schema[table.name] = KnownSchema.Table(isPartitioned: table.isPartitioned)
        schema.change(table.name) { $0.isWhole = table.isWhole }
        for column in table.columns {
            schema.add(column, to: table.name)
            for constraint in column.constraints { reference(constraint, from: table.name) }
            flagJSON(column, of: table.name)
        }
        for constraint in table.constraints {
            schema.add(constraint, to: table.name)
            reference(constraint, from: table.name)
        }
        if let bounds = table.bounds { know(.bounds(of: table.name), bounds) }
        for constraint in table.columns.flatMap({ column in column.constraints.map { $0.about(column.name) } })
            + table.constraints
        {
            flagForeignKeyWithoutIndex(constraint, of: table.name)
        }
        reachParents(of: table)
    }

    /// The tables that a new one becomes a part of.
    private mutating func reachParents(of table: TableDefinition) {
        for parent in table.parents + [table.partitionOf].compactMap(\.self) { schema.change(parent) { $0.hasHeirs = true } }
        if let parent = table.partitionOf {
            schema.change(table.name) { $0.partitionOf = parent }
            lock(parent, .accessExclusive)
            lockDefaultPartition(of: parent)
            if table.isDefaultPartition { schema.change(parent) { $0.defaultPartition = table.name } }
            if !isNew(parent) {
                leadOthers(to: table.name)
                let bounds =
                    table.isPartitioned || table.ifNotExists || !table.columns.isEmpty || !table.constraints.isEmpty
                    ? nil : textFrom(" FOR VALUES ", of: "CREATE TABLE").map { String($0.dropFirst()) }
                flag(
                    .partitionOrLock, "creating the partition \(table.name) in place takes ACCESS EXCLUSIVE on \(parent)",
                    safe: bounds == nil
                        ? "CREATE TABLE \(table.name) (LIKE \(parent) INCLUDING ALL); then ALTER TABLE \(parent) ATTACH PARTITION \(table.name) …"
                        : nil,
                    instead: bounds.map { bounds in
                        [
                            SafeRevision([
                                "CREATE TABLE \(table.name) (LIKE \(parent) INCLUDING ALL)",
                                "ALTER TABLE \(parent) ATTACH PARTITION \(table.name) \(bounds)",
                            ])
                        ]
                    } ?? [])
            }
        }
        for parent in table.parents {
            lock(parent, .shareUpdateExclusive)
            if !isNew(parent) { leadOthers(to: table.name) }
        }
    }

    /// A new foreign key of a new table stops writers of the table that it points to.
    private mutating func reference(_ constraint: ConstraintDefinition, from table: RelationName) {
        guard case .foreignKey(let target) = constraint.kind else { return }
        lock(target, .shareRowExclusive)
        guard direction == .up, isNew(table), !isNew(target), !constraint.passesDeletes else { return }
        flag(
            .breaksPrevious, .warning,
            "a row of \(target) that \(table) points to cannot be deleted any more",
            why: "the previous version may delete such a row",
            safe: "ON DELETE CASCADE or SET NULL, or no foreign key until the previous version is gone")
    }

    mutating func createTable(_ query: TableQuery) {
        for source in query.sources { lock(source, .accessShare) }
        copies(query.sources)
        if direction == .up { given.insert(comparable(objectKey(.table, query.name))) }
        phase(.expand)
        guard !query.ifNotExists else { return }
        made.insert(table: query.name, isTemporary: query.isTemporary, ownsRows: true)
        if !query.isTemporary, isTaken(query.name) { leadOthers(to: query.name) }
        guard let copy = query.copy, !query.isTemporary, !made.isTemporary(copy.source) else { return }
        let isStill = transaction.still.contains(made.placed(copy.source).full)
        copies[made.placed(query.name)] = SavedRows(copy: copy, transaction: isStill ? transaction.number : nil)
    }

    /// Whether something of this name was there, and is called otherwise now or gone: whoever used it uses what has its name now.
    func isTaken(_ table: RelationName) -> Bool { taken.contains(comparable(objectKey(.table, table))) }

    /// What the previous version writes to a table that was there reaches this one.
    mutating func leadOthers(to table: RelationName) { if direction == .up { made.leadOthers(to: made.placed(table)) } }

    /// Rows that were saved in a table are not safe there any more.
    mutating func disturb(_ table: RelationName, _ what: String) {
        if direction == .down { spoiled.insert(made.placed(table).full) }
        guard let saved = copies.removeValue(forKey: made.placed(table)), saved.isUsed else { return }
        loses("the saved rows of \(saved.copy.source)")
        flag(.overwrites, "\(table), which holds the old values of \(saved.copy.source), \(what)")
    }

    mutating func alter(_ table: RelationName, _ change: TableChange) {
        let table = made.isTemporary(table) ? made.placed(table) : table
        switch change {
        case .addColumn(let column, let ifNotExists): addColumn(column, to: table, ifNotExists: ifNotExists)
        case .dropColumn(let column, let cascades): dropColumn(column, of: table, cascades)
        case .changeType(let column, let type, let conversion, let collation):
            changeType(column, of: table, to: type, conversion, collation: collation)
        case .setNotNull(let column): setNotNull(column, of: table)
        case .dropNotNull, .setDefault, .dropDefault, .addIdentity, .restartIdentity, .changeIdentity, .dropExpression:
            alterColumn(of: table, change)
        case .addConstraint(let constraint): addConstraint(constraint, to: table)
        case .validate(let constraint): validate(constraint, of: table)
        case .dropConstraint(let name, let cascades): dropConstraint(name, of: table, cascades)
        case .alterConstraint(let name):
            alterQuickly(table, .contract)
            alters("constraint \(quoted(name))", of: table, isOwn: isNew(table))
            if !isNew(table) { depends("it may rely on when \(quoted(name)) is checked") }
        case .store(let what): store(table, what)
        case .setUnlogged:
            store(table, "SET UNLOGGED")
            disturb(table, "is emptied by a crash")
            guard !isNew(table) else { break }
            phase(.contract)
            loses("every row of \(table) after a crash or on a standby", isOwn: hasOwnRows(table))
            if !hasOwnRows(table) { flag(.destroys, "SET UNLOGGED: after a crash, and on every standby, \(table) is empty") }
        case .setAccessMethod:
            needs(15, "SET ACCESS METHOD")
            store(table, "SET ACCESS METHOD")
        case .setParameters:
            lock(table, .shareUpdateExclusive)
            phase(.expand)
        case .setProperty: alterQuickly(table, .expand)
        case .setBehaviour(let what):
            alterQuickly(table, isNew(table) ? .expand : .contract)
            alters(what, of: table, isOwn: isNew(table))
            if !isNew(table) { depends("it may rely on what \(what) changes of \(table)") }
        case .switchTrigger(let what):
            lock(table, .shareRowExclusive)
            phase(.migrate)
            alters("switched triggers", of: table, isOwn: isNew(table))
            if !isNew(table) { survival(.depends("it may rely on triggers of \(table): \(what)")) }
        case .rowSecurity(let isEnabled): switchRowSecurity(of: table, isEnabled)
        case .attach(let partition, let isDefault, let bounds):
            attach(partition, to: table, isDefault)
            know(.bounds(of: partition), bounds)
        case .detach(let partition, let isConcurrent):
            detach(partition, from: table, isConcurrent)
            schema.facts[.bounds(of: partition)] = nil
        case .inherit(let parent, let isLeft): inherit(table, parent, isLeft)
        case .other(let what): unknown("ALTER TABLE … \(what) is not among the changes that serin knows")
        }
    }

    /// What a column may hold, and where its values come from.
    private mutating func alterColumn(of table: RelationName, _ change: TableChange) {
        switch change {
        case .dropNotNull(let column):
            alterQuickly(table, .expand)
            survival(.depends("it may read NULL in \(table).\(quoted(column))"))
            alters("NOT NULL of \(quoted(column))", of: table, isOwn: isOwnColumn(column, of: table))
            schema.change(table) {
                $0.columns[column]?.isNotNull = false
                $0.notNull.remove(column)
            }
        case .setDefault(let column, let text, let isNumber):
            know(.defaultValue(of: column, table), text)
            if isNumber { schema.change(table) { $0.columns[column]?.defaultValue = .sequence } }
            let isKnown = isNewColumn(column, of: table)
            alters("default of \(quoted(column))", of: table, isOwn: isOwnColumn(column, of: table))
            alterQuickly(table, isKnown ? .expand : .contract)
            if !isKnown { depends("the rows that it inserts without \(table).\(quoted(column)) get another value") }
        case .dropDefault(let column):
            know(.defaultValue(of: column, table), "")
            alterQuickly(table, .contract)
            alters("default of \(quoted(column))", of: table, isOwn: isOwnColumn(column, of: table))
            breaks(
                isNew(table)
                    || isNewColumn(column, of: table) && schema[table]?.columns[column].map { !$0.isNotNull } ?? false,
                "it may insert rows without \(table).\(quoted(column)), whose default is gone",
                "the default of \(table).\(quoted(column)) is dropped")
        case .addIdentity(let column):
            schema.change(table) { $0.columns[column]?.defaultValue = .sequence }
            alterQuickly(table, isNew(table) ? .expand : .contract)
            alters("identity of \(quoted(column))", of: table, isOwn: isOwnColumn(column, of: table))
            if !isNew(table) { depends("it may write \(table).\(quoted(column)), which gets numbers of its own") }
        case .restartIdentity(let column): restarts("\(table).\(quoted(column))", isOwn: isOwnColumn(column, of: table))
        case .changeIdentity(let column, let what):
            alterQuickly(table, isNew(table) ? .expand : .contract)
            alters("identity of \(quoted(column))", of: table, isOwn: isOwnColumn(column, of: table))
            breaks(
                isNew(table), "it inserts rows that get their numbers from \(table).\(quoted(column))",
                "\(what) of \(table).\(quoted(column))")
        case .dropExpression(let column):
            alterQuickly(table, .contract)
            alters("expression of \(quoted(column))", of: table, isOwn: isOwnColumn(column, of: table))
            if !isNew(table) { depends("it reads \(table).\(quoted(column)), which is computed no more") }
        default: break
        }
    }

    private mutating func switchRowSecurity(of table: RelationName, _ isEnabled: Bool) {
        alterQuickly(table, isNew(table) ? .expand : .contract)
        alters("row level security", of: table, isOwn: isNew(table))
        if isEnabled { hides(table) }
        guard !isNew(table) else { return }
        if isEnabled {
            depends("row level security may hide rows of \(table) from it")
        } else {
            depends("row level security hid rows of \(table) from it")
            flag(.security, "row level security of \(table) is taken off: whoever may read it sees every row")
        }
    }

    /// Rows may not be seen by whoever writes them back.
    mutating func hides(_ table: RelationName) {
        disturb(table, "may hide rows")
        spoilCopies(of: table)
        let place = made.placed(table)
        guard copies.values.contains(where: { $0.isUsed && made.placed($0.copy.source) == place }) else { return }
        loses("rows of \(table) that are hidden from the way back")
    }

    private mutating func inherit(_ table: RelationName, _ parent: RelationName, _ isLeft: Bool) {
        lock(table, .accessExclusive)
        lock(parent, .shareUpdateExclusive)
        phase(isNew(table) ? .expand : .contract)
        schema.change(parent) { $0.hasHeirs = true }
        alters("heir \(table)", of: parent, isOwn: isNew(table))
        if isLeft { apart.insert(made.placed(table).full) }
        if isNew(table), !isLeft, !isNew(parent) { leadOthers(to: table) }
        guard !isNew(table) else { return }
        if !isLeft { shareRows(of: parent) }
        if !isNew(parent) { depends("the rows of \(table) are \(isLeft ? "no longer" : "now") among those of \(parent)") }
    }

    /// Whether nothing was in a column before: this or an earlier pending revision added it.
    func isNewColumn(_ column: String, of table: RelationName) -> Bool {
        let key = objectKey(.column, table, column)
        return isNew(table) || isOwn(key) || pendingColumns.contains(comparable(key))
    }

    /// Whether this revision added a column, or its table.
    func isOwnColumn(_ column: String, of table: RelationName) -> Bool {
        isNew(table) || isOwn(objectKey(.column, table, column))
    }

    /// Rows that were there before can be reached through a table of this revision.
    mutating func shareRows(of table: RelationName) {
        let place = made.placed(table)
        made.sharesRows(place)
        forward.made.sharesRows(place)
    }

    /// A foreign key that hands changes on: what is done to the rows of its target is done to others' too.
    mutating func reachOthers(_ constraint: ConstraintDefinition, from table: RelationName) {
        guard constraint.cascades, case .foreignKey(let target) = constraint.kind, !isNew(table) else { return }
        let place = made.placed(target)
        made.reachesOthers(place)
        forward.made.reachesOthers(place)
    }

    /// The previous version may notice it. Going back it is already there again.
    mutating func depends(_ how: String) { if direction == .up { survival(.depends(how)) } }

    /// A change of the catalogue alone, under the strongest lock.
    mutating func alterQuickly(_ table: RelationName, _ part: MigrationPhase) {
        lock(table, .accessExclusive)
        phase(part)
    }

    /// The previous version breaks. Going back it is already there again, so nothing is to be said then.
    mutating func breaks(
        _ isOwn: Bool, _ how: String, _ what: String, safe: String? = nil, instead revisions: [SafeRevision] = []
    ) {
        guard !isOwn, direction == .up else { return }
        survival(.breaks(how))
        flag(.breaksPrevious, "\(what): the previous version breaks, as \(how)", safe: safe, instead: revisions)
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

    /// What comes into a partition of its own must not be in the default one: every row there is looked at.
    private mutating func lockDefaultPartition(of table: RelationName) {
        guard let other = schema[table]?.defaultPartition, !isNew(other) else { return }
        lock(other, .accessExclusive)
        scans(other)
        flag(
            .partitionOrLock,
            "a new partition of \(table) takes ACCESS EXCLUSIVE on its default partition \(other) and reads every row of it",
            safe:
                "ALTER TABLE \(other) ADD CONSTRAINT … CHECK (NOT <the bounds>) NOT VALID and VALIDATE CONSTRAINT first: then nothing is read, under a lock that is short"
        )
    }

    private mutating func attach(_ partition: RelationName, to table: RelationName, _ isDefault: Bool) {
        lock(table, .shareUpdateExclusive)
        lock(partition, .accessExclusive)
        lockDefaultPartition(of: table)
        if isDefault { schema.change(table) { $0.defaultPartition = partition } }
        schema.change(partition) { $0.partitionOf = table }
        phase(.expand)
        schema.change(table) { $0.hasHeirs = true }
        alters("partition \(partition)", of: table, isOwn: isNew(partition) || isOwn(objectKey(.table, partition)))
        if isNew(partition), !isNew(table) { leadOthers(to: partition) }
        guard !isNew(partition) else { return }
        if isNew(table) { shareRows(of: table) }
        depends("the rows of \(partition) are now among those of \(table)")
        scans(partition)
        flag(
            .partitionOrLock, .warning,
            "ATTACH PARTITION reads every row of \(partition) under ACCESS EXCLUSIVE unless a check already proves its bounds",
            safe:
                "ALTER TABLE \(partition) ADD CONSTRAINT … CHECK (<the bounds>) NOT VALID; VALIDATE CONSTRAINT in a revision of its own; then ATTACH; the check may stay"
        )
    }

    /// Going back takes rows of the previous version out of its sight, and does nothing more with them.
    private mutating func flagRowsApart(_ partition: RelationName, _ table: RelationName) {
        guard direction == .down, forward.made.takesOthers(made.placed(partition)) else { return }
        let isFollowed = upcoming.flatMap(\.actions).contains { action in
            switch action {
            case .bringsBack(let rows): rows.source.full == partition.full && rows.inserts
            // That they are lost then is said there.
            case .drop(let order): order.names.contains { $0.full == partition.full }
            case .alterTable(let parent, let changes):
                parent.full == table.full
                    && changes.contains {
                        if case .attach(let other, _, _) = $0 { return other.full == partition.full }
                        return false
                    }
            default: false
            }
        }
        guard !isFollowed else { return }
        flag(
            .noWayBack,
            "the rows that the previous version wrote to \(partition) meanwhile are no longer among those of \(table)",
            why: "they are still there, and nobody finds them; and going forward again fails, as the table is there already",
            safe: "leave the partition where it is: no way back, and -- serin: allow R01 because …")
    }

    private mutating func detach(_ partition: RelationName, from table: RelationName, _ isConcurrent: Bool) {
        phase(.contract)
        alters("partition \(partition)", of: table, isOwn: isNew(partition) || isOwn(objectKey(.table, partition)))
        apart.insert(made.placed(partition).full)
        flagRowsApart(partition, table)
        if !isNew(partition) { depends("rows of \(partition) are no longer in \(table)") }
        lock(partition, .accessExclusive)
        lock(table, isConcurrent ? .shareUpdateExclusive : .accessExclusive)
        if isConcurrent {
            needs(14, "DETACH PARTITION CONCURRENTLY")
            flagInTransaction("DETACH PARTITION … CONCURRENTLY", rule: .partitionOrLock)
        } else if !isNew(table) {
            flag(
                .partitionOrLock, "DETACH PARTITION takes ACCESS EXCLUSIVE on \(table)",
                safe: settings.version >= 14
                    ? "outside a transaction"
                    : "keep lock_timeout short and try again; version 14 has DETACH PARTITION … CONCURRENTLY",
                instead: settings.version >= 14
                    ? [SafeRevision(["ALTER TABLE \(table) DETACH PARTITION \(partition) CONCURRENTLY"])] : [])
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
