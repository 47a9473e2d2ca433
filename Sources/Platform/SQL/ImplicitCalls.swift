internal import SerinMigrations
internal import SerinModel

/// Functions that a statement runs without calling them by name: operators, casts, and what is read of a row like a column.
enum ImplicitCalls {
    static func actions(_ kind: String, _ body: JSONValue) -> [StatementAction] {
        var found = Search()
        found.nameRows(of: kind, body)
        body.visit { found.look($0) }
        let operators = found.operators.filter { !KnownFunctions.operators.contains($0) }
        let classes = found.classes.filter { !KnownFunctions.operatorClasses.contains($0) }
        var actions: [StatementAction] = []
        if !operators.isEmpty {
            actions.append(
                .opaque("the operator \(operators.joined(separator: ", ")) does not come with Postgres and may do anything"))
        }
        if !classes.isEmpty {
            actions.append(
                .opaque("the operators of \(classes.joined(separator: ", ")) do not come with Postgres and may do anything"))
        }
        if moving.contains(kind) { found.calls.append(":=") }
        let calls = found.operators.filter(KnownFunctions.operators.contains) + found.calls
        if !calls.isEmpty { actions.append(.calls(calls)) }
        if !found.types.isEmpty { actions.append(.casts(found.types)) }
        let attributes = found.attributes
        if !attributes.isEmpty { actions.append(.attributes(attributes)) }
        return actions
    }

    /// The names that calls have of what a statement makes: an operator, an aggregate, a cast.
    static func made(_ kind: String, _ body: JSONValue) -> [String] {
        switch kind {
        case "DefineStmt": return body.words("defnames").last.map { [$0] } ?? []
        case "CreateCastStmt":
            guard body["func"] != nil else { return [] }
            let target = "::" + ColumnTranslation.type(body["targettype"]).relation.name
            return body["context"]?.text == "COERCION_EXPLICIT" ? [target] : [target, ":="]
        default: return []
        }
    }

    /// The statements that compare or move values, so that a cast may apply by itself.
    private static let moving: Set<String> = [
        "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CopyStmt", "CreateTableAsStmt", "AlterTableStmt",
        "RefreshMatViewStmt",
    ]

    /// What was found so far.
    private struct Search {
        var operators: [String] = []
        var classes: [String] = []
        var types: [ColumnType] = []
        var calls: [String] = []
        /// The tables by the names that they have in the statement, and the names of what is no table.
        private var tables: [String: [RelationName]] = [:]
        private var others: Set<String> = []
        /// `row.name`, with the words before the name; nil where it is read of an expression.
        private var parts: [(row: [String]?, name: String)] = []

        mutating func look(_ part: JSONValue) {
            if let relation = part.relation, part["relpersistence"] != nil {
                tables[part["alias"]?["aliasname"]?.text ?? relation.name, default: []].append(relation)
            }
            if let name = part["ctename"]?.text { others.insert(name) }
            guard let (kind, body) = part.node else { return }
            nameRows(of: kind, body)
            switch kind {
            case "A_Expr" where body["kind"]?.text?.contains("BETWEEN") == true: for name in [">=", "<="] { note([name]) }
            case "A_Expr": note(body.words("name"))
            case "SubLink": note(body.words("operName"))
            case "SortBy": note(body.words("useOp"))
            case "Constraint":
                for pair in body.list("exclusions") {
                    note(pair.body(of: "List")?["items"]?.items?.last?.body(of: "List")?.words("items") ?? [])
                }
            case "IndexElem": if let name = body.words("opclass").last, !classes.contains(name) { classes.append(name) }
            case "TypeCast":
                let type = ColumnTranslation.type(body["typeName"])
                if !types.contains(type) { types.append(type) }
                let call = "::" + type.relation.name
                if !calls.contains(call) { calls.append(call) }
            case "ColumnRef":
                let words = body.words("fields")
                if words.count > 1, words.count == body.list("fields").count {
                    parts.append((Array(words.dropLast()), words[words.count - 1]))
                }
            case "A_Indirection": look(intoRow: body)
            case "RangeSubselect", "RangeFunction", "RangeTableFunc", "JoinExpr":
                if let name = body["alias"]?["aliasname"]?.text { others.insert(name) }
            default: break
            }
        }

        /// The rows that a statement has by names of its own.
        mutating func nameRows(of kind: String, _ body: JSONValue) {
            guard let table = body["relation"]?.relation else { return }
            switch kind {
            case "InsertStmt": tables["excluded", default: []].append(table)
            case "RuleStmt", "CreateTrigStmt": for name in ["new", "old"] { tables[name, default: []].append(table) }
            default: break
            }
        }

        /// `(row).name`
        private mutating func look(intoRow body: JSONValue) {
            guard let name = body.words("indirection").first, let row = body["arg"] else { return }
            // What a function gives is no row of a table, and those that are not known were found by themselves.
            if row.body(of: "FuncCall") != nil { return }
            let words = row.body(of: "ColumnRef")?.words("fields") ?? []
            parts.append((words.count == 1 ? words : nil, name))
        }

        private mutating func note(_ words: [String]) {
            if words.count == 1, !operators.contains(words[0]) { operators.append(words[0]) }
        }

        var attributes: [RowAttribute] {
            var found: [RowAttribute] = []
            for (row, name) in parts {
                let attribute = RowAttribute(name, of: row.flatMap(candidates))
                if attribute.tables != [], !found.contains(attribute) { found.append(attribute) }
            }
            return found
        }

        /// The tables that the name of a row may mean; none when it is no table, nil when nobody knows.
        private func candidates(_ row: [String]) -> [RelationName]? {
            guard row.count == 1, let name = row.first else { return relationName(row).map { [$0] } }
            let known = (tables[name] ?? []).filter { $0.schema != nil || !others.contains($0.name) }
            return !known.isEmpty || others.contains(name) || tables[name] != nil ? known : nil
        }
    }
}
