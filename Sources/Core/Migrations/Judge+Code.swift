internal import SerinModel

/// Functions and triggers, and what runs them.
extension Judge {
    mutating func createFunction(_ function: FunctionDefinition) {
        let key = objectKey(.function, function.name, function.arguments)
        let isTaken = taken.contains { $0.kind == .function && $0.relation == key.relation.full }
        if direction == .up, !function.isQuiet, isTaken || function.isReplaced && !isOwn(key) { made.leadOthersToAll() }
        if function.isReplaced, !isOwn(key) {
            replaces(key, "the function \(function.name) is replaced if it exists")
            depends("it may call the function \(function.name)")
        }
        if function.isReplaced, function.isTrigger, direction == .up || !function.isQuiet, !isOwn(key) {
            unknown("the function \(function.name) may be that of triggers that are there, and what it does now may be anything")
        }
        if function.hasDefaults, direction == .up {
            let isAnother = schema.functions[function.name.name] != nil
            if isAnother { depends("its calls of \(function.name) may mean this one as well, and fail") }
            flag(
                .breaksPrevious, .warning,
                "\(function.name) can be called with fewer arguments: a call that means another function of that name is no longer unique",
                why: "the server refuses a call that may mean two functions", safe: "another name, or no DEFAULT")
        }
        if function.takesWholeRows {
            schema.functionsOfWholeRows.insert(function.name.name)
        } else if function.isReplaced {
            schema.functionsOfWholeRows.remove(function.name.name)
        }
        know(.text(of: function.name, arguments: function.arguments), function.text)
        schema.functions[function.name.name] = function.isQuiet && schema.functions[function.name.name] != false
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
        given.insert(comparable(key))
        if !function.isReplaced { made.insert(key) }
        phase(.expand)
    }

    /// Functions that come with Postgres, if nothing else has their names.
    mutating func calls(_ functions: [String]) {
        let own = functions.filter { schema.functions[$0] != nil }
        if !own.isEmpty {
            unknown("it calls \(own.map(Judge.words).joined(separator: ", ")), and the migrations make code of that name")
        }
        let others = functions.filter { schema.functions[$0] == nil && settings.server?.calls.contains($0) == true }
        if !others.isEmpty {
            unknown(
                "it calls \(others.map(Judge.words).joined(separator: ", ")), and the server has code of its own of that name")
        }
    }

    /// How messages call a cast.
    private static func words(_ call: String) -> String {
        call == ":=" ? "a cast that applies by itself" : call.hasPrefix("::") ? "the cast to \(call.dropFirst(2))" : call
    }

    mutating func casts(_ types: [ColumnType]) {
        let strange = types.filter { type in
            !schema.isQuiet(type)
                && (schema.strangeTypes.contains(type.relation.full)
                    || settings.server?.types.contains(type.relation.name) != true)
        }
        if !strange.isEmpty {
            let names = strange.map(\.name).joined(separator: ", ")
            unknown("it makes values of the type \(names), and nobody knows what that calls")
        }
    }

    /// What stands behind the name of a row is a function of it where no column has that name.
    mutating func readAttributes(_ attributes: [RowAttribute]) {
        let strange = attributes.filter { attribute in
            guard !Judge.systemColumns.contains(attribute.name) else { return false }
            if let calls = settings.server?.calls, !calls.contains(attribute.name) { return false }
            guard let tables = attribute.tables else { return true }
            return tables.contains { table in
                guard let known = schema[table], known.isWhole else { return settings.server != nil }
                return known.columns[attribute.name] == nil
            }
        }
        if !strange.isEmpty {
            let names = strange.map(\.name).joined(separator: ", ")
            unknown("\(names) of a row is no column that the revisions show, so it may be a function, which may do anything")
        }
    }

    private static let systemColumns: Set<String> = ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"]

    mutating func createTrigger(_ trigger: TriggerDefinition) {
        let (name, table, function, decides) = (trigger.name, trigger.table, trigger.function, trigger.decides)
        lock(table, .shareRowExclusive)
        phase(.expand)
        let key = objectKey(.trigger, table, name)
        let isQuiet = schema.functions[function.name] ?? function.isQuietTrigger
        if !isQuiet {
            unknown("the trigger \(quoted(name)) runs \(function) on every change of \(table), and that may do anything")
        } else if decides, let column = function.columnOfQuietTrigger(trigger.arguments) {
            computes(column, of: table, by: name)
        } else if decides, !function.isQuietTrigger, direction == .up, !isNew(table) {
            unknown(
                "the trigger \(quoted(name)) runs \(function) before \(table) is written, and what the previous version writes may be changed or thrown away"
            )
        }
        if trigger.isReplaced {
            replaces(key, "the trigger \(quoted(name)) of \(table) is replaced if it exists", isOfNewTable: isNew(table))
        }
        // One that runs behind the change and writes nothing changes nothing.
        if !isQuiet || decides && function.columnOfQuietTrigger(trigger.arguments) == nil && !function.isQuietTrigger {
            var known = KnownSchema.Trigger(
                isOfInserts: trigger.isOfInserts, isOfUpdates: trigger.isOfUpdates, isOfDeletes: trigger.isOfDeletes,
                columns: trigger.columns)
            known.function = function.name
            schema.change(table) { $0.triggers[name] = known }
        }
        if decides { spoilCopies(of: table) }
        alters("trigger \(quoted(name))", of: table, isOwn: isNew(table))
        given.insert(comparable(key))
        if !trigger.isReplaced { made.insert(key) }
        if direction == .up, !isNew(table) { survival(.depends("its writes to \(table) run the trigger \(quoted(name))")) }
    }

    /// A trigger writes a column of every row that is written, whatever the previous version writes there.
    private mutating func computes(_ column: String, of table: RelationName, by trigger: String) {
        guard direction == .up, !isNewColumn(column, of: table) else { return }
        phase(.contract)
        loses("what is written to \(table).\(quoted(column)), which the trigger \(quoted(trigger)) computes instead")
        flag(
            .overwrites,
            "the trigger \(quoted(trigger)) computes \(table).\(quoted(column)) of every row that is written, over what the previous version writes there",
            safe: "a new column for it, or a column GENERATED ALWAYS AS (to_tsvector(…)) STORED")
    }
}

extension RelationName {
    /// Whether it is a trigger function of Postgres itself that only changes the row at hand.
    fileprivate var isQuietTrigger: Bool {
        (schema ?? "pg_catalog") == "pg_catalog"
            && ["suppress_redundant_updates_trigger", "tsvector_update_trigger", "tsvector_update_trigger_column"].contains(name)
    }

    /// The column that such a function computes of every row.
    fileprivate func columnOfQuietTrigger(_ arguments: [String]) -> String? {
        isQuietTrigger && name.hasPrefix("tsvector") ? arguments.first : nil
    }
}
