internal import SerinModel

extension Judge {
    mutating func drop(_ order: DropOrder) {
        let gone = order.names.map { "\($0)" }.joined(separator: ", ")
        switch order.kind {
        case .index: for index in order.names { dropIndex(index, isConcurrent: order.isConcurrent) }
        case .table, .foreignTable, .materializedView: for name in order.names { dropRelation(order.kind, name) }
        case .schema, .type: dropForGood(order.kind, order.names)
        case .view:
            for view in order.names {
                lock(view, .accessExclusive)
                replaces(objectKey(.view, view), "the view \(view) is dropped")
                breaks(isOwn(objectKey(.view, view)), "it may read \(view)", "the view \(view) is dropped")
                schema.drop(.view, view)
            }
        case .trigger, .policy, .rule:
            guard let table = order.table else { break }
            lock(table, .accessExclusive)
            for name in order.names {
                replaces(
                    objectKey(order.kind, table, name.name), "the \(order.kind.rawValue) \(name) of \(table) is dropped",
                    isOfNewTable: isNew(table))
            }
            if !isNew(table), direction == .up {
                survival(.depends("it may rely on the \(order.kind.rawValue) \(gone) of \(table)"))
            }
        case .function, .sequence, .constraint, .extension, .other, .column:
            for name in order.names {
                let key = objectKey(order.kind, name)
                replaces(key, "the \(order.kind.rawValue) \(name) is dropped")
                breaks(isOwn(key), "it may use \(name)", "the \(order.kind.rawValue) \(name) is dropped")
                if order.kind == .sequence { lock(name, .accessExclusive) }
                if order.kind == .extension { flag(.security, "the extension \(name) is dropped") }
            }
        }
        phase(.contract)
        if order.cascades, !order.names.allSatisfy({ made.contains(objectKey(order.kind, $0)) }), order.kind != .index {
            let isUndone = direction == .down && order.names.allSatisfy { isOwn(objectKey(order.kind, $0)) }
            if !isUndone { loses("whatever depends on \(gone)") }
            flag(
                .destroys, isUndone ? .warning : nil, "CASCADE drops whatever depends on \(gone), which the text does not say",
                safe: "name what is to go; without CASCADE the server refuses when something else depends on it")
        }
    }

    private mutating func dropRelation(_ kind: ObjectKind, _ name: RelationName) {
        let key = objectKey(kind, name)
        defer { schema.drop(kind, name) }
        guard !isNew(name) else {
            made.remove(key)
            return
        }
        lock(name, .accessExclusive)
        for foreignKey in schema[name]?.foreignKeys ?? [] { lock(foreignKey.references, .accessExclusive) }
        loses(kind == .materializedView ? "the rows of \(name), which can be computed again" : "the rows of \(name)")
        guard !isOwn(key) else { return }
        flag(
            .destroys, "the \(kind.rawValue) \(name) is dropped",
            safe: "stop using \(name) in one release; rename it, and drop it in a later one after a verified backup")
        breaks(false, "it reads or writes \(name)", "the \(kind.rawValue) \(name) is dropped")
    }

    private mutating func dropForGood(_ kind: ObjectKind, _ names: [RelationName]) {
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
    mutating func replaces(_ key: String, _ what: String, isOfNewTable: Bool = false) {
        guard direction == .up, !isOwn(key), !isOfNewTable else { return }
        flag(.replaces, what)
    }

    mutating func rename(_ kind: ObjectKind, _ relation: RelationName?, _ old: String, _ new: String) {
        guard let relation else {
            phase(.contract)
            breaks(false, "it may use \(old)", "the \(kind.rawValue) \(old) is renamed to \(new)")
            return
        }
        defer { schema.rename(kind, relation, from: old, to: new) }
        switch kind {
        case .index:
            lock(relation, .shareUpdateExclusive)
            phase(.expand)
            return
        case .constraint:
            alterQuickly(relation, .expand)
            return
        default: break
        }
        lock(relation, .accessExclusive)
        let isNewThing = isNew(relation) || made.contains(objectKey(.column, relation, old))
        if kind == .column {
            made.insert(objectKey(.column, relation, new))
        } else {
            made.insert(objectKey(kind, RelationName(schema: relation.schema, new)))
        }
        guard !isNewThing else { return }
        phase(.contract)
        switch kind {
        case .column:
            let name = "\(relation).\(quoted(old))"
            breaks(
                false, "it uses \(name)", "the column \(name) is renamed to \(quoted(new))",
                safe:
                    "add \(quoted(new)), write both, fill it in batches, move the application over, drop \(quoted(old)) in a later release"
            )
        default:
            breaks(
                false, "it uses \(relation)", "the \(kind.rawValue) \(relation) is renamed to \(quoted(new))",
                safe:
                    "rename, and make a view \(relation) over \(quoted(new)) in the same transaction; drop the view in a later release"
            )
        }
    }

    mutating func move(_ kind: ObjectKind, _ relation: RelationName?, to schema: String) {
        guard let relation else {
            phase(.contract)
            return breaks(false, "it may use it by its old schema", "a \(kind.rawValue) moves to the schema \(quoted(schema))")
        }
        alterQuickly(relation, .contract)
        breaks(isNew(relation), "it uses \(relation)", "the \(kind.rawValue) \(relation) moves to the schema \(quoted(schema))")
    }

    mutating func createView(_ view: RelationName, _ sources: [RelationName], _ isReplaced: Bool, _ takesAll: Bool) {
        for source in sources { lock(source, .accessShare) }
        if isReplaced {
            let key = objectKey(.view, view)
            replaces(key, "the view \(view) is replaced if it exists")
            if !isOwn(key), direction == .up { survival(.depends("it may read the view \(view)")) }
            lock(view, .accessExclusive)
        }
        make(.view, view)
        if takesAll { schema.add(view: view, ofAllColumnsOf: sources) }
    }

    mutating func createFunction(_ function: FunctionDefinition) {
        let key = objectKey(.function, function.name)
        if function.isReplaced, !isOwn(key) {
            replaces(key, "the function \(function.name) is replaced if it exists")
            if direction == .up { survival(.depends("it may call the function \(function.name)")) }
        }
        if function.isSecurityDefiner, !function.setsSearchPath {
            flag(
                .security, "the function \(function.name) is SECURITY DEFINER without a search path of its own",
                why: "whoever can make objects earlier in the search path runs code with its owner's rights",
                safe: "add SET search_path = pg_catalog, pg_temp, and name other schemas in its body")
        }
        if !["sql", "plpgsql", "internal"].contains(function.language) {
            flag(
                .security,
                "the function \(function.name) is written in \(function.language)\(function.language.hasSuffix("u") || function.language == "c" ? ", which is not trusted" : "")"
            )
        }
        make(.function, function.name)
    }

    mutating func createTrigger(_ name: String, _ table: RelationName, _ isReplaced: Bool) {
        lock(table, .shareRowExclusive)
        phase(.expand)
        let key = objectKey(.trigger, table, name)
        if isReplaced {
            replaces(key, "the trigger \(quoted(name)) of \(table) is replaced if it exists", isOfNewTable: isNew(table))
        }
        made.insert(key)
        if direction == .up, !isNew(table) { survival(.depends("its writes to \(table) run the trigger \(quoted(name))")) }
    }

    mutating func createRule(_ name: String, _ table: RelationName, _ isReplaced: Bool) {
        lock(table, .accessExclusive)
        phase(.expand)
        let key = objectKey(.rule, table, name)
        if isReplaced {
            replaces(key, "the rule \(quoted(name)) of \(table) is replaced if it exists", isOfNewTable: isNew(table))
        }
        made.insert(key)
        if direction == .up, !isNew(table) { survival(.depends("the rule \(quoted(name)) changes what it does to \(table)")) }
    }

    mutating func policy(_ name: String, _ table: RelationName, _ isChanged: Bool) {
        alterQuickly(table, .expand)
        let key = objectKey(.policy, table, name)
        if isChanged { replaces(key, "the policy \(quoted(name)) of \(table) is changed", isOfNewTable: isNew(table)) }
        made.insert(key)
        if direction == .up, !isNew(table) { survival(.depends("the policy \(quoted(name)) decides what it sees of \(table)")) }
    }

    mutating func addEnumValue(_ type: String) {
        phase(.expand)
        if direction == .up { survival(.depends("it may read a value of \(type) that it does not know")) }
    }

    mutating func renameEnumValue(_ type: String, _ old: String, _ new: String) {
        narrows("the value '\(old)' of the enum \(type) is renamed to '\(new)' in every row", "the value '\(old)' of \(type)")
        breaks(false, "it writes and reads '\(old)'", "the enum value '\(old)' of \(type) is renamed")
    }

    mutating func constrainDomain(_ domain: String, _ isNotValid: Bool) {
        phase(.contract)
        if direction == .up { survival(.depends("it may write values that the domain \(domain) refuses")) }
        guard !isNotValid else { return }
        flag(
            .constraintScans, "the new constraint of the domain \(domain) reads every table that uses it, under SHARE",
            safe:
                "ALTER DOMAIN \(domain) ADD CONSTRAINT … NOT VALID; then ALTER DOMAIN \(domain) VALIDATE CONSTRAINT … in a transaction of its own"
        )
    }
}
