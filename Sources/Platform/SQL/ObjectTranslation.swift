internal import SerinMigrations
internal import SerinModel

/// `DROP`, `RENAME` and their kin as values.
enum ObjectTranslation {
    static func kind(_ name: String?) -> ObjectKind {
        switch name {
        case "OBJECT_TABLE": .table
        case "OBJECT_FOREIGN_TABLE": .foreignTable
        case "OBJECT_INDEX": .index
        case "OBJECT_VIEW": .view
        case "OBJECT_MATVIEW": .materializedView
        case "OBJECT_SEQUENCE": .sequence
        case "OBJECT_SCHEMA": .schema
        case "OBJECT_TYPE", "OBJECT_DOMAIN": .type
        case "OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE": .function
        case "OBJECT_TRIGGER": .trigger
        case "OBJECT_POLICY": .policy
        case "OBJECT_RULE": .rule
        case "OBJECT_TABCONSTRAINT", "OBJECT_DOMCONSTRAINT": .constraint
        case "OBJECT_COLUMN", "OBJECT_ATTRIBUTE": .column
        case "OBJECT_EXTENSION": .extension
        default: .other
        }
    }

    /// The words of whatever a statement names: a list, a string, a type, a function.
    static func words(_ object: JSONValue?) -> [String] {
        guard let object, let (kind, body) = object.node else { return [] }
        switch kind {
        case "List": return body.words("items")
        case "String": return body["sval"]?.text.map { [$0] } ?? []
        case "TypeName": return body.words("names")
        case "ObjectWithArgs": return body.words("objname")
        default: return []
        }
    }

    /// The types that a function takes; nil when the text does not say.
    private static func arguments(_ object: JSONValue) -> String? {
        guard let body = object.body(of: "ObjectWithArgs"), !body.flag("args_unspecified") else { return nil }
        return body.list("objargs").map { typeName($0.body(of: "TypeName")) }.joined(separator: ", ")
    }

    private static func typeName(_ tree: JSONValue?) -> String { "\(ColumnTranslation.type(tree))" }

    /// What `OWNER TO` is about.
    static func owner(_ tree: JSONValue) -> [StatementAction] {
        let kind = kind(tree["objectType"]?.text)
        let name = tree["relation"]?.relation ?? relationName(words(tree["object"]))
        return [.unsettles("OWNER TO", of: kind, name.map { [$0] } ?? [])]
    }

    /// `GRANT` and `REVOKE`
    static func rights(_ tree: JSONValue) -> [StatementAction] {
        let isListed = tree["targtype"]?.text == "ACL_TARGET_OBJECT"
        let names = isListed ? tree.list("objects").compactMap { $0.relation ?? relationName(words($0)) } : []
        guard !tree.flag("is_grant") else { return [.security("rights are granted"), .settles("REVOKE", names)] }
        return [.security("rights are taken away"), .unsettles("REVOKE", of: kind(tree["objtype"]?.text), names)]
    }

    static func drop(_ tree: JSONValue) -> [StatementAction] {
        let kind = kind(tree["removeType"]?.text)
        let cascades = tree["behavior"]?.text == "DROP_CASCADE"
        let objects = tree.list("objects").map(words)
        switch kind {
        case .trigger, .policy, .rule:
            return objects.compactMap { words in
                guard let name = words.last, let table = relationName(Array(words.dropLast())) else { return nil }
                return .drop(DropOrder(kind, [RelationName(name)], of: table, cascades: cascades))
            }
        default:
            var order = DropOrder(
                kind, objects.compactMap { relationName($0) }, cascades: cascades, isConcurrent: tree.flag("concurrent"))
            order.arguments = tree.list("objects").map(arguments)
            return [.drop(order)]
        }
    }

    static func rename(_ tree: JSONValue) -> [StatementAction] {
        let kind = kind(tree["renameType"]?.text)
        let new = tree["newname"]?.text ?? ""
        let old = tree["subname"]?.text
        guard let relation = tree["relation"]?.relation else {
            let name = old ?? words(tree["object"]).joined(separator: ".")
            return [.rename(kind, of: nil, from: name, to: new)]
        }
        switch kind {
        case .trigger, .policy, .rule: return [.rename(.constraint, of: relation, from: old ?? "", to: new)]
        case .column where tree["renameType"]?.text == "OBJECT_ATTRIBUTE":
            return [.rename(.type, of: nil, from: old ?? "", to: new)]
        default: return [.rename(kind, of: relation, from: old ?? relation.name, to: new)]
        }
    }

    static func move(_ tree: JSONValue) -> [StatementAction] {
        [.move(kind(tree["objectType"]?.text), tree["relation"]?.relation, to: tree["newschema"]?.text ?? "")]
    }

    static func comment(_ tree: JSONValue) -> [StatementAction] {
        let words = words(tree["object"])
        switch kind(tree["objtype"]?.text) {
        case .table, .index, .view, .materializedView, .foreignTable, .sequence: return [.comment(relationName(words))]
        case .column, .constraint, .trigger, .policy, .rule: return [.comment(relationName(Array(words.dropLast())))]
        case .schema, .type, .function, .extension, .other: return [.comment(nil)]
        }
    }

    static func reindex(_ tree: JSONValue) -> [StatementAction] {
        let isConcurrent = tree.list("params").compactMap { $0.body(of: "DefElem") }.contains {
            $0["defname"]?.text == "concurrently" && !StatementTranslation.isOff($0["arg"])
        }
        let kind: ObjectKind
        switch tree["kind"]?.text {
        case "REINDEX_OBJECT_INDEX": kind = .index
        case "REINDEX_OBJECT_TABLE": kind = .table
        case "REINDEX_OBJECT_SCHEMA": kind = .schema
        default: kind = .other
        }
        return [.reindex(kind, tree["relation"]?.relation, concurrently: isConcurrent)]
    }

    static func function(_ tree: JSONValue) -> [StatementAction] {
        guard let name = relationName(tree.words("funcname")) else { return [.unknown("CREATE FUNCTION without a name")] }
        var function = FunctionDefinition(name, isReplaced: tree.flag("replace"), language: "sql")
        function.isTrigger = ["trigger", "event_trigger"].contains(tree["returnType"]?.words("names").last ?? "")
        var body: String?
        let modes = ["FUNC_PARAM_OUT", "FUNC_PARAM_TABLE"]
        function.arguments = tree.list("parameters").compactMap { $0.body(of: "FunctionParameter") }
            .filter { !modes.contains($0["mode"]?.text ?? "") }.map { typeName($0["argType"]) }.joined(separator: ", ")
        function.hasDefaults = tree.list("parameters").contains { $0.body(of: "FunctionParameter")?["defexpr"] != nil }
        for option in tree.list("options").compactMap({ $0.body(of: "DefElem") }) {
            let value = option["arg"]
            switch option["defname"]?.text {
            case "language": function.language = (value?.word ?? "").lowercased()
            case "security": function.isSecurityDefiner = value?.body(of: "Boolean")?.flag("boolval") ?? false
            case "set": if value?.body(of: "VariableSetStmt")?["name"]?.text == "search_path" { function.setsSearchPath = true }
            case "as": body = value?.body(of: "List")?.words("items").first ?? ""
            default: break
            }
        }
        let isDynamic = function.language == "plpgsql" && SQLWords.contains("EXECUTE", in: body ?? "")
        if let body, ["plpgsql", "sql"].contains(function.language) {
            function.isQuiet = SQLWords.isQuiet(body)
            function.takesWholeRows = SQLWords.takesWholeRows(body)
            function.text = body.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
        return [.createFunction(function)]
            + (isDynamic ? [.opaque("the function \(name) runs SQL that it puts together itself (EXECUTE)")] : [])
    }
}

/// Words of a text outside quotes and comments.
enum SQLWords {
    static func contains(_ word: String, in text: String) -> Bool {
        var scanner = SQLScanner(Array(text.utf8))
        scanner.watched = word
        scanner.scan()
        return scanner.sawWatched
    }

    /// Whether the body of a function changes no table, and calls nothing but functions that come with Postgres.
    static func isQuiet(_ text: String) -> Bool {
        var scanner = SQLScanner(Array(text.utf8))
        scanner.scan()
        return scanner.seen.isDisjoint(with: changing)
            && scanner.called.allSatisfy { KnownFunctions.harmless.contains($0) || grammar.contains($0) }
    }

    /// Whether all columns of the row of a trigger are meant by a star.
    static func takesWholeRows(_ text: String) -> Bool {
        let bare = text.uppercased().filter { !$0.isWhitespace && $0 != "(" && $0 != ")" }
        return bare.contains("OLD.*") || bare.contains("NEW.*")
    }

    private static let changing: Set<String> = [
        "DELETE", "UPDATE", "TRUNCATE", "DROP", "ALTER", "EXECUTE", "PERFORM", "CALL", "COPY", "MERGE", "CREATE", "INSERT",
        "GRANT",
        "REVOKE", "INTO", "SET", "DO", "REFRESH", "COMMIT", "ROLLBACK", "LOCK", "SETVAL",
    ]

    /// Words before a parenthesis that call nothing.
    private static let grammar: Set<String> = [
        "if", "elsif", "in", "and", "or", "not", "exists", "values", "case", "when", "then", "else", "return", "any", "all",
        "some",
        "row", "array", "cast", "select", "from", "where", "on", "using", "between", "is", "distinct", "as", "numeric", "varchar",
        "char", "timestamp", "interval", "old", "new", "begin", "loop", "while", "query", "filter", "over", "by", "raise",
    ]
}
