internal import SerinMigrations
internal import SerinModel

extension StatementTranslation {
    /// What reads and writes rows; nil for anything else.
    static func data(_ kind: String, _ body: JSONValue) -> [StatementAction]? {
        switch kind {
        case "SelectStmt": return withParts(body) + select(body)
        case "InsertStmt":
            guard let table = body["relation"]?.relation else { return nil }
            let sources = (body["selectStmt"]?.relations ?? []).filter { $0 != table }
            let overwrites = body["onConflictClause"].map { $0["action"]?.text == "ONCONFLICT_UPDATE" } ?? false
            let columns =
                body["onConflictClause"]?.list("targetList").compactMap { $0.body(of: "ResTarget")?["name"]?.text } ?? []
            return withParts(body)
                + (overwrites
                    ? [.update(DataChange(table, columns: columns, hasCondition: true, isBatch: true, sources: sources))]
                    : [.insert(table, from: sources)])
        case "UpdateStmt": return change(body).map { withParts(body) + [.update($0)] }
        case "DeleteStmt": return change(body).map { withParts(body) + [.delete($0)] }
        case "MergeStmt":
            return body["relation"]?.relation.map {
                withParts(body) + [.merge(DataChange($0, hasCondition: true, sources: body["sourceRelation"]?.relations ?? []))]
            }
        case "CreateTableAsStmt":
            guard let table = body["into"]?["rel"]?.relation else { return nil }
            return (body["query"].map { opaque($0) } ?? []) + [.createTableAs(table, from: body["query"]?.relations ?? [])]
        case "CopyStmt": return copy(body)
        default: return nil
        }
    }

    /// Changes of data inside a `WITH`.
    private static func withParts(_ body: JSONValue) -> [StatementAction] {
        (body["withClause"]?.list("ctes") ?? []).compactMap { $0.body(of: "CommonTableExpr")?["ctequery"] }.flatMap { query in
            query.node.map { $0.kind == "SelectStmt" ? withParts($0.body) : data($0.kind, $0.body) ?? [] } ?? []
        }
    }

    private static func select(_ body: JSONValue) -> [StatementAction] {
        if let table = body["intoClause"]?["rel"]?.relation {
            return [.createTableAs(table, from: body.relations.filter { $0 != table })]
        }
        let locksRows = !body.list("lockingClause").isEmpty
        return settings(body) + opaque(body) + [.select(body.relations, locksRows: locksRows)]
    }

    /// Calls of functions of which nobody knows what they do.
    private static func opaque(_ body: JSONValue) -> [StatementAction] {
        let strange = body.functions.filter { !KnownFunctions.harmless.contains($0) }
        return strange.isEmpty ? [] : [.opaque("it calls \(strange.joined(separator: ", ")), which may do anything")]
    }

    /// `set_config('name', 'value', …)`
    private static func settings(_ body: JSONValue) -> [StatementAction] {
        var found: [StatementAction] = []
        body.visit { part in
            guard part.words("funcname").last == "set_config" else { return }
            let arguments = part.list("args").map(\.constant)
            guard arguments.count == 3, let name = arguments[0] else { return }
            found.append(.set(parameter: name, value: arguments[1] ?? "", isLocal: arguments[2] == "true"))
        }
        return found
    }

    private static func change(_ body: JSONValue) -> DataChange? {
        guard let table = body["relation"]?.relation else { return nil }
        let columns = body.list("targetList").compactMap { $0.body(of: "ResTarget")?["name"]?.text }
        let condition = body["whereClause"]
        let others = ["fromClause", "usingClause", "whereClause", "targetList"].compactMap { body[$0] }.flatMap(\.relations)
        var sources: [RelationName] = []
        for source in others where source != table && !sources.contains(source) { sources.append(source) }
        let parts = condition.map(conjuncts) ?? []
        var isLimited = false
        for part in [condition, body["withClause"]].compactMap(\.self) {
            part.visit { if $0["limitCount"] != nil { isLimited = true } }
        }
        return DataChange(
            table, columns: columns, hasCondition: condition != nil, isBatch: isLimited || isRange(parts),
            columnsThatAreNull: parts.compactMap(columnThatIsNull), sources: sources)
    }

    /// The parts of a condition that are joined by `AND`.
    private static func conjuncts(_ condition: JSONValue) -> [JSONValue] {
        guard let both = condition.body(of: "BoolExpr"), both["boolop"]?.text == "AND_EXPR" else { return [condition] }
        return both.list("args").flatMap(conjuncts)
    }

    private static func columnThatIsNull(_ condition: JSONValue) -> String? {
        guard let test = condition.body(of: "NullTest"), test["nulltesttype"]?.text == "IS_NULL" else { return nil }
        return ColumnTranslation.column(of: test["arg"])
    }

    /// Whether a condition is a range or a value of a key: `BETWEEN` constants, both bounds, or `id = constant`.
    private static func isRange(_ parts: [JSONValue]) -> Bool {
        var lower: [String] = []
        var upper: [String] = []
        for part in parts {
            guard let comparison = part.body(of: "A_Expr"), let column = ColumnTranslation.column(of: comparison["lexpr"]) else {
                continue
            }
            if comparison["kind"]?.text == "AEXPR_BETWEEN" { return true }
            guard comparison["rexpr"]?.constant != nil else { continue }
            switch comparison.words("name").last {
            case ">", ">=": lower.append(column)
            case "<", "<=": upper.append(column)
            case "=" where column == "id": return true
            default: break
            }
        }
        return lower.contains { upper.contains($0) }
    }

    private static func copy(_ body: JSONValue) -> [StatementAction]? {
        var actions: [StatementAction] = []
        if body.flag("is_program") { actions.append(.security("COPY runs a program on the server")) }
        if body.flag("is_from"), body["filename"] == nil { return [.metaCommand("COPY … FROM STDIN")] }
        if body["filename"] != nil, !body.flag("is_program") {
            actions.append(.security("COPY reads or writes a file on the server"))
        }
        guard let table = body["relation"]?.relation else {
            return actions + [.select(body["query"]?.relations ?? [], locksRows: false)]
        }
        return actions + [body.flag("is_from") ? .insert(table, from: []) : .select([table], locksRows: false)]
    }
}
