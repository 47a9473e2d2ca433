/// What the revisions read so far say about the schema. Nothing is known about what they do not mention.
struct KnownSchema: Sendable {
    struct Check: Sendable {
        var name: String?
        var notNullOf: String?
        var isValid: Bool
    }

    struct ForeignKey: Sendable {
        var name: String
        var references: RelationName
        var passesDeletes = false
        var passesUpdates = false
    }

    /// A trigger that may change more than what is written.
    struct Trigger: Sendable {
        var isOfInserts: Bool
        var isOfUpdates: Bool
        var isOfDeletes: Bool
        /// The columns of which one must be changed; empty when any will do.
        var columns: Set<String>
        /// The bare name of what it runs.
        var function = ""
    }

    /// Something of which the revisions show how it is.
    struct Fact: Hashable {
        var what: String
        var relation: RelationName

        static func defaultValue(of column: String, _ table: RelationName) -> Fact {
            Fact(what: "default of \(quoted(column))", relation: table.full)
        }

        static func text(of relation: RelationName, arguments: String = "") -> Fact {
            Fact(what: arguments.isEmpty ? "text" : "text (\(arguments))", relation: relation.full)
        }

        static func bounds(of partition: RelationName) -> Fact { Fact(what: "bounds", relation: partition.full) }
    }

    /// What a view of one table shows of it.
    struct View {
        var source: RelationName
        var columns: Set<String>
    }

    struct Key: Sendable {
        var name: String
        var columns: [String]
        var isPrimary: Bool
    }

    struct Table: Sendable {
        var columns: [String: ColumnDefinition] = [:]
        /// The leading columns of its indexes and of its unique and primary keys.
        var indexed: [[String?]] = []
        var checks: [Check] = []
        var foreignKeys: [ForeignKey] = []
        /// Its triggers, by their names.
        var triggers: [String: Trigger] = [:]
        /// Its primary and unique constraints, the primary first.
        var uniques: [Key] = []
        var isPartitioned = false
        /// The partitioned table that it was made a part of, whatever became of it since.
        var partitionOf: RelationName?
        /// Its columns, those of which nothing else is known too, that refuse NULL.
        var notNull: Set<String> = []
        /// Its columns in the order of the table, and some that are gone.
        var order: [String] = []
        /// Whether the revisions show all of its columns.
        var isWhole = false
        /// Whether rows of other tables may be among its own.
        var hasHeirs = false
        /// Whether the revisions made it, with no partition and no heir.
        var isAlone: Bool { isWhole && !isPartitioned && !hasHeirs }
        /// The partition that takes what no other takes.
        var defaultPartition: RelationName?

        /// The columns of what tells every row from every other, the primary key first: what is unique may hold NULL many times.
        var keys: [[String]] {
            uniques.filter { $0.isPrimary || $0.columns.allSatisfy { columns[$0]?.isNotNull == true } }.map(\.columns)
        }
    }

    private var tables: [RelationName: Table] = [:]
    private var tableOfIndex: [RelationName: RelationName] = [:]
    /// The indexes that refuse no rows.
    private var plainIndexes: Set<RelationName> = []
    /// The columns of unique indexes, which a constraint may be made of.
    private var uniqueIndexes: [RelationName: [String]] = [:]
    /// The types that were made, and whether their values are held against a condition.
    var types: [RelationName: Bool] = [:]
    /// Those whose condition calls what nobody knows.
    var strangeTypes: Set<RelationName> = []
    /// The views that were made: what they show is not all there is of the rows behind them.
    var viewNames: Set<RelationName> = []
    /// The functions, operators and casts that were made, by their bare names, and whether all of that name write nothing and call nothing unknown.
    var functions: [String: Bool] = [:]
    /// Those of them, by their bare names, that take a changed row by all of its columns.
    var functionsOfWholeRows: Set<String> = []
    /// How things are, in texts that are the same when they are.
    var facts: [Fact: String] = [:]
    /// The views of one table each.
    private var views: [RelationName: View] = [:]
    private var viewsOfAllColumns: [RelationName: [RelationName]] = [:]

    subscript(name: RelationName) -> Table? {
        get { tables[name.full] }
        set { tables[name.full] = newValue }
    }

    /// Changes what is known of a table.
    mutating func change(_ name: RelationName, _ body: (inout Table) -> Void) { body(&tables[name.full, default: Table()]) }

    /// The type of a column, when it is known.
    func type(of column: String, in table: RelationName) -> ColumnType? { self[table]?.columns[column]?.type }

    /// The table that an index belongs to, when it is known.
    func table(ofIndex index: RelationName) -> RelationName? { tableOfIndex[index.full] }

    /// The table of which a column gets its numbers from a sequence of this name, when the server chose that name.
    func table(numberedBy sequence: String) -> RelationName? {
        tables.first { table, known in
            known.columns.values.contains {
                ($0.type.isSerial || $0.defaultValue == .sequence) && sequence == "\(table.name)_\($0.name)_seq"
            }
        }?.key
    }

    /// Whether an index is known to refuse no rows.
    func isPlainIndex(_ index: RelationName) -> Bool { plainIndexes.contains(index.full) }

    /// Whether an index may hold a column: one of an expression may hold any.
    func mayBeIndexed(_ column: String, in table: RelationName) -> Bool {
        guard let known = self[table], known.columns[column] != nil else { return true }
        return known.indexed.contains { $0.contains { $0 == nil || $0 == column } }
    }

    /// The tables whose rows change with those of a table, by foreign keys that pass a change on, and by those that point to them.
    ///
    /// - Parameter isFirst: Whether a foreign key passes on what is done to the table itself.
    func reached(from table: RelationName, by isFirst: (ForeignKey) -> Bool) -> [RelationName] {
        func pointing(to target: RelationName, _ passes: (ForeignKey) -> Bool) -> [RelationName] {
            tables.filter { $0.value.foreignKeys.contains { $0.references.full == target && passes($0) } }.map(\.key)
        }
        var open = pointing(to: table.full, isFirst)
        var found: Set<RelationName> = []
        while let next = open.popLast() {
            if found.insert(next).inserted { open += pointing(to: next) { $0.passesDeletes || $0.passesUpdates } }
        }
        return found.sorted { "\($0)" < "\($1)" }
    }

    /// Whether values of a type may be held against a condition: a domain, or what nobody knows.
    func mayBeConstrained(_ type: ColumnType) -> Bool {
        if type.isArray || type.comesWithServer { return false }
        return types[type.relation.full] ?? true
    }

    /// Whether nothing unknown is called to make a value one of a type.
    func isQuiet(_ type: ColumnType) -> Bool {
        let name = type.relation.full
        guard !strangeTypes.contains(name) else { return false }
        return type.comesWithServer || types[name] != nil || tables[name]?.isWhole == true
            || type.name.hasPrefix("_") && isQuiet(ColumnType(String(type.name.dropFirst())))
    }

    /// The views made with `SELECT *` of a table.
    func views(ofAllColumnsOf table: RelationName) -> [RelationName] { viewsOfAllColumns[table.full] ?? [] }

    /// Whether a valid check says that a column is never NULL.
    func isProvenNotNull(_ column: String, in table: RelationName) -> Bool {
        self[table]?.checks.contains { $0.notNullOf == column && $0.isValid } ?? false
    }

    /// Whether a check only says that a column is not NULL which refuses NULL itself.
    func isSaidByNotNull(_ constraint: String, on table: RelationName) -> Bool {
        guard let known = self[table], let column = known.checks.first(where: { $0.name == constraint })?.notNullOf else {
            return false
        }
        return known.notNull.contains(column) || known.columns[column]?.isNotNull == true
    }

    /// Whether columns are all of a table, in its order.
    func areAll(_ columns: [String], of table: RelationName) -> Bool {
        guard let known = self[table], known.isWhole else { return false }
        return columns == known.order.filter { known.columns[$0] != nil }
    }

    /// Whether an index starts with these columns, in any order.
    func hasIndex(on columns: [String], of table: RelationName) -> Bool {
        self[table]?.indexed.contains { Set($0.prefix(columns.count).compactMap(\.self)) == Set(columns) } ?? false
    }

    mutating func add(_ column: ColumnDefinition, to table: RelationName) {
        change(table) {
            $0.columns[column.name] = column
            $0.order.removeAll { $0 == column.name }
            $0.order.append(column.name)
        }
        facts[.defaultValue(of: column.name, table)] = column.defaultText
        for constraint in column.constraints {
            var placed = constraint
            if placed.columns.isEmpty, !placed.isCheck { placed.columns = [column.name] }
            add(placed, to: table)
        }
    }

    mutating func add(_ constraint: ConstraintDefinition, to table: RelationName) {
        let name = constraint.name ?? constraint.index ?? constraint.usualName(on: table)
        let index = constraint.index.map { RelationName(schema: table.schema, $0).full }
        let columns = index.map { uniqueIndexes[$0] ?? [] } ?? constraint.columns
        change(table) {
            switch constraint.kind {
            case .check(let column):
                $0.checks.append(Check(name: name, notNullOf: column, isValid: !constraint.isNotValid))
            case .foreignKey(let target):
                $0.foreignKeys.append(
                    ForeignKey(
                        name: name, references: target, passesDeletes: constraint.passesDeletes,
                        passesUpdates: constraint.passesUpdates))
            case .unique, .primaryKey:
                $0.indexed.append(constraint.columns)
                if !columns.isEmpty {
                    let isPrimary = constraint.kind == .primaryKey
                    $0.uniques.insert(
                        Key(name: name, columns: columns, isPrimary: isPrimary), at: isPrimary ? 0 : $0.uniques.count)
                }
                if case .primaryKey = constraint.kind {
                    for column in columns { $0.columns[column]?.isNotNull = true }
                }
            case .exclusion: $0.indexed.append([nil])
            }
        }
        if constraint.buildsIndex { tableOfIndex[RelationName(schema: table.schema, name).full] = table }
    }

    mutating func add(_ index: IndexDefinition) {
        change(index.table) { $0.indexed.append(index.columns) }
        guard let name = index.name else { return }
        let place = RelationName(schema: index.table.schema, name).full
        tableOfIndex[place] = index.table
        guard !index.ifNotExists else { return }
        let columns = index.columns.compactMap(\.self)
        if !index.isUnique {
            plainIndexes.insert(place)
        } else if columns.count == index.columns.count {
            uniqueIndexes[place] = columns
        }
    }

    mutating func validate(_ constraint: String, on table: RelationName) {
        change(table) {
            for index in $0.checks.indices where $0.checks[index].name == constraint { $0.checks[index].isValid = true }
        }
    }

    mutating func dropConstraint(_ name: String, on table: RelationName) {
        change(table) {
            $0.checks.removeAll { $0.name == name }
            $0.foreignKeys.removeAll { $0.name == name }
            $0.uniques.removeAll { $0.name == name }
        }
    }

    mutating func add(view: RelationName, ofAllColumnsOf sources: [RelationName]) {
        for source in sources { viewsOfAllColumns[source.full, default: []].append(view) }
    }

    /// Notes what a view shows, unless it is of several tables.
    mutating func define(view: RelationName, _ sources: [RelationName], _ columns: Set<String>, takesAll: Bool) {
        views[view.full] = nil
        guard sources.count == 1, let source = sources.first?.full else { return }
        let all = takesAll ? Set((self[source]?.columns ?? [:]).keys) : []
        views[view.full] = View(source: source, columns: columns.union(all))
    }

    /// A view that shows a column, or asks for it.
    func view(using column: String, of table: RelationName) -> RelationName? {
        views.filter { $0.value.source == table.full && $0.value.columns.contains(column) }.keys
            .min { "\($0)" < "\($1)" }
    }

    /// Nothing is known any more of views that are made of a relation, or are it.
    mutating func forgetViews(of relation: RelationName) {
        views = views.filter { $0.key != relation.full && $0.value.source != relation.full }
    }

    mutating func drop(_ kind: ObjectKind, _ name: RelationName) {
        if kind != .index {
            forgetViews(of: name)
            facts = facts.filter { $0.key.relation != name.full }
        }
        switch kind {
        case .index:
            tableOfIndex[name.full] = nil
            plainIndexes.remove(name.full)
            uniqueIndexes[name.full] = nil
        case .table, .view, .materializedView, .foreignTable: tables[name.full] = nil
        default: break
        }
    }

    mutating func rename(_ kind: ObjectKind, _ relation: RelationName, from old: String, to new: String) {
        if kind != .index, kind != .constraint { forgetViews(of: relation) }
        switch kind {
        case .table, .view, .materializedView, .foreignTable:
            let place = RelationName(schema: relation.schema, new).full
            tables[place] = tables.removeValue(forKey: relation.full)
            if viewNames.remove(relation.full) != nil { viewNames.insert(place) }
            tables = tables.mapValues { table in
                var table = table
                for index in table.foreignKeys.indices where table.foreignKeys[index].references.full == relation.full {
                    table.foreignKeys[index].references = place
                }
                return table
            }
        case .index:
            let place = RelationName(schema: relation.schema, new).full
            tableOfIndex[place] = tableOfIndex.removeValue(forKey: relation.full)
            if plainIndexes.remove(relation.full) != nil { plainIndexes.insert(place) }
            uniqueIndexes[place] = uniqueIndexes.removeValue(forKey: relation.full)
            // The constraint that it belongs to goes by the same name.
            if let table = tableOfIndex[place] { renameKey(of: table, from: relation.name, to: new) }
        case .column:
            change(relation) {
                if var column = $0.columns.removeValue(forKey: old) {
                    column.name = new
                    $0.columns[new] = column
                }
                $0.order = $0.order.map { $0 == old ? new : $0 }
                if $0.notNull.remove(old) != nil { $0.notNull.insert(new) }
                for index in $0.uniques.indices {
                    $0.uniques[index].columns = $0.uniques[index].columns.map { $0 == old ? new : $0 }
                }
            }
        case .constraint: renameKey(of: relation, from: old, to: new)
        case .type:
            let place = RelationName(schema: relation.schema, new).full
            types[place] = types.removeValue(forKey: relation.full)
            if strangeTypes.remove(relation.full) != nil { strangeTypes.insert(place) }
        default: break
        }
    }

    private mutating func renameKey(of table: RelationName, from old: String, to new: String) {
        change(table) {
            for index in $0.uniques.indices where $0.uniques[index].name == old { $0.uniques[index].name = new }
            if let trigger = $0.triggers.removeValue(forKey: old) { $0.triggers[new] = trigger }
        }
    }
}

extension ConstraintDefinition {
    var isCheck: Bool {
        if case .check = kind { return true }
        return false
    }

    /// Whether the server builds an index for it.
    var buildsIndex: Bool {
        switch kind {
        case .unique, .primaryKey, .exclusion: index == nil
        case .check, .foreignKey: false
        }
    }

    /// The name that the server gives when the SQL gives none (`ChooseConstraintName`).
    func usualName(on table: RelationName) -> String {
        let end: String
        switch kind {
        case .check: end = "check"
        case .foreignKey: end = "fkey"
        case .unique: end = "key"
        case .primaryKey: return table.name + "_pkey"
        case .exclusion: end = "excl"
        }
        return ([table.name] + columns + [end]).joined(separator: "_")
    }
}
