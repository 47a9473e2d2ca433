internal import SerinModel

extension Judge {
    mutating func drop(_ order: DropOrder) {
        if order.names.isEmpty { unknown("something is dropped that serin cannot name") }
        let gone = order.names.map { "\($0)" }.joined(separator: ", ")
        let keys = order.names.indices.map { functionKey(order, $0) ?? objectKey(order.kind, order.names[$0]) }
        let (areMade, areOwn) = (keys.allSatisfy(made.contains), keys.allSatisfy(isOwn))
        switch order.kind {
        case .index: for index in order.names { dropIndex(index, isConcurrent: order.isConcurrent) }
        case .table, .foreignTable, .materializedView: for name in order.names { dropRelation(order.kind, name) }
        case .schema, .type: dropForGood(order.kind, order.names)
        case .view:
            for view in order.names {
                let key = objectKey(.view, view)
                lock(view, .accessExclusive)
                dropDefinition(key, "the view \(view)")
                breaks(isOwn(key), "it may read \(view)", "the view \(view) is dropped")
                schema.drop(.view, view)
                forget(view)
            }
        case .trigger, .policy, .rule:
            guard let table = order.table else { break }
            lock(table, .accessExclusive)
            for name in order.names {
                schema.change(table) { $0.triggers[name.name] = nil }
                if direction == .down { alters("\(order.kind.rawValue) \(name)", of: table) }
                dropDefinition(
                    objectKey(order.kind, table, name.name), "the \(order.kind.rawValue) \(name) of \(table)",
                    isOfOwnTable: hasOwnRows(table))
            }
            if !isNew(table) { depends("it may rely on the \(order.kind.rawValue) \(gone) of \(table)") }
        case .function, .sequence, .constraint, .extension, .other, .column:
            for (index, name) in order.names.enumerated() {
                let key = functionKey(order, index) ?? objectKey(order.kind, name)
                let isOwn = isOwn(key)
                dropDefinition(key, "the \(order.kind.rawValue) \(name)")
                breaks(isOwn, "it may use \(name)", "the \(order.kind.rawValue) \(name) is dropped")
                if order.kind == .sequence { lock(name, .accessExclusive) }
                if order.kind == .extension { flag(.security, "the extension \(name) is dropped") }
                // The way back knows neither the numbers that were given nor what an extension kept.
                if !isOwn, direction == .up, [.sequence, .extension].contains(order.kind) {
                    loses("what the \(order.kind.rawValue) \(name) held")
                }
                if order.kind == .sequence { forget(name) }
            }
        }
        phase(.contract)
        if order.cascades, !areMade, order.kind != .index {
            let isUndone = direction == .down && areOwn
            if !isUndone { loses("whatever depends on \(gone)") }
            flag(
                .destroys, isUndone ? .warning : nil, "CASCADE drops whatever depends on \(gone), which the text does not say",
                safe: "name what is to go; without CASCADE the server refuses when something else depends on it")
        }
    }

    /// A function by its arguments: those of another are another's. Without any it is the only one of its name.
    private func functionKey(_ order: DropOrder, _ index: Int) -> NewObjects.Key? {
        guard order.kind == .function else { return nil }
        let name = order.names[index]
        if index < order.arguments.count, let arguments = order.arguments[index] { return objectKey(.function, name, arguments) }
        let key = made.placed(objectKey(.function, name))
        return made.keys.union(forward.made.keys).first { $0.kind == .function && $0.relation == key.relation } ?? key
    }

    /// Something is dropped whose definition the way back would need, or that the way forward did not make.
    private mutating func dropDefinition(_ key: NewObjects.Key, _ what: String, isOfOwnTable: Bool = false) {
        defer {
            made.remove(made.placed(key))
            forward.made.remove(made.placed(key))
        }
        guard !isOwn(key), !isOfOwnTable else { return }
        if direction == .up {
            flag(.replaces, "\(what) is dropped")
            takes(key)
        } else if key.kind != .constraint {
            dropped.insert(comparable(key))
        }
    }

    private mutating func dropRelation(_ kind: ObjectKind, _ name: RelationName) {
        let key = objectKey(kind, name)
        disturb(name, "is dropped")
        defer {
            schema.drop(kind, name)
            forget(name)
        }
        guard !isNew(name) else { return }
        lock(name, .accessExclusive)
        for foreignKey in schema[name]?.foreignKeys ?? [] { lock(foreignKey.references, .accessExclusive) }
        let takesOthers = direction == .down && forward.made.takesOthers(made.placed(name))
        loses(
            kind == .materializedView ? "the rows of \(name), which can be computed again" : "the rows of \(name)",
            isOwn: isOwn(key) && !takesOthers)
        if takesOthers {
            flag(
                .destroys, "\(name) is dropped, and what the previous version wrote meanwhile may be in it",
                safe: schema[name]?.partitionOf == nil
                    ? "put them back where they were meant for: rename \(name), INSERT INTO the other table SELECT * FROM \(name), then DROP; or leave it where it is"
                    : "leave the partition where it is, as no other has room for its rows: a way back without a statement, with -- serin: allow R01 because the partition stays"
            )
        }
        guard !isOwn(key) else { return }
        flag(
            .destroys, "the \(kind.rawValue) \(name) is dropped",
            safe: "stop using \(name) in one release; rename it, and drop it in a later one after a verified backup")
        breaks(false, "it reads or writes \(name)", "the \(kind.rawValue) \(name) is dropped")
    }

    private mutating func dropForGood(_ kind: ObjectKind, _ names: [RelationName]) {
        for name in names where direction == .down && kind == .schema && forward.made.takesOthers(inSchema: name.name) {
            loses("what the previous version wrote to tables of the schema \(name)")
            flag(.destroys, "the schema \(name) is dropped, and what the previous version wrote meanwhile may be in it")
        }
        for name in names where !isOwn(objectKey(kind, name)) {
            loses("the \(kind.rawValue) \(name)")
            flag(.destroys, "the \(kind.rawValue) \(name) is dropped")
            breaks(false, "it may use \(name)", "the \(kind.rawValue) \(name) is dropped")
        }
    }

    mutating func dropWhole(_ what: String) {
        phase(.contract)
        loses("everything in it")
        survival(.breaks("it uses what is dropped"))
        flag(.destroys, "\(what) destroys everything that belongs to it")
    }

    /// Flags what takes the place of something that others may depend on. Going back it restores what was there.
    mutating func replaces(_ key: NewObjects.Key, _ what: String, isOfNewTable: Bool = false) {
        guard direction == .up, !isOwn(key), !isOfNewTable else { return }
        flag(.replaces, what)
        takes(key)
    }

    mutating func rename(_ kind: ObjectKind, _ relation: RelationName?, _ old: String, _ new: String) {
        guard let relation else { return renameElsewhere(kind, old, new) }
        defer { schema.rename(kind, relation, from: old, to: new) }
        switch kind {
        case .index:
            let isNewIndex = made.contains(objectKey(.index, relation)) || schema.table(ofIndex: relation).map(isNew) == true
            lock(index: relation, .shareUpdateExclusive)
            renameNew(.index, relation, old, new)
            phase(isNewIndex ? .expand : .contract)
            takes(objectKey(.index, relation))
            given.insert(comparable(objectKey(.index, RelationName(schema: relation.schema, new))))
            if !isNewIndex { depends("it may name the index \(relation), or the constraint of that name") }
            return
        case .constraint:
            alterQuickly(relation, isNew(relation) ? .expand : .contract)
            renameNew(.constraint, relation, old, new)
            alters("name \(quoted(old))", of: relation, isOwn: isNew(relation))
            given.insert(NewObjects.Key(kind: .other, relation: relation.full, name: "name \(quoted(new))"))
            if !isNew(relation) { depends("it may name \(quoted(old)) of \(relation)") }
            return
        default: break
        }
        lock(relation, .accessExclusive)
        let isNewThing = isNew(relation) || made.contains(objectKey(.column, relation, old))
        disturb(relation, "is renamed")
        let target = kind == .column ? relation : RelationName(schema: relation.schema, new)
        if !isNewThing, direction == .up, taken.contains(comparable(objectKey(kind, target, kind == .column ? new : ""))) {
            loses("what is written to \(quoted(new)) by whoever means the one that had this name")
        }
        takes(objectKey(kind, relation, kind == .column ? old : ""))
        renameNew(kind, relation, old, new)
        given.insert(comparable(objectKey(kind, target, kind == .column ? new : "")))
        if kind == .column {
            if isNewThing { leadOthers(toColumn: new, of: relation) }
        } else {
            apart.insert(made.placed(target).full)
            if isNewThing, isTaken(target) {
                // Of a view nobody knows where that leads.
                if schema.viewNames.contains(relation.full) { made.leadOthersToAll() } else { leadOthers(to: target) }
            }
        }
        guard !isNewThing else { return }
        phase(.contract)
        guard kind == .column else { return breaksByName(kind, relation, target) }
        let name = "\(relation).\(quoted(old))"
        breaks(
            false, "it uses \(name)", "the column \(name) is renamed to \(quoted(new))",
            safe:
                "add \(quoted(new)), write both, fill it in batches, move the application over, drop \(quoted(old)) in a later release"
        )
    }

    /// Whoever uses a relation by the name that it had finds nothing there, or what stands in for it.
    private mutating func breaksByName(_ kind: ObjectKind, _ relation: RelationName, _ target: RelationName) {
        let new = quoted(target.name)
        switch kind {
        case .table where direction == .up && hasStandIn(relation, target):
            survival(.depends("of \(relation) only a view is left, through which it reads and writes rows, and nothing else"))
            flag(
                .breaksPrevious, .warning,
                "the table \(relation) is renamed to \(new), and the view \(relation) stands in for it: SELECT, INSERT, ON CONFLICT, UPDATE and DELETE work through it; COPY, TRUNCATE, MERGE, ctid and pg_get_serial_sequence do not",
                why: "rights to the table are none to the view, and the view reads with its owner's, row level security left out",
                safe: "try the previous version on it: lint --trace --previous-check; its role needs rights to the view")
        case .table:
            breaks(
                false, "it uses \(relation)", "the table \(relation) is renamed to \(new)",
                safe: "and drop the view in a later release",
                instead: [
                    SafeRevision(
                        inTransaction([
                            "ALTER TABLE \(relation) RENAME TO \(new)",
                            "CREATE VIEW \(relation) AS SELECT * FROM \(target)",
                        ]),
                        back: inTransaction(["DROP VIEW \(relation)", "ALTER TABLE \(target) RENAME TO \(quoted(relation.name))"])
                    )
                ])
        default:
            breaks(
                false, "it uses \(relation)", "the \(kind.rawValue) \(relation) is renamed to \(new)",
                safe: "make another one called \(new), and drop \(relation) in a later release")
        }
    }

    /// Whether a view that the text makes in the same transaction, and leaves as it is, shows all of a table that is renamed under the
    /// name that it had.
    private func hasStandIn(_ old: RelationName, _ new: RelationName) -> Bool {
        guard transaction.isOpen, made.placed(old) == old else { return false }
        var isThere = false
        var isCommitted = false
        for action in upcoming.flatMap(\.actions) {
            switch action {
            case .createView(let view, _, _, _, _, _, let shown) where view.full == old.full:
                guard !isThere, !isCommitted, let shown, shown.source.full == new.full,
                    shown.columns.map({ schema.areAll($0, of: old) }) ?? true
                else { return false }
                isThere = true
            case .commit: isCommitted = true
            case .begin, .harmless, .calls, .casts, .attributes, .select, .comment, .security, .settles, .insert, .givesValues,
                .bringsBack,
                .update,
                .delete, .createIndex, .createTable, .createTableAs, .analyze, .create, .createFunction:
                continue
            case .alterTable(let table, _) where table.full != old.full: continue
            case .createView(let view, _, _, _, _, _, _) where view.full != new.full: continue
            default: return false
            }
        }
        return isThere
    }

    /// Something that is no relation has another name: a type, a function, a schema.
    private mutating func renameElsewhere(_ kind: ObjectKind, _ old: String, _ new: String) {
        if kind == .type {
            let words = old.split(separator: ".").map(String.init)
            schema.rename(.type, RelationName(schema: words.count > 1 ? words[0] : nil, words.last ?? ""), from: old, to: new)
        }
        // Whoever names the schema means another one, and what it will hold.
        if kind == .schema, direction == .up { made.leadOthersToAll() }
        phase(.contract)
        breaks(false, "it may use \(old)", "the \(kind.rawValue) \(old) is renamed to \(new)")
        let last = old.split(separator: ".").last.map(String.init) ?? old
        taken.insert(NewObjects.Key(kind: .other, relation: RelationName(""), name: "name \(last)"))
        given.insert(NewObjects.Key(kind: .other, relation: RelationName(""), name: "name \(new)"))
        // Names may mean other things from now on.
        takeBack()
        forward.made.clear()
    }

    /// What has another name is as new as it was.
    private mutating func renameNew(_ kind: ObjectKind, _ relation: RelationName, _ old: String, _ new: String) {
        let place = made.placed(relation)
        switch kind {
        case .column, .constraint:
            // The renaming of a trigger, policy or rule is read as that of a constraint.
            for part in kind == .column ? [kind] : [.constraint, .trigger, .policy, .rule] {
                made.rename(part, of: place, from: old, to: new)
                forward.made.rename(part, of: place, from: old, to: new)
            }
        case .index:
            made.remove(objectKey(.index, place))
            forward.made.remove(objectKey(.index, place))
        default:
            made.rename(place, to: new)
            forward.made.rename(place, to: new)
        }
    }

    mutating func move(_ kind: ObjectKind, _ relation: RelationName?, to schema: String) {
        // Whatever comes into a schema is none of the schema's maker.
        let key = objectKey(.schema, RelationName(schema))
        if relation.map(isNew) != true {
            made.remove(key)
            forward.made.remove(key)
        }
        guard let relation else {
            phase(.contract)
            return breaks(false, "it may use it by its old schema", "a \(kind.rawValue) moves to the schema \(quoted(schema))")
        }
        alterQuickly(relation, .contract)
        disturb(relation, "moves to another schema")
        breaks(isNew(relation), "it uses \(relation)", "the \(kind.rawValue) \(relation) moves to the schema \(quoted(schema))")
        if !isNew(relation) { takes(objectKey(kind, relation)) }
        forget(relation)
        forget(RelationName(schema: schema, relation.name))
        given.insert(comparable(objectKey(kind, RelationName(schema: schema, relation.name))))
    }

    mutating func createView(_ view: RelationName, _ sources: [RelationName], _ isReplaced: Bool, _ takesAll: Bool) {
        for source in sources { lock(source, .accessShare) }
        // Whoever wrote to what had its name writes through it.
        if isTaken(view) { leadOthers(through: sources) }
        if isReplaced {
            let key = objectKey(.view, view)
            replaces(key, "the view \(view) is replaced if it exists")
            if !isOwn(key) {
                depends("it may read the view \(view)")
                leadOthers(through: sources)
            }
            lock(view, .accessExclusive)
        }
        make(.view, view, isCertain: !isReplaced)
        schema.viewNames.insert(view.full)
        if takesAll { schema.add(view: view, ofAllColumnsOf: sources) }
    }

    /// What the previous version writes to a view that has another text now reaches what it is made of.
    mutating func leadOthers(through sources: [RelationName]) {
        guard direction == .up else { return }
        for source in sources where isNew(source) {
            // Of another view nobody knows where that leads.
            if schema.viewNames.contains(source.full) { made.leadOthersToAll() } else { leadOthers(to: source) }
        }
    }

    mutating func createRule(_ name: String, _ table: RelationName, _ isReplaced: Bool, _ isInstead: Bool) {
        lock(table, .accessExclusive)
        phase(.expand)
        let key = objectKey(.rule, table, name)
        if isReplaced {
            replaces(key, "the rule \(quoted(name)) of \(table) is replaced if it exists", isOfNewTable: isNew(table))
        }
        if isInstead { spoilCopies(of: table) }
        alters("rule \(quoted(name))", of: table, isOwn: isNew(table))
        given.insert(comparable(key))
        if !isReplaced { made.insert(key) }
        guard direction == .up, !isNew(table) else { return }
        survival(.depends("the rule \(quoted(name)) changes what it does to \(table)"))
        if isInstead {
            loses("what is written to \(table), in place of which the rule \(quoted(name)) does something else")
            flag(
                .destroys, "the rule \(quoted(name)) does something else INSTEAD of what the previous version writes to \(table)")
        }
        made.leadOthersToAll()
    }

    /// What is written back from here on may be thrown away or changed on its way.
    mutating func spoilCopies(of table: RelationName) {
        guard direction == .down else { return }
        for (place, saved) in forward.copies where saved.copy.source.full == table.full { spoiled.insert(place.full) }
    }

    mutating func policy(_ name: String, _ table: RelationName, _ isChanged: Bool) {
        alterQuickly(table, .expand)
        let key = objectKey(.policy, table, name)
        alters("policy \(quoted(name))", of: table, isOwn: isNew(table))
        hides(table)
        if isChanged { replaces(key, "the policy \(quoted(name)) of \(table) is changed", isOfNewTable: isNew(table)) }
        given.insert(comparable(key))
        if !isChanged { made.insert(key) }
        if direction == .up, !isNew(table) { survival(.depends("the policy \(quoted(name)) decides what it sees of \(table)")) }
    }

    mutating func addEnumValue(_ type: String, _ value: String) {
        phase(.expand)
        if !made.contains(objectKey(.type, ColumnType(type).relation)) { freshValues.append(value) }
        guard direction == .up, !isOwn(objectKey(.type, ColumnType(type).relation)) else { return }
        survival(.depends("it may read a value of \(type) that it does not know"))
        // A value never goes again.
        taken.insert(NewObjects.Key(kind: .other, relation: ColumnType(type).relation.full, name: "values"))
    }

    /// A value of an enum cannot be used before the transaction that adds it ends.
    mutating func flagFreshValues(in text: String, _ before: TransactionState) {
        guard transaction.isOpen, transaction.number == before.number else { return freshValues = [] }
        guard let value = freshValues.first(where: { text.contains("'\($0)'") }), !text.holds("ADD VALUE") else {
            return
        }
        flag(
            .unknown, .warning,
            "it uses '\(value)', which the same transaction adds to an enum: the server refuses it until then",
            why: "the statement fails there, if the value is meant",
            safe: "a revision of its own for ALTER TYPE … ADD VALUE, and what uses the value in the next one")
    }

    mutating func renameEnumValue(_ type: String, _ old: String, _ new: String) {
        narrows("the value '\(old)' of the enum \(type) is renamed to '\(new)' in every row", "the value '\(old)' of \(type)")
        breaks(false, "it writes and reads '\(old)'", "the enum value '\(old)' of \(type) is renamed")
    }

    /// Rights, owners, roles, settings: what whoever runs now may rely on. What this revision made itself is used by nobody.
    mutating func unsettles(_ what: String, _ kind: ObjectKind, _ names: [RelationName]) {
        let isOwn =
            !names.isEmpty
            && names.allSatisfy { name in
                kind == .function
                    ? made.keys.contains { $0.kind == .function && $0.relation == made.placed(name) }
                    : made.contains(objectKey(kind, name))
            }
        phase(isOwn ? .expand : .contract)
        for name in names { alters(what, of: name, isOwn: isOwn) }
        // Names may mean tables of another schema from now on.
        if direction == .up, what.hasSuffix(" … SET") { made.leadOthersToAll() }
        alters(what, of: RelationName(""), isOwn: isOwn || !names.isEmpty)
        if !isOwn { depends("it may rely on what this changes: \(what)") }
    }

    /// What an earlier statement unsettled is given back.
    mutating func settles(_ what: String, _ names: [RelationName]) {
        for name in names + [RelationName("")] { alters(what, of: name, isOwn: true) }
        phase(.expand)
    }

    mutating func alterSequence(_ sequence: RelationName, _ what: String?, restarts: Bool) {
        lock(sequence, .shareRowExclusive)
        if restarts { return self.restarts("\(sequence)", isOwn: isOwn(objectKey(.sequence, sequence))) }
        guard let what, !isNew(sequence) else { return phase(.expand) }
        phase(.contract)
        alters("numbers", of: sequence)
        depends("\(what) changes the numbers that it gets from \(sequence)")
    }

    /// A sequence forgets how far it was.
    mutating func restarts(_ sequence: String, isOwn: Bool) {
        phase(isOwn ? .expand : .contract)
        guard !isOwn else { return }
        loses("how far \(sequence) was")
        depends("numbers of \(sequence) are given twice")
        flag(
            .overwrites, "\(sequence) is set to another number: those behind it are given again, or never",
            safe: "SELECT setval('…', greatest((SELECT max(<key>) FROM <table>), (SELECT last_value FROM …)))")
    }

    mutating func constrainDomain(_ domain: String, _ isNotValid: Bool) {
        phase(.contract)
        schema.types[ColumnType(domain).relation.full] = true
        alters("conditions", of: ColumnType(domain).relation)
        if direction == .up { survival(.depends("it may write values that the domain \(domain) refuses")) }
        guard !isNotValid else { return }
        flag(
            .constraintScans, "the new constraint of the domain \(domain) reads every table that uses it, under SHARE",
            safe:
                "ALTER DOMAIN \(domain) ADD CONSTRAINT … NOT VALID; then ALTER DOMAIN \(domain) VALIDATE CONSTRAINT … in a transaction of its own"
        )
    }
}
