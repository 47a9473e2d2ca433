internal import SerinMigrations
internal import SerinModel

/// Short ways through a parse tree. Its shape: libpg_query's `pg_query.proto` in JSON; what is zero, false or empty is left out.
extension JSONValue {
    /// The kind and content of a node, which is an object of one key.
    var node: (kind: String, body: JSONValue)? {
        guard case .object(let members) = self, members.count == 1 else { return nil }
        return (members[0].key, members[0].value)
    }

    /// The content, when it is a node of a kind.
    func body(of kind: String) -> JSONValue? {
        guard let node, node.kind == kind else { return nil }
        return node.body
    }

    /// The text of a `String` node.
    var word: String? { body(of: "String")?["sval"]?.text }

    /// The items of a list under a key, or of a `List` node.
    func list(_ key: String) -> [JSONValue] { self[key]?.items ?? self[key]?.body(of: "List")?["items"]?.items ?? [] }

    /// The words of a list of `String` nodes under a key.
    func words(_ key: String) -> [String] { list(key).compactMap(\.word) }

    /// A flag under a key.
    func flag(_ key: String) -> Bool { self[key] == .bool(true) }

    /// The name in a `RangeVar`, with or without its node.
    var relation: RelationName? {
        let content = body(of: "RangeVar") ?? self
        return content["relname"]?.text.map { RelationName(schema: content["schemaname"]?.text, $0) }
    }

    /// The value of a constant as text; nil when it is none.
    var constant: String? {
        guard let constant = body(of: "A_Const") else { return nil }
        if let text = constant["sval"]?["sval"]?.text { return text }
        if let number = constant["ival"] { return "\(number["ival"]?.integer ?? 0)" }
        if let number = constant["fval"]?["fval"]?.text { return number }
        if let truth = constant["boolval"] { return truth.flag("boolval") ? "true" : "false" }
        return nil
    }

    /// Visits every object inside, the outer before the inner.
    func visit(_ body: (JSONValue) -> Void) {
        switch self {
        case .object(let members):
            body(self)
            for member in members { member.value.visit(body) }
        case .array(let items): for item in items { item.visit(body) }
        case .null, .bool, .number, .string: break
        }
    }

    /// The tables that are named anywhere inside, each once; names of a `WITH` are none.
    var relations: [RelationName] {
        var found: [RelationName] = []
        var parts: Set<String> = []
        visit { part in
            if let name = part["ctename"]?.text { parts.insert(name) }
            if let name = part.relation, part["relpersistence"] != nil, !found.contains(name) { found.append(name) }
        }
        return found.filter { $0.schema != nil || !parts.contains($0.name) }
    }

    /// The names of the functions that are called anywhere inside, each once: those of Postgres without their schema.
    var functions: [String] {
        var found: [String] = []
        func add(_ words: [String]) {
            let name = (words.first == "pg_catalog" ? Array(words.dropFirst()) : words).joined(separator: ".")
            if !found.contains(name) { found.append(name) }
        }
        visit { part in
            if part["funcformat"] != nil { add(part.words("funcname")) }
            // An operator of a schema of its own is a function too.
            if let operation = part.body(of: "A_Expr"), operation.words("name").count > 1 { add(operation.words("name")) }
        }
        return found
    }

    /// The last words of names such as `row.column`, each once.
    var partsOfRows: [String] {
        var found: [String] = []
        visit { part in
            guard let words = part.body(of: "ColumnRef")?.words("fields"), words.count > 1, let name = words.last,
                !found.contains(name)
            else { return }
            found.append(name)
        }
        return found
    }

    /// A text that is the same for the same tree wherever it stands.
    var fingerprint: String {
        switch self {
        case .object(let members):
            "{" + members.filter { $0.key != "location" }.map { $0.key + ":" + $0.value.fingerprint }.joined(separator: ",") + "}"
        case .array(let items): "[" + items.map(\.fingerprint).joined(separator: ",") + "]"
        case .string(let text): "'\(text.count)'\(text)"
        case .null, .bool, .number: "\(self)"
        }
    }

    /// A text that is the same for most ways to write the same: constants by their values, and without places, types of constants and
    /// the schemas that are searched anyway.
    ///
    /// - Parameter isOfOne: Whether a column can be of one table alone, whether or not its name says so.
    func meaning(isOfOne: Bool = false) -> String {
        if let constant { return "'\(JSONValue.plainValue(constant))'" }
        if let cast = body(of: "TypeCast"), let constant = cast["arg"]?.constant { return "'\(JSONValue.plainValue(constant))'" }
        if let array = body(of: "A_ArrayExpr"), array.list("elements").isEmpty { return "'{}'" }
        if body(of: "SQLValueFunction")?["op"]?.text == "SVFOP_CURRENT_TIMESTAMP" { return "now()" }
        if let call = body(of: "FuncCall"), call.list("args").isEmpty,
            ["now", "transaction_timestamp"].contains(call.words("funcname").last ?? "")
        {
            return "now()"
        }
        if isOfOne, let column = body(of: "ColumnRef")?.list("fields").last { return column.fingerprint }
        switch self {
        case .object(let members):
            let parts = members.filter { member in
                let isUsual = member.key == "schemaname" && ["public", "pg_catalog"].contains(member.value.text ?? "")
                return !isUsual && !["location", "funcformat", "stmt_location", "stmt_len"].contains(member.key)
            }
            return "{" + parts.map { $0.key + ":" + $0.value.meaning(isOfOne: isOfOne) }.joined(separator: ",") + "}"
        case .array(let items):
            let isQualified = items.count == 2 && items.first?.word == "pg_catalog"
            return "[" + items.dropFirst(isQualified ? 1 : 0).map { $0.meaning(isOfOne: isOfOne) }.joined(separator: ",") + "]"
        case .string, .null, .bool, .number: return fingerprint
        }
    }

    /// The value of a constant, the same for several ways to write it.
    private static func plainValue(_ text: String) -> String {
        if text == "t" { return "true" }
        if text == "f" { return "false" }
        if text.count < 15, let number = Double(text), number.isFinite { return "\(number)" }
        guard text.first?.isNumber == true, text.has("-") else { return text }
        var day = text
        for end in ["+00:00", "+00", "Z", " 00:00:00", "T00:00:00", " 00:00"] where day.hasSuffix(end) {
            day.removeLast(end.count)
        }
        return day
    }

    /// Whether it is the same whenever it is asked of the same rows: nothing is called, and no other table is read.
    var isPlainCondition: Bool {
        var isPlain = true
        visit { part in
            if part["funcformat"] != nil || part.body(of: "SubLink") != nil || part.body(of: "SQLValueFunction") != nil {
                isPlain = false
            }
        }
        return isPlain
    }
}

/// A name of one or two words.
func relationName(_ words: [String]) -> RelationName? {
    words.last.map { RelationName(schema: words.count > 1 ? words[words.count - 2] : nil, $0) }
}
