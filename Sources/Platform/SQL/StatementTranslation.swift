internal import SerinMigrations
internal import SerinModel

/// One statement of the parse tree as what it does.
enum StatementTranslation {
    static func actions(of tree: JSONValue) -> [StatementAction] {
        guard let (kind, body) = tree.node else { return [.unknown("a statement without a kind")] }
        let own = data(kind, body) ?? table(kind, body) ?? object(kind, body) ?? session(kind, body) ?? rest(kind, body)
        // The body of a function is not run when it is made; the parts of a schema are statements of their own.
        guard kind != "CreateFunctionStmt", kind != "CreateSchemaStmt" else { return own }
        return nested(body) + settings(body) + calls(body) + ImplicitCalls.actions(kind, body) + own
    }

    /// Changes of data anywhere inside: in a `WITH`, a rule, a `COPY`.
    private static func nested(_ body: JSONValue) -> [StatementAction] {
        var found: [StatementAction] = []
        body.visit { part in
            guard let (kind, body) = part.node, ["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"].contains(kind) else {
                return
            }
            found += data(kind, body) ?? [.unknown(kind)]
        }
        return found
    }

    /// Calls of functions anywhere inside: of most nobody knows what they do.
    private static func calls(_ body: JSONValue) -> [StatementAction] {
        let names = body.functions.filter { $0 != "setval" }
        let strange = names.filter { !KnownFunctions.harmless.contains($0) }
        // A function of a row may be called as if it were a column: row.function.
        let known = names.filter { KnownFunctions.harmless.contains($0) } + body.partsOfRows
        return (strange.isEmpty ? [] : [.opaque("it calls \(strange.joined(separator: ", ")), which may do anything")])
            + (known.isEmpty ? [] : [.calls(known)])
    }

    private static func table(_ kind: String, _ body: JSONValue) -> [StatementAction]? {
        switch kind {
        case "CreateStmt": TableTranslation.create(body)
        case "CreateForeignTableStmt": TableTranslation.create(body["base"] ?? body, isForeign: true)
        case "AlterTableStmt": TableTranslation.alter(body)
        case "IndexStmt": TableTranslation.index(body)
        case "TruncateStmt":
            [.truncate(body.list("relations").compactMap(\.relation), cascades: body["behavior"]?.text == "DROP_CASCADE")]
        case "ClusterStmt": [.cluster(body["relation"]?.relation)]
        case "VacuumStmt": vacuum(body)
        case "ReindexStmt": ObjectTranslation.reindex(body)
        case "LockStmt":
            [
                .lock(
                    body.list("relations").compactMap(\.relation),
                    TableLock(rawValue: Int(body["mode"]?.integer ?? 8)) ?? .accessExclusive,
                    withoutHeirs: body.list("relations").filter { $0.body(of: "RangeVar")?.flag("inh") != true }
                        .compactMap(\.relation))
            ]
        case "RefreshMatViewStmt":
            body["relation"]?.relation.map { view in
                let what = "REFRESH … WITH NO DATA"
                return [
                    .refresh(view, concurrently: body.flag("concurrent")),
                    body.flag("skipData") ? .unsettles(what, of: .materializedView, [view]) : .settles(what, [view]),
                ]
            }
        case "CreateTrigStmt":
            body["relation"]?.relation.map { [.createTrigger(trigger(body, on: $0))] }
        case "RuleStmt":
            body["relation"]?.relation.map {
                [
                    .createRule(
                        body["rulename"]?.text ?? "", on: $0, isReplaced: body.flag("replace"), isInstead: body.flag("instead"))
                ]
            }
        case "CreatePolicyStmt", "AlterPolicyStmt":
            body["table"]?.relation.map {
                [.policy(body["policy_name"]?.text ?? "", on: $0, isChanged: kind == "AlterPolicyStmt")]
            }
        case "CreateStatsStmt":
            body.list("relations").compactMap(\.relation).map { .alterTable($0, [.setParameters("CREATE STATISTICS")]) }
                + (relationName(body.words("defnames")).map {
                    [.create(.other, $0, isCertain: !body.flag("if_not_exists"))]
                } ?? [])
        default: nil
        }
    }

    private static func trigger(_ body: JSONValue, on table: RelationName) -> TriggerDefinition {
        var trigger = TriggerDefinition(
            body["trigname"]?.text ?? "", on: table, runs: relationName(body.words("funcname")) ?? RelationName(""),
            with: body.words("args"), isReplaced: body.flag("replace"),
            // AFTER is none, BEFORE and INSTEAD OF have a bit each.
            decides: body.flag("row") && body["timing"]?.integer ?? 0 != 0)
        // Bits of pg_trigger.tgtype: 4 is INSERT, 8 DELETE, 16 UPDATE.
        let events = body["events"]?.integer ?? 28
        trigger.isOfInserts = events & 4 != 0
        trigger.isOfUpdates = events & 16 != 0
        trigger.isOfDeletes = events & 8 != 0
        if !trigger.isOfInserts { trigger.columns = Set(body.words("columns")) }
        return trigger
    }

    private static func vacuum(_ body: JSONValue) -> [StatementAction] {
        let tables = body.list("rels").compactMap { $0.body(of: "VacuumRelation")?["relation"]?.relation }
        guard body.flag("is_vacuumcmd") else { return [.analyze(tables)] }
        let options = body.list("options").compactMap { $0.body(of: "DefElem") }
        let full = options.first { $0["defname"]?.text == "full" }
        return [.vacuum(tables, isFull: full.map { !isOff($0["arg"]) } ?? false)]
    }

    /// Whether an option is switched off.
    static func isOff(_ argument: JSONValue?) -> Bool {
        guard let argument else { return false }
        let number = argument.body(of: "Integer").map { "\($0["ival"]?.integer ?? 0)" }
        let truth = argument.body(of: "Boolean").map { "\($0.flag("boolval"))" }
        return ["false", "off", "0"].contains((argument.word ?? truth ?? number ?? "").lowercased())
    }

    private static func object(_ kind: String, _ body: JSONValue) -> [StatementAction]? {
        switch kind {
        case "DropStmt": ObjectTranslation.drop(body)
        case "DropdbStmt": [.dropWhole("DROP DATABASE \(body["dbname"]?.text ?? "")")]
        case "DropOwnedStmt": [.dropWhole("DROP OWNED")]
        case "DropTableSpaceStmt": [.dropWhole("DROP TABLESPACE")]
        case "RenameStmt": ObjectTranslation.rename(body)
        case "AlterObjectSchemaStmt": ObjectTranslation.move(body)
        case "CommentStmt": ObjectTranslation.comment(body)
        case "CreateFunctionStmt": ObjectTranslation.function(body)
        case "ViewStmt": view(body)
        case "AlterSeqStmt":
            body["sequence"]?.relation.map { [.alterSequence($0, sequenceChange(body), restarts: restarts(body))] }
        case "AlterEnumStmt":
            body["oldVal"]?.text.map {
                [.renameEnumValue(type: body.words("typeName").joined(separator: "."), from: $0, to: body["newVal"]?.text ?? "")]
            } ?? [.addEnumValue(body.words("typeName").joined(separator: "."), value: body["newVal"]?.text ?? "")]
        case "AlterDomainStmt": domain(body)
        case "CreateSchemaStmt":
            [.create(.schema, RelationName(body["schemaname"]?.text ?? ""), isCertain: !body.flag("if_not_exists"))]
                + body.list("schemaElts").flatMap { actions(of: $0) }
        case "CreateSeqStmt":
            body["sequence"]?.relation.map { [.create(.sequence, $0, isCertain: !body.flag("if_not_exists"))] }
        case "CreateEnumStmt", "CreateRangeStmt":
            relationName(body.words("typeName")).map { [.createType($0, isConstrained: false)] }
        case "CreateDomainStmt":
            relationName(body.words("domainname")).map { [.createType($0, isConstrained: isConstrained(body))] }
        case "CompositeTypeStmt": body["typevar"]?.relation.map { [.createType($0, isConstrained: false)] }
        case "DefineStmt" where body["kind"]?.text == "OBJECT_COLLATION":
            [.create(.other, relationName(body.words("defnames")) ?? RelationName(""), isCertain: false)]
        // Code that later statements run without naming it.
        case "DefineStmt", "CreateCastStmt", "CreateConversionStmt", "CreateOpClassStmt", "CreateOpFamilyStmt",
            "CreateTransformStmt",
            "CreateEventTrigStmt", "AlterEventTrigStmt", "CreateAmStmt":
            [.opaque("\(kind) makes code that other statements run without naming it")]
                + ImplicitCalls.made(kind, body).map { .makesCode($0) }
        default: nil
        }
    }

    private static func view(_ body: JSONValue) -> [StatementAction]? {
        guard let view = body["view"]?.relation, let query = body["query"] else { return nil }
        var takesAll = false
        query.visit { if $0["A_Star"] != nil { takesAll = true } }
        var columns: Set<String> = []
        query.visit { if let name = $0.body(of: "ColumnRef")?.words("fields").last { columns.insert(name) } }
        let sources = query.relations
        return [
            .createView(
                view, from: sources, isReplaced: body.flag("replace"), takesAllColumns: takesAll, columns: columns,
                text: query.meaning(isOfOne: sources.count < 2) + body.words("aliases").joined(separator: ","),
                shows: shown(body, query))
        ]
    }

    /// The rows that a view shows as they are, when it can be written through as well: one table, its columns by their names, and no
    /// option but whose rights count.
    private static func shown(_ body: JSONValue, _ query: JSONValue) -> TableCopy? {
        let options = body.list("options").compactMap { $0.body(of: "DefElem")?["defname"]?.text }
        guard body["view"]?["relpersistence"]?.text == "p", body.list("aliases").isEmpty,
            options.allSatisfy({ $0 == "security_invoker" }),
            ["NO_CHECK_OPTION", nil].contains(body["withCheckOption"]?.text), let select = query.body(of: "SelectStmt"),
            let copy = rowsAsTheyAre(select), copy.condition == nil
        else { return nil }
        return select.list("targetList").count == copy.columns?.count ?? 1 ? copy : nil
    }

    /// Whether a domain, or what it is made of, has a condition; of another user's type nobody knows.
    private static func isConstrained(_ body: JSONValue) -> Bool {
        body.list("constraints").contains {
            ["CONSTR_CHECK", "CONSTR_NOTNULL"].contains($0.body(of: "Constraint")?["contype"]?.text ?? "")
        } || ColumnTranslation.type(body["typeName"]).name.contains(".") || !isOfServer(body["typeName"])
    }

    /// Whether a type is named as the grammar names its own: with the catalogue's schema; others may be domains themselves.
    private static func isOfServer(_ type: JSONValue?) -> Bool {
        let words = type?.words("names") ?? []
        return words.first == "pg_catalog"
            || ["text", "uuid", "json", "jsonb", "date", "bytea", "inet", "citext"].contains(words.last ?? "")
    }

    /// What of `ALTER SEQUENCE` changes the numbers that are given; nil when nothing does.
    private static func sequenceChange(_ body: JSONValue) -> String? {
        let names = body.list("options").compactMap { $0.body(of: "DefElem")?["defname"]?.text }
        let changed = names.filter { $0 != "cache" }
        return changed.isEmpty ? nil : "ALTER SEQUENCE … \(changed.joined(separator: ", ").uppercased())"
    }

    /// Whether `ALTER SEQUENCE` forgets how far the sequence was.
    private static func restarts(_ body: JSONValue) -> Bool {
        body.list("options").contains { $0.body(of: "DefElem")?["defname"]?.text == "restart" }
    }

    private static func domain(_ body: JSONValue) -> [StatementAction] {
        let name = body.words("typeName").joined(separator: ".")
        switch body["subtype"]?.text {
        case "C":
            return [.constrainDomain(name, isNotValid: body["def"]?.body(of: "Constraint")?.flag("skip_validation") ?? false)]
        case "O": return [.constrainDomain(name, isNotValid: false)]
        case "X":
            return [
                .drop(DropOrder(.constraint, [RelationName(body["name"]?.text ?? "")])),
                .settles("conditions", relationName(body.words("typeName")).map { [$0] } ?? []),
            ]
        case "V": return [.constrainDomain(name, isNotValid: true)]
        default: return [.unsettles("ALTER DOMAIN \(name)", of: .type, relationName(body.words("typeName")).map { [$0] } ?? [])]
        }
    }

    private static func session(_ kind: String, _ body: JSONValue) -> [StatementAction]? {
        switch kind {
        case "TransactionStmt":
            switch body["kind"]?.text {
            case "TRANS_STMT_BEGIN", "TRANS_STMT_START": [.begin]
            case "TRANS_STMT_COMMIT": body.flag("chain") ? [.commit, .begin] : [.commit]
            case "TRANS_STMT_ROLLBACK": body.flag("chain") ? [.rollback, .begin] : [.rollback]
            case "TRANS_STMT_SAVEPOINT", "TRANS_STMT_RELEASE": [.savepoint(isTakenBack: false)]
            case "TRANS_STMT_ROLLBACK_TO": [.savepoint(isTakenBack: true)]
            default: [.unknown("a prepared transaction")]
            }
        case "VariableSetStmt": [setting(body)]
        case "DiscardStmt": [.set(parameter: "all", value: nil, isLocal: false), .discardTemporary]
        case "AlterDatabaseSetStmt":
            [
                .security("ALTER DATABASE … SET changes what every session starts with"),
                .unsettles("ALTER DATABASE … SET", of: .other, []),
            ]
        case "AlterRoleSetStmt":
            [
                .security("ALTER ROLE … SET changes what sessions of a role start with"),
                .unsettles("ALTER ROLE … SET", of: .other, []),
            ]
        case "VariableShowStmt", "NotifyStmt", "ListenStmt", "UnlistenStmt", "CheckPointStmt", "ConstraintsSetStmt": [.harmless]
        case "AlterOwnerStmt": ObjectTranslation.owner(body)
        default: nil
        }
    }

    private static func setting(_ body: JSONValue) -> StatementAction {
        let isLocal = body.flag("is_local")
        let name = body["name"]?.text ?? "all"
        guard body["kind"]?.text == "VAR_SET_VALUE" else {
            let resets = ["VAR_RESET", "VAR_SET_DEFAULT", "VAR_RESET_ALL"].contains(body["kind"]?.text ?? "")
            return resets ? .set(parameter: name, value: nil, isLocal: isLocal) : .harmless
        }
        return .set(parameter: name, value: body.list("args").compactMap(\.constant).joined(separator: ","), isLocal: isLocal)
    }

    private static func rest(_ kind: String, _ body: JSONValue) -> [StatementAction] {
        switch kind {
        case "DoStmt": [.opaque("DO runs a program")]
        case "CallStmt": [.opaque("CALL runs a procedure")]
        case "ExecuteStmt", "PrepareStmt": [.opaque("a prepared statement")]
        case "ExplainStmt": [.opaque("EXPLAIN, which runs its statement with ANALYZE")]
        case "GrantStmt", "GrantRoleStmt": ObjectTranslation.rights(body)
        case "AlterDefaultPrivilegesStmt":
            [.security("default rights are changed")]
                + (body["action"]?.flag("is_grant") == true
                    ? [.settles("default rights are taken away", [])]
                    : [.unsettles("default rights are taken away", of: .other, [])])
        case "CreateRoleStmt": [.security("a role is made"), .settles("a role is changed or dropped", [])]
        case "CreateExtensionStmt":
            [
                .create(
                    .extension, RelationName(body["extname"]?.text ?? ""), isCertain: !body.flag("if_not_exists")),
                .security("the extension \(body["extname"]?.text ?? "") is made"),
            ]
        case "CreatePLangStmt": [.security("the language \(body["plname"]?.text ?? "") is made")]
        case "CreateFdwStmt", "CreateForeignServerStmt", "CreateUserMappingStmt":
            [.security("foreign servers or mappings are made")]
        case "AlterRoleStmt", "DropRoleStmt", "ReassignOwnedStmt": unsettling("a role is changed or dropped")
        case "AlterExtensionStmt", "AlterExtensionContentsStmt":
            [.create(.extension, RelationName(body["extname"]?.text ?? ""), isCertain: false)]
                + unsettling("the extension \(body["extname"]?.text ?? "") is changed")
        case "AlterFunctionStmt": unsettling("a function's properties are changed")
        case "AlterSystemStmt": unsettling("ALTER SYSTEM changes the server for everybody")
        case "AlterForeignServerStmt", "AlterFdwStmt", "AlterUserMappingStmt", "DropUserMappingStmt", "SecLabelStmt":
            unsettling("foreign servers, mappings or labels are changed")
        default: [.unknown(kind)]
        }
    }

    private static func unsettling(_ what: String) -> [StatementAction] {
        [.security(what), .unsettles(what, of: .other, [])]
    }
}
