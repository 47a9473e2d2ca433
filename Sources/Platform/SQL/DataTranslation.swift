internal import SerinMigrations
internal import SerinModel

extension StatementTranslation {
    /// What reads and writes rows; nil for anything else.
    static func data(_ kind: String, _ body: JSONValue) -> [StatementAction]? {
        switch kind {
        case "SelectStmt": return select(body)
        case "InsertStmt":
            guard let table = body["relation"]?.relation else { return nil }
            let sources = (body["selectStmt"]?.relations ?? []).filter { $0 != table }
            let brought = broughtBack(byInsert: body, table).map { [StatementAction.bringsBack($0)] } ?? []
            guard let conflict = body["onConflictClause"] else {
                return brought + [.insert(table, from: sources, rows: rows(body))] + given(body, table)
            }
            // Rows that were there already are left as they are: which ones came in is not known.
            guard conflict["action"]?.text == "ONCONFLICT_UPDATE" else {
                return brought + [.insert(table, from: sources)] + given(body, table)
            }
            let columns = conflict.list("targetList").compactMap { $0.body(of: "ResTarget")?["name"]?.text }
            return brought + [.update(DataChange(table, columns: columns, hasCondition: true, isBatch: true, sources: sources))]
                + given(body, table)
        case "UpdateStmt":
            let brought = broughtBack(byUpdate: body).map { [StatementAction.bringsBack($0)] } ?? []
            return change(body).map { brought + [.update($0)] }
        case "DeleteStmt": return change(body).map { [.delete($0)] }
        case "MergeStmt":
            return body["relation"]?.relation.map {
                [.merge(DataChange($0, hasCondition: true, sources: body["sourceRelation"]?.relations ?? []))]
            }
        case "CreateTableAsStmt":
            guard let table = body["into"]?["rel"], let query = body["query"] else { return nil }
            guard let select = query.body(of: "SelectStmt") else { return [.opaque("CREATE TABLE … AS EXECUTE")] }
            let into = body["into"] ?? .null
            // What goes with the transaction gives its name back to whatever had it.
            let isCertain = !body.flag("if_not_exists") && into["onCommit"]?.text != "ONCOMMIT_DROP"
            let isWhole = body["objtype"]?.text != "OBJECT_MATVIEW" && into["colNames"] == nil && !into.flag("skipData")
            return newTable(table, select, ifNotExists: !isCertain, isEmpty: !isWhole)
        case "CopyStmt": return copy(body)
        default: return nil
        }
    }

    private static func select(_ body: JSONValue) -> [StatementAction] {
        if let table = body["intoClause"]?["rel"] { return newTable(table, body, ifNotExists: false, isEmpty: false) }
        let locksRows = !body.list("lockingClause").isEmpty
        return sequences(body) + [.select(body.relations, locksRows: locksRows)]
    }

    private static func newTable(_ table: JSONValue, _ select: JSONValue, ifNotExists: Bool, isEmpty: Bool) -> [StatementAction] {
        guard let name = table.relation else { return [.unknown("a table without a name")] }
        return [
            .createTableAs(
                TableQuery(
                    name, from: select.relations.filter { $0 != name },
                    isTemporary: table["relpersistence"]?.text == "t" || name.schema == "pg_temp", ifNotExists: ifNotExists,
                    copy: isEmpty || table["relpersistence"]?.text == "u" ? nil : rowsAsTheyAre(select)))
        ]
    }

    /// The rows that a query keeps as they are: `SELECT columns FROM table [WHERE condition]`, and nothing else.
    static func rowsAsTheyAre(_ select: JSONValue) -> TableCopy? {
        guard case .object(let members) = select,
            members.allSatisfy({
                ["targetList", "fromClause", "whereClause", "limitOption", "op", "intoClause"].contains($0.key)
                    || $0.value == .bool(false)
            }), select["limitOption"]?.text ?? "LIMIT_OPTION_DEFAULT" == "LIMIT_OPTION_DEFAULT",
            select["op"]?.text ?? "SETOP_NONE" == "SETOP_NONE", select.list("fromClause").count == 1,
            let range = select.list("fromClause").first?.body(of: "RangeVar"), let source = range.relation, range.flag("inh")
        else { return nil }
        // The same words of another kind may mean other rows the next time: no condition of a change is the same as this.
        let condition = select["whereClause"].map { ($0.isPlainCondition ? "" : "once ") + $0.fingerprint }
        var columns: [String]? = []
        for target in select.list("targetList").compactMap({ $0.body(of: "ResTarget") }) {
            guard let fields = target["val"]?.body(of: "ColumnRef") else { continue }
            if fields.list("fields").last?.body(of: "A_Star") != nil {
                columns = nil
            } else if let name = fields.words("fields").last, (target["name"]?.text ?? name) == name {
                columns?.append(name)
            }
        }
        return TableCopy(of: source, columns: columns, condition: condition)
    }

    /// `UPDATE table SET column = source.column FROM source WHERE table.key = source.key`, and nothing else.
    private static func broughtBack(byUpdate body: JSONValue) -> RowsBrought? {
        guard let table = body["relation"]?.relation, let rows = rowsMatched(body, in: "fromClause"),
            let range = body.list("fromClause").first?.body(of: "RangeVar")
        else { return nil }
        let other = range["alias"]?["aliasname"]?.text ?? rows.table.name
        let updates = body.list("targetList").compactMap { $0.body(of: "ResTarget") }.compactMap { target in
            target["name"]?.text.flatMap { name in
                target["indirection"] == nil && column(target["val"], of: other) == name ? name : nil
            }
        }
        return RowsBrought(table, from: rows.table, updates: updates, by: rows.keys)
    }

    /// A column that an expression names with its table.
    private static func column(_ expression: JSONValue?, of name: String) -> String? {
        guard let reference = expression?.body(of: "ColumnRef") else { return nil }
        let words = reference.words("fields")
        return words.count == 2 && reference.list("fields").count == 2 && words[0] == name ? words[1] : nil
    }

    /// The one other table whose rows are those that change, and the columns that are alike: `FROM` or `USING source WHERE table.key =
    /// source.key`, and nothing else.
    private static func rowsMatched(_ body: JSONValue, in clause: String = "usingClause") -> MatchedRows? {
        guard let target = body["relation"], let table = target.relation, target.flag("inh"), body["withClause"] == nil,
            body.list(clause).count == 1, let range = body.list(clause).first?.body(of: "RangeVar"),
            let source = range.relation, let condition = body["whereClause"]
        else { return nil }
        let own = target["alias"]?["aliasname"]?.text ?? table.name
        let other = range["alias"]?["aliasname"]?.text ?? source.name
        guard own != other else { return nil }
        var keys: [String] = []
        for part in conjuncts(condition) {
            guard let equation = part.body(of: "A_Expr"), equation["kind"]?.text == "AEXPR_OP", equation.words("name") == ["="],
                let key = column(equation["lexpr"], of: own) ?? column(equation["rexpr"], of: own),
                [equation["lexpr"], equation["rexpr"]].contains(where: { column($0, of: other) == key })
            else { return nil }
            keys.append(key)
        }
        return MatchedRows(table: source, keys: keys)
    }

    /// `INSERT INTO table SELECT * FROM source`, perhaps with `ON CONFLICT (key) DO UPDATE SET column = EXCLUDED.column` or
    /// `DO NOTHING`, and nothing else.
    private static func broughtBack(byInsert body: JSONValue, _ table: RelationName) -> RowsBrought? {
        // USER VALUE gives the rows new numbers.
        guard body["withClause"] == nil, body["override"]?.text != "OVERRIDING_USER_VALUE",
            let select = body["selectStmt"]?.body(of: "SelectStmt"),
            let copy = rowsAsTheyAre(select),
            copy.condition == nil
        else { return nil }
        let columns = body.list("cols").compactMap { $0.body(of: "ResTarget")?["name"]?.text }
        let isWhole = columns.isEmpty && copy.columns == nil && select.list("targetList").count == 1
        guard isWhole || !columns.isEmpty && copy.columns == columns && select.list("targetList").count == columns.count else {
            return nil
        }
        guard let conflict = body["onConflictClause"] else { return RowsBrought(table, from: copy.source, inserts: isWhole) }
        let infer = conflict["infer"]
        guard conflict["whereClause"] == nil, infer?["whereClause"] == nil, infer?["conname"] == nil else { return nil }
        let keys = (infer?.list("indexElems") ?? []).compactMap { $0.body(of: "IndexElem")?["name"]?.text }
        guard conflict["action"]?.text == "ONCONFLICT_UPDATE" else {
            return RowsBrought(table, from: copy.source, by: keys, inserts: isWhole, skips: true)
        }
        let updates = conflict.list("targetList").compactMap { $0.body(of: "ResTarget") }.compactMap { target in
            target["name"]?.text.flatMap { name in
                let words = target["val"]?.body(of: "ColumnRef")?.words("fields")
                return target["indirection"] == nil && words == ["excluded", name] && (isWhole || columns.contains(name))
                    ? name : nil
            }
        }
        return RowsBrought(table, from: copy.source, updates: updates, by: keys, inserts: isWhole)
    }

    /// The rows of `INSERT INTO table (columns) VALUES …`, as far as they are constants; none when they are too many.
    private static func rows(_ body: JSONValue) -> [[String: String]] {
        let columns = body.list("cols").compactMap { $0.body(of: "ResTarget")?["name"]?.text }
        let lists = body["selectStmt"]?.body(of: "SelectStmt")?.list("valuesLists") ?? []
        guard !columns.isEmpty, lists.count <= 1000 else { return [] }
        return lists.map { list in
            let values = list.body(of: "List")?["items"]?.items ?? []
            return Dictionary(zip(columns, values).compactMap { column, value in value.constant.map { (column, $0) } }) { $1 }
        }
    }

    /// The columns that an `INSERT` gives values of its own.
    private static func given(_ body: JSONValue, _ table: RelationName) -> [StatementAction] {
        guard body["override"]?.text != "OVERRIDING_USER_VALUE", let select = body["selectStmt"]?.body(of: "SelectStmt") else {
            return []
        }
        let columns = body.list("cols").compactMap { $0.body(of: "ResTarget")?["name"]?.text }
        let lists = select.list("valuesLists").map { $0.body(of: "List")?["items"]?.items ?? [] }
        let rows = lists.isEmpty ? [select.list("targetList").compactMap { $0.body(of: "ResTarget")?["val"] }] : lists
        // Without names nobody can say here which value is whose.
        guard !columns.isEmpty else {
            return rows.joined().allSatisfy(isOwnValue) ? [.givesValues(table, columns: nil)] : []
        }
        let isTold = rows.allSatisfy { $0.count == columns.count }
        let given = columns.indices.filter { index in !isTold || rows.contains { isOwnValue($0[index]) } }.map { columns[$0] }
        return given.isEmpty ? [] : [.givesValues(table, columns: given)]
    }

    /// Whether a value is none that a sequence gives: neither `DEFAULT`, nor `nextval`, nor a number that sequences do not come to.
    private static func isOwnValue(_ value: JSONValue) -> Bool {
        if value.body(of: "SetToDefault") != nil || value.functions.contains("nextval") { return false }
        return value.constant.flatMap { Int64($0) }.map { $0 > 0 } ?? true
    }

    /// `set_config('name', 'value', …)`
    static func settings(_ body: JSONValue) -> [StatementAction] {
        var found: [StatementAction] = []
        body.visit { part in
            guard part.words("funcname").last == "set_config" else { return }
            let arguments = part.list("args").map(\.constant)
            guard arguments.count == 3, let name = arguments[0] else {
                found.append(.opaque("it sets a parameter that the text does not name"))
                return
            }
            found.append(.set(parameter: name, value: arguments[1] ?? "an expression", isLocal: arguments[2] == "true"))
        }
        return found
    }

    /// `setval('sequence', …)`
    private static func sequences(_ body: JSONValue) -> [StatementAction] {
        var found: [StatementAction] = []
        body.visit { part in
            guard part["funcformat"] != nil, part.words("funcname").last == "setval" else { return }
            let arguments = part.list("args")
            let sequence = arguments.first.flatMap(sequence) ?? RelationName("a sequence")
            // A third argument may say that the number itself is given next.
            guard arguments.count == 2, isCaughtUp(arguments[1], of: sequence, in: body) else {
                let isFixed = arguments.dropFirst().first?.constant != nil
                found.append(.alterSequence(sequence, "setval", restarts: isFixed))
                return
            }
            found.append(.catchesUp(sequence))
        }
        return found
    }

    /// The sequence that a call names: by itself, or by its column and the name that the server gives it.
    private static func sequence(_ argument: JSONValue) -> RelationName? {
        if let name = argument.constant { return RelationName(parsing: name) }
        guard argument.functions == ["pg_get_serial_sequence"] else { return nil }
        var words: [String] = []
        argument.visit { words += $0.body(of: "FuncCall")?.list("args").compactMap(\.constant) ?? [] }
        guard words.count == 2 else { return nil }
        let table = RelationName(parsing: words[0])
        return RelationName(schema: table.schema, "\(table.name)_\(words[1])_seq")
    }

    /// Whether a value is no less than any number that a sequence has given, also to rows that are not committed: the `greatest` of
    /// `max(column)` of its table and of its own `last_value`.
    private static func isCaughtUp(_ value: JSONValue, of sequence: RelationName, in query: JSONValue) -> Bool {
        guard let (kind, body) = value.node, kind == "MinMaxExpr", body["op"]?.text == "IS_GREATEST" else { return false }
        let values = body.list("args")
        return values.contains { isGreatest($0, of: sequence, in: query) } && values.contains { isLastValue($0, of: sequence) }
    }

    /// `(SELECT last_value FROM sequence)`
    private static func isLastValue(_ value: JSONValue, of sequence: RelationName) -> Bool {
        guard let select = value.body(of: "SubLink")?["subselect"]?.body(of: "SelectStmt"), select["whereClause"] == nil,
            select.list("fromClause").count == 1,
            select.list("fromClause").first?.body(of: "RangeVar")?.relation?.name == sequence.name
        else { return false }
        return ColumnTranslation.column(of: select.list("targetList").first?.body(of: "ResTarget")?["val"]) == "last_value"
    }

    /// Whether a value is no less than any key of a sequence's table: `max(column)` of it, by itself, in a `SELECT`, as the first of
    /// `coalesce` or among those of `greatest`, or one more than that.
    private static func isGreatest(_ value: JSONValue, of sequence: RelationName, in query: JSONValue) -> Bool {
        func isGreatest(_ value: JSONValue?) -> Bool { value.map { Self.isGreatest($0, of: sequence, in: query) } ?? false }
        guard let (kind, body) = value.node else { return false }
        switch kind {
        case "FuncCall":
            let tables = query.list("fromClause")
            guard body.words("funcname").last == "max", query["whereClause"] == nil, tables.count == 1,
                let table = tables.first?.body(of: "RangeVar")?.relation,
                let column = ColumnTranslation.column(of: body.list("args").first)
            else { return false }
            return sequence.name == "\(table.name)_\(column)_seq"
        case "CoalesceExpr": return isGreatest(body.list("args").first)
        case "MinMaxExpr": return body["op"]?.text == "IS_GREATEST" && body.list("args").contains(where: isGreatest)
        case "A_Expr": return body.words("name") == ["+"] && isGreatest(body["lexpr"]) && body["rexpr"]?.constant == "1"
        case "TypeCast": return isGreatest(body["arg"])
        case "SubLink":
            guard let select = body["subselect"]?.body(of: "SelectStmt"), select.list("targetList").count == 1,
                let value = select.list("targetList").first?.body(of: "ResTarget")?["val"]
            else { return false }
            return Self.isGreatest(value, of: sequence, in: select)
        default: return false
        }
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
            part.visit {
                guard let limit = $0["limitCount"] else { return }
                isLimited = isLimited || limit.constant.flatMap { Int64($0) }.map { $0 <= largestBatch } ?? false
            }
        }
        var change = DataChange(
            table, columns: columns, hasCondition: condition != nil, isBatch: isLimited || isRange(parts),
            columnsThatAreNull: parts.compactMap(columnThatIsNull), sources: sources)
        // With other tables beside it the same words may mean other rows.
        if let condition, condition.isPlainCondition, sources.isEmpty { change.condition = condition.fingerprint }
        for part in parts {
            if let (column, values) = valuesDemanded(part) { change.values[column] = values }
        }
        change.rowsOf = rowsMatched(body)
        return change
    }

    /// The most rows that count as a batch.
    private static let largestBatch: Int64 = 50_000

    /// `column = constant` and `column IN (constants)`
    private static func valuesDemanded(_ condition: JSONValue) -> (String, [String])? {
        guard let comparison = condition.body(of: "A_Expr"), comparison.words("name") == ["="],
            let column = ColumnTranslation.column(of: comparison["lexpr"])
        else { return nil }
        switch comparison["kind"]?.text {
        case "AEXPR_OP": return comparison["rexpr"]?.constant.map { (column, [$0]) }
        case "AEXPR_IN":
            let items = comparison.list("rexpr")
            let values = items.compactMap(\.constant)
            return values.count == items.count ? (column, values) : nil
        default: return nil
        }
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

    /// Whether a condition is a range or a value of a key: `BETWEEN` numbers, both bounds, or `id = constant`.
    private static func isRange(_ parts: [JSONValue]) -> Bool {
        var lower: [String: Int64] = [:]
        var upper: [String: Int64] = [:]
        func number(_ expression: JSONValue?) -> Int64? { expression?.constant.flatMap { Int64($0) } }
        for part in parts {
            guard let comparison = part.body(of: "A_Expr"), let column = ColumnTranslation.column(of: comparison["lexpr"]),
                column == "id" || column.hasSuffix("_id")
            else { continue }
            if comparison["kind"]?.text == "AEXPR_BETWEEN" {
                let bounds = comparison.list("rexpr")
                lower[column] = number(bounds.first)
                upper[column] = number(bounds.last)
                continue
            }
            guard comparison["rexpr"]?.constant != nil else { continue }
            switch comparison.words("name").last {
            case ">", ">=": lower[column] = number(comparison["rexpr"])
            case "<", "<=": upper[column] = number(comparison["rexpr"])
            case "=" where column == "id" && comparison["kind"]?.text == "AEXPR_OP": return true
            default: break
            }
        }
        return lower.contains { column, first in
            upper[column].map { last in
                let (size, isTooLarge) = last.subtractingReportingOverflow(first)
                return !isTooLarge && size <= largestBatch
            } ?? false
        }
    }

    private static func copy(_ body: JSONValue) -> [StatementAction]? {
        var actions: [StatementAction] = []
        if body.flag("is_program") {
            actions += [.security("COPY runs a program on the server"), .opaque("COPY … PROGRAM runs a program")]
        } else if body["filename"] != nil, !body.flag("is_from") {
            actions.append(.opaque("COPY … TO writes a file on the server, perhaps over another"))
        }
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
