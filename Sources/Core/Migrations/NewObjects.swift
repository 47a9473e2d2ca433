/// What one direction of a revision is known to have made itself, so that nobody else uses it and nothing in it was there before.
///
/// Only what is provably absent before counts: made without `IF NOT EXISTS` and without `OR REPLACE`. A name stands for what it meant
/// when the thing was made: temporary tables, and names under another search path or role, are others.
struct NewObjects: Sendable {
    /// One thing: a relation, or something that belongs to one.
    struct Key: Sendable, Hashable {
        var kind: ObjectKind
        var relation: RelationName
        var name: String

        /// Such as `column public.orders.amount`.
        var words: String {
            if kind == .other, !name.isEmpty { return relation.name.isEmpty ? name : "\(name) of \(relation)" }
            return "\(kind.rawValue) \(relation)" + (name.isEmpty ? "" : ".\(quoted(name))")
        }
    }

    private(set) var keys: Set<Key> = []
    /// The tables whose rows all come from this direction.
    private var withRows: Set<RelationName> = []
    /// The tables and columns into which writes go that are not meant for them: those of the previous version.
    private var taking: Set<Key> = []
    /// Whether such writes may reach whatever table is new.
    private var isTakingAll = false
    private var temporary: Set<String> = []
    /// What decides the meaning of a name without schema, when it is not as it was at the start.
    private var naming: [String: String] = [:]

    /// What a name means now.
    func placed(_ relation: RelationName) -> RelationName {
        guard relation.schema == nil else { return relation }
        if temporary.contains(relation.name) { return RelationName(schema: "pg_temp", relation.name) }
        guard !naming.isEmpty else { return relation }
        let words = naming.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }
        return RelationName(schema: words.joined(separator: ", "), relation.name)
    }

    func placed(_ key: Key) -> Key { Key(kind: key.kind, relation: placed(key.relation), name: key.name) }

    /// Whether a thing is here, by the names of whoever asks.
    func holds(_ key: Key) -> Bool { keys.contains(key) }

    func contains(_ key: Key) -> Bool { holds(placed(key)) }

    /// Whether all rows of a relation come from this direction.
    func ownsRows(of relation: RelationName) -> Bool { withRows.contains(placed(relation)) }

    /// The same, by the names of whoever asks.
    func holdsRows(of placed: RelationName) -> Bool { withRows.contains(placed) }

    /// Whether the previous version's rows may be in a relation, by the names of whoever asks.
    func takesOthers(_ placed: RelationName) -> Bool { takesOthers(objectKey(.table, placed)) }

    /// Whether the previous version's values may be in a column.
    func takesOthers(_ placed: Key) -> Bool { taking.contains(placed) }

    /// Whether the previous version's rows may be in a table of a schema.
    func takesOthers(inSchema schema: String) -> Bool {
        taking.contains { $0.kind == .table && ($0.relation.schema ?? "public") == schema }
    }

    /// The previous version's writes reach a relation from now on.
    mutating func leadOthers(to placed: RelationName) { leadOthers(to: objectKey(.table, placed)) }

    /// They reach a table or a column from now on.
    mutating func leadOthers(to placed: Key) { taking.insert(placed) }

    /// They reach each table that is new, or will be.
    mutating func leadOthersToAll() {
        taking.formUnion(keys.filter { $0.kind == .table })
        isTakingAll = true
    }

    /// What they wrote was moved to where it was meant for.
    mutating func leadOthersBack(from placed: RelationName) { taking.remove(objectKey(.table, placed)) }

    func isTemporary(_ relation: RelationName) -> Bool { placed(relation).schema == "pg_temp" }

    mutating func insert(_ key: Key) { keys.insert(placed(key)) }

    /// A new table, with or without rows of its own.
    mutating func insert(table: RelationName, isTemporary: Bool, ownsRows: Bool) {
        if isTemporary { temporary.insert(table.name) }
        // Without a schema a permanent table goes where no temporary one of its name is.
        let place = isTemporary ? RelationName(schema: "pg_temp", table.name) : placed(table)
        keys.insert(objectKey(.table, place))
        if ownsRows { withRows.insert(place) }
        if isTakingAll, !isTemporary { taking.insert(objectKey(.table, place)) }
    }

    /// Others' rows can be reached through a relation from now on.
    mutating func sharesRows(_ relation: RelationName) {
        withRows.remove(relation)
        keys.remove(objectKey(.table, relation))
    }

    /// A change of its rows changes others' rows from now on.
    mutating func reachesOthers(_ relation: RelationName) { withRows.remove(relation) }

    mutating func remove(_ key: Key) { keys.remove(key) }

    /// A relation is gone, or called otherwise.
    mutating func forget(_ relation: RelationName) {
        keys = keys.filter { $0.relation != relation }
        withRows.remove(relation)
        taking = taking.filter { $0.relation != relation }
        if relation.schema == "pg_temp" { temporary.remove(relation.name) }
    }

    /// A relation has another name: it stays as new as it was.
    mutating func rename(_ old: RelationName, to name: String) {
        let new = RelationName(schema: old.schema, name)
        let (isNew, hasRows) = (keys.contains(objectKey(.table, old)), withRows.contains(old))
        let taken = taking.filter { $0.relation == old }
        forget(old)
        forget(new)
        guard isNew else { return }
        insert(table: new, isTemporary: old.schema == "pg_temp", ownsRows: hasRows)
        taking.formUnion(taken.map { Key(kind: $0.kind, relation: new, name: $0.name) })
    }

    /// Part of a relation has another name.
    mutating func rename(_ kind: ObjectKind, of relation: RelationName, from old: String, to new: String) {
        let isNew = keys.remove(objectKey(kind, relation, old)) != nil
        keys.remove(objectKey(kind, relation, new))
        if isNew { keys.insert(objectKey(kind, relation, new)) }
        if taking.remove(objectKey(kind, relation, old)) != nil { taking.insert(objectKey(kind, relation, new)) }
    }

    /// Nothing of it is certain any more.
    mutating func clear() {
        keys = []
        withRows = []
        taking = []
        temporary = []
    }

    mutating func clearTemporary() {
        for name in temporary { forget(RelationName(schema: "pg_temp", name)) }
    }

    /// What names without schema mean is changed; nil is as at the start.
    mutating func setNaming(_ parameter: String, _ value: String?, isLocal: Bool) {
        if let value {
            naming[(isLocal ? "local " : "") + parameter] = value
        } else {
            naming[parameter] = nil
            naming["local " + parameter] = nil
        }
    }

    /// What was set for a transaction alone ends with it.
    mutating func endLocalNaming() { naming = naming.filter { !$0.key.hasPrefix("local ") } }
}

/// What something is called among everything that a revision made.
func objectKey(_ kind: ObjectKind, _ relation: RelationName, _ name: String = "") -> NewObjects.Key {
    // Tables and views are one kind of name, as in the server.
    let kind: ObjectKind = [.view, .materializedView, .foreignTable, .sequence].contains(kind) ? .table : kind
    return NewObjects.Key(kind: kind, relation: relation, name: name)
}
