internal import SerinModel

/// Follows what a revision makes, forward and back: what the way back leaves is there already when the revision is applied again.
///
/// Only what surely stays is told. Where one of the two directions does what nobody can follow, nothing is.
struct LeftBehind {
    private struct Thing {
        var kind: ObjectKind
        /// What takes it along when it goes.
        var goesWith: Set<NewObjects.Key>
    }

    private var things: [NewObjects.Key: Thing] = [:]
    /// What was dropped first, and would be again.
    private var cleared: Set<NewObjects.Key> = []
    /// The indexes of earlier revisions that became constraints, by those.
    private var borrowed: [NewObjects.Key: NewObjects.Key] = [:]
    /// Those that went with their constraints.
    private var taken: [NewObjects.Key: NewObjects.Key] = [:]
    /// The partitions that the way back detaches, of which more is said.
    private var detached: Set<NewObjects.Key> = []
    private var isBack = false
    private var isLost = false
    /// How many things were looked through, so that no text takes long.
    private var looked = 0
    private static let mostLooked = 4_000_000

    /// What is left of a revision by its way back.
    init(_ up: StatementList, _ down: StatementList) {
        for action in up.statements.flatMap(\.actions) { follow(action) }
        isBack = true
        for action in down.statements.flatMap(\.actions) { follow(action) }
    }

    /// What the way forward makes and the way back leaves, in words, such as `column orders.note`.
    ///
    /// - Parameter said: What is said of the way back already.
    func words(without said: String?) -> [String] {
        guard !isLost else { return [] }
        return things.filter { key, thing in
            thing.goesWith.allSatisfy { things[$0] == nil } && !detached.contains(key)
                && said?.hasSuffix("the \(thing.kind.rawValue) \(quoted(key.name)) of \(key.relation)") != true
        }.map { key, thing in
            let relation = key.relation.schema == "public" ? RelationName(key.relation.name) : key.relation
            return "\(thing.kind.rawValue) \(relation)" + (key.name.isEmpty ? "" : ".\(quoted(key.name))")
        }.sorted()
    }

    /// An index of an earlier revision that goes with the constraint that it became, and that constraint.
    var lostIndex: (index: RelationName, constraint: String)? {
        guard !isLost, let (index, constraint) = taken.min(by: { "\($0.key.relation)" < "\($1.key.relation)" }) else {
            return nil
        }
        return (index.relation.schema == "public" ? RelationName(index.relation.name) : index.relation, constraint.name)
    }

    // MARK: Following

    private mutating func follow(_ action: StatementAction) {
        guard !isLost else { return }
        switch action {
        case .createTable(let table):
            guard !table.ifNotExists, !table.isTemporary, !table.dropsOnCommit else { return }
            make(.table, table.name, goesWith: table.partitionOf.map { [key(.table, $0)] } ?? [])
        case .createTableAs(let query): if !query.ifNotExists, !query.isTemporary { make(.table, query.name) }
        case .alterTable(let table, let changes): for change in changes { follow(change, of: table) }
        case .createIndex(let index): createIndex(index)
        case .createTrigger(let trigger): if !trigger.isReplaced { make(.trigger, trigger.table, trigger.name) }
        case .createRule(let name, let table, let isReplaced, _): if !isReplaced { make(.rule, table, name) }
        case .policy(let name, let table, let isChanged): if !isChanged { make(.policy, table, name) }
        case .createView(let view, _, let isReplaced, _, _, _, _): if !isReplaced { make(.view, view) }
        case .create(let kind, let name, let isCertain): if isCertain, kind != .other { make(kind, name) }
        case .createType(let type, _): make(.type, type)
        case .createFunction(let function): if !function.isReplaced { make(.function, function.name) }
        // It goes with its table from now on, or does not any more.
        case .alterSequence(let sequence, let what, _):
            if what?.contains("OWNED") == true { things[key(.sequence, sequence)] = nil }
        case .drop(let order): drop(order)
        case .rename(let kind, let relation, let old, let new): rename(kind, relation, old, new)
        case .move(_, let relation, _):
            guard let relation else { return isLost = true }
            things = things.filter { $0.key.relation != relation.full }
        case .set(let parameter, let value, _):
            if ["search_path", "role", "session_authorization", "all"].contains(parameter.lowercased()), value != "public" {
                isLost = true
            }
        case .rollback, .savepoint(isTakenBack: true): isLost = true
        case .opaque, .unknown, .unparsable, .metaCommand, .dropWhole: if isBack { isLost = true }
        default: break
        }
    }

    private mutating func follow(_ change: TableChange, of table: RelationName) {
        switch change {
        case .addColumn(let column, let ifNotExists): if !ifNotExists { make(.column, table, column.name) }
        case .dropColumn(let column, let cascades):
            remove(key(.column, table, column))
            if cascades { removeDependents() }
        case .addConstraint(let constraint):
            if let index = constraint.index {
                let index = key(.index, RelationName(schema: table.schema, index))
                if things.removeValue(forKey: index) == nil, !isBack {
                    borrowed[key(.constraint, table, constraint.name ?? index.relation.name)] = index
                }
            }
            guard let name = constraint.name else { return }
            make(.constraint, table, name, goesWith: columns(constraint.checked.union(constraint.columns), of: table))
        case .dropConstraint(let name, let cascades):
            let constraint = key(.constraint, table, name)
            remove(constraint)
            if isBack, let index = borrowed[constraint] { taken[index] = constraint }
            if cascades { removeDependents() }
        case .attach(let partition, _, _):
            let parent = key(.table, table)
            things[key(.table, partition)]?.goesWith.insert(parent)
        case .detach(let partition, _):
            let parent = key(.table, table)
            things[key(.table, partition)]?.goesWith.remove(parent)
            if isBack, things[parent] == nil { detached.insert(key(.table, partition)) }
        default: break
        }
    }

    private mutating func createIndex(_ index: IndexDefinition) {
        guard let name = index.name else { return }
        let place = RelationName(schema: index.table.schema, name)
        taken[key(.index, place)] = nil
        guard !index.ifNotExists else { return }
        let owners = columns(Set(index.columns.compactMap(\.self)), of: index.table)
        make(.index, place, goesWith: owners.union([key(.table, index.table)]))
    }

    private mutating func make(
        _ kind: ObjectKind, _ relation: RelationName, _ name: String = "", goesWith owners: Set<NewObjects.Key> = []
    ) {
        let made = key(kind, relation, name)
        guard !isBack, relation.schema != "pg_temp", !cleared.contains(made),
            !LintSettings.versionTables.contains(relation.name)
        else { return }
        let owner = name.isEmpty ? [] : [key(.table, relation)]
        let schema = kind == .schema ? [] : [key(.schema, RelationName(relation.full.schema ?? ""))]
        things[made] = Thing(kind: kind, goesWith: owners.union(owner + schema))
    }

    private mutating func drop(_ order: DropOrder) {
        for name in order.names {
            switch order.kind {
            case .trigger, .policy, .rule: if let table = order.table { remove(key(order.kind, table, name.name)) }
            default:
                remove(key(order.kind, name))
                // Without its schema it may be in any.
                for other in found(where: { other, _ in
                    name.schema == nil && other.relation.name == name.name && other.name.isEmpty
                        && other.kind == key(order.kind, name).kind
                }) { remove(other) }
            }
        }
        if order.cascades { removeDependents() }
    }

    /// Something goes, and what cannot be without it.
    private mutating func remove(_ key: NewObjects.Key) {
        if !isBack, things[key] == nil { cleared.insert(key) }
        things[key] = nil
        for part in found(where: { $1.goesWith.contains(key) }) { remove(part) }
    }

    /// The things that are meant; none, and nothing more is followed, when it takes too long.
    private mutating func found(where isMeant: (NewObjects.Key, Thing) -> Bool) -> [NewObjects.Key] {
        looked += things.count
        if looked > Self.mostLooked { isLost = true }
        return isLost ? [] : things.filter { isMeant($0.key, $0.value) }.map(\.key)
    }

    /// CASCADE takes whatever depends on what goes.
    private mutating func removeDependents() {
        let kinds: Set<ObjectKind> = [.table, .index, .type, .schema, .extension]
        for key in found(where: { !kinds.contains($1.kind) }) { things[key] = nil }
    }

    private mutating func rename(_ kind: ObjectKind, _ relation: RelationName?, _ old: String, _ new: String) {
        guard let relation else {
            if kind == .schema { isLost = true }
            let name = RelationName(parsing: old)
            return move {
                $0.kind == kind && $0.relation == name.full
            } to: {
                NewObjects.Key(kind: kind, relation: RelationName(schema: name.schema, new).full, name: $0.name)
            }
        }
        let place = RelationName(schema: relation.schema, new).full
        switch kind {
        case .column:
            move {
                $0 == key(.column, relation, old)
            } to: {
                NewObjects.Key(kind: $0.kind, relation: $0.relation, name: new)
            }
        case .constraint:
            let kinds: Set<ObjectKind> = [.constraint, .trigger, .policy, .rule]
            move {
                kinds.contains($0.kind) && $0.relation == relation.full && $0.name == old
            } to: {
                NewObjects.Key(kind: $0.kind, relation: $0.relation, name: new)
            }
        case .index:
            move {
                $0 == key(.index, relation)
            } to: {
                NewObjects.Key(kind: .index, relation: place, name: $0.name)
            }
        default:
            move {
                $0.kind != .index && $0.kind != .type && $0.kind != .function && $0.relation == relation.full
            } to: {
                NewObjects.Key(kind: $0.kind, relation: place, name: $0.name)
            }
        }
    }

    /// Things have other names.
    private mutating func move(
        _ isMeant: (NewObjects.Key) -> Bool, to name: (NewObjects.Key) -> NewObjects.Key
    ) {
        looked += things.count
        if looked > Self.mostLooked { isLost = true }
        func renamed(_ key: NewObjects.Key) -> NewObjects.Key { isMeant(key) ? name(key) : key }
        var moved: [NewObjects.Key: Thing] = [:]
        for (key, thing) in things {
            moved[renamed(key)] = Thing(kind: thing.kind, goesWith: Set(thing.goesWith.map(renamed)))
        }
        things = moved
        let pairs = borrowed.map { (renamed($0.key), $0.value) }
        borrowed = Dictionary(pairs) { first, _ in first }
    }

    private func columns(_ names: Set<String>, of table: RelationName) -> Set<NewObjects.Key> {
        Set(names.map { key(.column, table, $0) })
    }
}

private func key(_ kind: ObjectKind, _ relation: RelationName, _ name: String = "") -> NewObjects.Key {
    objectKey(kind, relation.full, name)
}
