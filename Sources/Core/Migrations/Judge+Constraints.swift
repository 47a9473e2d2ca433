internal import SerinModel

extension Judge {
    mutating func addConstraint(_ constraint: ConstraintDefinition, to table: RelationName) {
        defer { schema.add(constraint, to: table) }
        let name = constraint.name ?? constraint.usualName(on: table)
        // A name that the server is to choose is only known when nothing has it.
        if constraint.name != nil { made.insert(objectKey(.constraint, table, name)) }
        phase(isNew(table) ? .expand : .contract)
        given.insert(NewObjects.Key(kind: .other, relation: table.full, name: "constraints"))
        // It goes with any column that it is about.
        let goesWithOwn = constraint.checked.union(constraint.columns).contains { isOwnColumn($0, of: table) }
        if direction == .up { alters(dropOf(constraint), of: table, isOwn: isNew(table) || goesWithOwn) }
        // The index becomes the constraint's, and goes with it.
        if let index = constraint.index {
            let name = RelationName(schema: table.schema, index).full
            taken.remove(NewObjects.Key(kind: .other, relation: name, name: "unique index"))
        }
        if direction == .up, !isNew(table) { survival(.depends("it may write rows that \(quoted(name)) refuses")) }
        switch constraint.kind {
        case .check:
            lock(table, .accessExclusive)
            if !constraint.isNotValid { flagScan(constraint, of: table) }
        case .foreignKey(let target):
            lock(table, .shareRowExclusive)
            lock(target, .shareRowExclusive)
            reachOthers(constraint, from: table)
            flagPassedOn(constraint, from: table, to: target)
            if !constraint.isNotValid { flagScan(constraint, of: table) }
            flagForeignKeyWithoutIndex(constraint, of: table)
        case .unique, .primaryKey, .exclusion:
            lock(table, .accessExclusive)
            if let index = constraint.index {
                lock(index: RelationName(schema: table.schema, index), .shareUpdateExclusive)
                flagKeyScan(constraint, of: table)
            } else {
                flagBuild(constraint, of: table)
            }
        }
        if constraint.isNotValid { transaction.unvalidated.insert(objectKey(.constraint, table, name)) }
    }

    /// What the previous version does to rows that are pointed to is done to others from now on.
    private mutating func flagPassedOn(_ constraint: ConstraintDefinition, from table: RelationName, to target: RelationName) {
        // An update that brings the new key along loses nothing.
        guard direction == .up, constraint.passesDeletes || constraint.clearsOnUpdate, !isNew(table), !isNew(target),
            !constraint.columns.contains(where: { isEmptyColumn($0, of: table) })
        else { return }
        let wasPassedOn = droppedKeys[table.full, default: []].contains { key in
            key.references.full == target.full && (key.passesDeletes || !constraint.passesDeletes)
                && (key.passesUpdates || !constraint.passesUpdates)
        }
        guard !wasPassedOn else { return }
        let verb = constraint.passesDeletes ? "DELETE" : "UPDATE of keys"
        loses("rows of \(table) that the previous version changes with its \(verb) of \(target)")
        survival(.breaks("its \(verb) of \(target) deletes or changes rows of \(table) as well"))
        flag(
            .overwrites,
            "the foreign key passes on each \(verb) of \(target) by the previous version to rows of \(table), which are saved nowhere",
            why: "the previous version does not know of it, and going back does not bring those rows back",
            safe: "a foreign key without ON \(constraint.passesDeletes ? "DELETE" : "UPDATE"), until the previous version is gone"
        )
    }

    /// Whether no row that was there has a value in a column: this revision added it, and neither a default nor an UPDATE fills it.
    private func isEmptyColumn(_ column: String, of table: RelationName) -> Bool {
        isOwnColumn(column, of: table) && schema[table]?.columns[column]?.isWithoutValue != false
            && !filled.contains(objectKey(.column, table, column))
    }

    /// What the way back of a constraint takes away: one that the server names is any.
    private func dropOf(_ constraint: ConstraintDefinition) -> String {
        constraint.name.map { "constraint \(quoted($0))" } ?? "the new constraint"
    }

    /// Flags a constraint that every row is held against.
    mutating func flagScan(_ constraint: ConstraintDefinition, of table: RelationName) {
        guard !isNew(table) else { return }
        scans(table)
        let name = quoted(constraint.name ?? constraint.usualName(on: table))
        let kind: String
        switch constraint.kind {
        case .foreignKey(let target):
            kind = "FOREIGN KEY (\(constraint.columns.map(quoted).joined(separator: ", "))) REFERENCES \(target)"
        default: kind = "CHECK (…)"
        }
        let steps = validatedLater(constraint, of: table)
        let lockName = constraint.isCheck ? TableLock.accessExclusive.name : TableLock.shareRowExclusive.name
        flag(
            .constraintScans, settings.isSmall(table) ? .warning : nil,
            "adding \(name) reads every row of \(table) under \(lockName)",
            safe: steps.isEmpty
                ? "ALTER TABLE \(table) ADD CONSTRAINT \(name) \(kind) NOT VALID; then, in a transaction of its own, ALTER TABLE \(table) VALIDATE CONSTRAINT \(name)"
                : nil, instead: steps)
    }

    /// A constraint in steps: the statement as it is with NOT VALID behind it, when it adds nothing else and gives the name.
    private func validatedLater(_ constraint: ConstraintDefinition, of table: RelationName) -> [SafeRevision] {
        guard direction == .up, isOneChange, let name = constraint.name.map(quoted), let statement = wholeText(of: "ALTER TABLE"),
            statement.uppercased().contains(" ADD CONSTRAINT ")
        else { return [] }
        return [
            SafeRevision(["\(statement) NOT VALID"], back: ["ALTER TABLE \(table) DROP CONSTRAINT \(name)"]),
            SafeRevision(["ALTER TABLE \(table) VALIDATE CONSTRAINT \(name)"], back: []),
        ]
    }

    /// Flags a constraint whose index is built while nobody can read.
    mutating func flagBuild(_ constraint: ConstraintDefinition, of table: RelationName) {
        guard !isNew(table) else { return }
        scans(table)
        let name = constraint.name ?? constraint.usualName(on: table)
        let columns = constraint.columns.map(quoted).joined(separator: ", ")
        let index = quoted(constraint.name == nil ? name : name + "_idx")
        let severity = settings.isSmall(table) ? LintSeverity.warning : nil
        if case .exclusion = constraint.kind {
            flag(
                .uniqueBuilds, severity, "EXCLUDE \(quoted(name)) builds its index on \(table) under ACCESS EXCLUSIVE",
                safe: "there is no form without the lock: make a new table with it and move the rows over in batches")
            return
        }
        var kind = "UNIQUE"
        if case .primaryKey = constraint.kind { kind = "PRIMARY KEY" }
        let build = "CREATE UNIQUE INDEX CONCURRENTLY \(index) ON \(table) (\(columns))"
        let change = "ALTER TABLE \(table) ADD CONSTRAINT \(quoted(name)) \(kind) USING INDEX \(index)"
        let safe: String
        var revisions: [SafeRevision] = []
        if text.wrapping == .separate {
            revisions = [SafeRevision([build, change], back: ["ALTER TABLE \(table) DROP CONSTRAINT \(quoted(name))"])]
            safe = "which drops the index too"
        } else if kind == "UNIQUE" {
            let place = RelationName(schema: table.schema, constraint.name == nil ? name : name + "_idx")
            revisions = [SafeRevision([build], back: ["DROP INDEX CONCURRENTLY \(place)"])]
            safe = "in a revision of its own: it refuses the same rows without a constraint"
        } else {
            safe =
                "\(build) in a revision of its own; then \(change), whose way back makes \(index) again behind DROP CONSTRAINT, which drops it"
        }
        flag(
            .uniqueBuilds, severity, "\(kind) \(quoted(name)) builds its index on \(table) under ACCESS EXCLUSIVE", safe: safe,
            instead: revisions)
    }

    /// A primary key from an index still looks for NULLs in columns that allow them.
    private mutating func flagKeyScan(_ constraint: ConstraintDefinition, of table: RelationName) {
        guard case .primaryKey = constraint.kind, !isNew(table) else { return }
        // The columns are those of the index, which the text does not say: known only when the index is.
        flag(
            .notNullScans, .warning,
            "PRIMARY KEY USING INDEX reads every row of \(table) unless its columns are NOT NULL already",
            safe: "make sure that the columns are NOT NULL before")
    }

    mutating func flagForeignKeyWithoutIndex(_ constraint: ConstraintDefinition, of table: RelationName) {
        let wanted = Set(constraint.columns)
        guard case .foreignKey = constraint.kind, direction == .up, !wanted.isEmpty,
            !schema.hasIndex(on: constraint.columns, of: table),
            !(indexes[table.full] ?? []).contains(where: { Set($0.prefix(wanted.count).compactMap(\.self)) == wanted })
        else { return }
        let columns = constraint.columns.map(quoted).joined(separator: ", ")
        // As the server would call it.
        let index = ([table.name] + constraint.columns + ["idx"]).joined(separator: "_")
        flag(
            .foreignKeyWithoutIndex, "no index of \(table) is known to start with \(columns), which references another table",
            safe: "before the foreign key",
            instead: [
                SafeRevision(
                    ["CREATE INDEX CONCURRENTLY \(quoted(index)) ON \(table) (\(columns))"],
                    back: ["DROP INDEX CONCURRENTLY \(RelationName(schema: table.schema, index))"])
            ])
    }

    mutating func validate(_ constraint: String, of table: RelationName) {
        lock(table, .shareUpdateExclusive)
        if let key = schema[table]?.foreignKeys.first(where: { $0.name == constraint }) { lock(key.references, .rowShare) }
        phase(.contract)
        // What is written has been held against it since it was added: no row that is there is refused by it any more than before.
        report.leavesNothing = true
        schema.validate(constraint, on: table)
        if transaction.isOpen, transaction.unvalidated.contains(objectKey(.constraint, table, constraint)), !isNew(table) {
            scans(table)
            flag(
                .constraintScans,
                "VALIDATE CONSTRAINT \(quoted(constraint)) runs in the transaction that added it, whose lock on \(table) is still held",
                safe: "in a revision of its own",
                instead: [SafeRevision(["ALTER TABLE \(table) VALIDATE CONSTRAINT \(quoted(constraint))"], back: [])])
        }
    }

    mutating func dropConstraint(_ name: String, of table: RelationName, _ cascades: Bool) {
        lock(table, .accessExclusive)
        if let key = schema[table]?.foreignKeys.first(where: { $0.name == name }) { lock(key.references, .accessExclusive) }
        let index = RelationName(schema: table.schema, name)
        if schema.table(ofIndex: index) != nil { lock(index: index, .accessExclusive) }
        droppedKeys[table.full, default: []] += schema[table]?.foreignKeys.filter { $0.name == name } ?? []
        let isSaidTwice = !isTakenBack && made.placed(table) == table && schema.isSaidByNotNull(name, on: table)
        schema.dropConstraint(name, on: table)
        phase(.expand)
        // Nothing depends on a check that says what NOT NULL says.
        if isSaidTwice, direction == .up {
            taken.remove(NewObjects.Key(kind: .other, relation: table.full, name: "constraint \(quoted(name))"))
            return made.remove(made.placed(objectKey(.constraint, table, name)))
        }
        if direction == .up, !isOwn(objectKey(.constraint, table, name)) {
            alters("constraints", of: table, isOwn: isNew(table))
        }
        for part in ["constraint \(quoted(name))", "the new constraint"] { alters(part, of: table, isOwn: true) }
        if cascades, !isNew(table), !isOwn(objectKey(.constraint, table, name)) {
            if direction == .up { loses("the foreign keys that point to what \(quoted(name)) says") }
            flag(
                .destroys, direction == .up ? nil : .warning,
                "CASCADE drops whatever depends on \(quoted(name)) of \(table), which the text does not say",
                safe: "name what is to go; without CASCADE the server refuses when something else depends on it")
        }
        replaces(
            objectKey(.constraint, table, name),
            "the constraint \(quoted(name)) of \(table) is dropped\(cascades ? ", and what depends on it" : "")",
            isOfNewTable: isNew(table))
        if direction == .up, !isNew(table) { survival(.depends("it may rely on what \(quoted(name)) refused")) }
    }
}
