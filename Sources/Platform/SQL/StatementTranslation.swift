internal import SerinMigrations
internal import SerinModel

/// One statement of the parse tree as what it does.
enum StatementTranslation {
    static func actions(of tree: JSONValue) -> [StatementAction] {
        guard let (kind, body) = tree.node else { return [.unknown("a statement without a kind")] }
        return data(kind, body) ?? table(kind, body) ?? object(kind, body) ?? session(kind, body) ?? rest(kind, body)
    }

    private static func table(_ kind: String, _ body: JSONValue) -> [StatementAction]? {
        switch kind {
        case "CreateStmt": TableTranslation.create(body)
        case "CreateForeignTableStmt": TableTranslation.create(body["base"] ?? body)
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
                    TableLock(rawValue: Int(body["mode"]?.integer ?? 8)) ?? .accessExclusive)
            ]
        case "RefreshMatViewStmt":
            body["relation"]?.relation.map { [.refresh($0, concurrently: body.flag("concurrent"))] }
        case "CreateTrigStmt":
            body["relation"]?.relation.map {
                [.createTrigger(body["trigname"]?.text ?? "", on: $0, isReplaced: body.flag("replace"))]
            }
        case "RuleStmt":
            body["relation"]?.relation.map {
                [.createRule(body["rulename"]?.text ?? "", on: $0, isReplaced: body.flag("replace"))]
            }
        case "CreatePolicyStmt", "AlterPolicyStmt":
            body["table"]?.relation.map {
                [.policy(body["policy_name"]?.text ?? "", on: $0, isChanged: kind == "AlterPolicyStmt")]
            }
        case "CreateStatsStmt":
            body.list("relations").compactMap(\.relation).map { .alterTable($0, [.setParameters("CREATE STATISTICS")]) }
        default: nil
        }
    }

    private static func vacuum(_ body: JSONValue) -> [StatementAction] {
        let tables = body.list("rels").compactMap { $0.body(of: "VacuumRelation")?["relation"]?.relation }
        guard body.flag("is_vacuumcmd") else { return [.analyze(tables)] }
        let options = body.list("options").compactMap { $0.body(of: "DefElem") }
        let full = options.first { $0["defname"]?.text == "full" }
        let isOff =
            full?["arg"].map {
                ["false", "off", "0"].contains($0.word ?? $0.body(of: "Boolean").map { "\($0.flag("boolval"))" } ?? "")
            } ?? false
        return [.vacuum(tables, isFull: full != nil && !isOff)]
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
        case "AlterSeqStmt": body["sequence"]?.relation.map { [.alterSequence($0)] }
        case "AlterEnumStmt":
            body["oldVal"]?.text.map {
                [.renameEnumValue(type: body.words("typeName").joined(separator: "."), from: $0, to: body["newVal"]?.text ?? "")]
            } ?? [.addEnumValue(body.words("typeName").joined(separator: "."))]
        case "AlterDomainStmt": domain(body)
        case "CreateSchemaStmt":
            [.create(.schema, RelationName(body["schemaname"]?.text ?? ""))] + body.list("schemaElts").flatMap { actions(of: $0) }
        case "CreateSeqStmt": body["sequence"]?.relation.map { [.create(.sequence, $0)] }
        case "CreateEnumStmt", "CreateRangeStmt":
            relationName(body.words("typeName")).map { [.create(.type, $0)] }
        case "CreateDomainStmt": relationName(body.words("domainname")).map { [.create(.type, $0)] }
        case "CompositeTypeStmt": body["typevar"]?.relation.map { [.create(.type, $0)] }
        case "DefineStmt":
            [
                .create(
                    body["kind"]?.text == "OBJECT_AGGREGATE" ? .function : .type,
                    relationName(body.words("defnames")) ?? RelationName(""))
            ]
        case "CreateCastStmt", "CreateConversionStmt", "CreateOpClassStmt", "CreateOpFamilyStmt":
            [.create(.other, RelationName(""))]
        default: nil
        }
    }

    private static func view(_ body: JSONValue) -> [StatementAction]? {
        guard let view = body["view"]?.relation, let query = body["query"] else { return nil }
        var takesAll = false
        query.visit { if $0["A_Star"] != nil { takesAll = true } }
        return [.createView(view, from: query.relations, isReplaced: body.flag("replace"), takesAllColumns: takesAll)]
    }

    private static func domain(_ body: JSONValue) -> [StatementAction] {
        let name = body.words("typeName").joined(separator: ".")
        switch body["subtype"]?.text {
        case "C":
            return [.constrainDomain(name, isNotValid: body["def"]?.body(of: "Constraint")?.flag("skip_validation") ?? false)]
        case "O": return [.constrainDomain(name, isNotValid: false)]
        case "X": return [.drop(DropOrder(.constraint, [RelationName(body["name"]?.text ?? "")]))]
        default: return [.harmless]
        }
    }

    private static func session(_ kind: String, _ body: JSONValue) -> [StatementAction]? {
        switch kind {
        case "TransactionStmt":
            switch body["kind"]?.text {
            case "TRANS_STMT_BEGIN", "TRANS_STMT_START": [.begin]
            case "TRANS_STMT_COMMIT": [.commit]
            case "TRANS_STMT_ROLLBACK": [.rollback]
            case "TRANS_STMT_SAVEPOINT", "TRANS_STMT_RELEASE", "TRANS_STMT_ROLLBACK_TO": [.savepoint]
            default: [.unknown("a prepared transaction")]
            }
        case "VariableSetStmt": [setting(body)]
        case "DiscardStmt": [.set(parameter: "all", value: nil, isLocal: false)]
        case "AlterDatabaseSetStmt": [body["setstmt"].map { setting($0) } ?? .harmless]
        case "AlterRoleSetStmt":
            [.security("ALTER ROLE … SET changes what sessions of a role start with")] + [
                body["setstmt"].map { setting($0) } ?? .harmless
            ]
        case "VariableShowStmt", "NotifyStmt", "ListenStmt", "UnlistenStmt", "CheckPointStmt", "ConstraintsSetStmt",
            "AlterOwnerStmt":
            [.harmless]
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
        case "GrantStmt", "GrantRoleStmt": [.security(body.flag("is_grant") ? "rights are granted" : "rights are taken away")]
        case "AlterDefaultPrivilegesStmt": [.security("default rights are changed")]
        case "CreateRoleStmt", "AlterRoleStmt", "DropRoleStmt", "ReassignOwnedStmt":
            [.security("a role is made, changed or dropped")]
        case "CreateExtensionStmt", "AlterExtensionStmt", "AlterExtensionContentsStmt":
            [
                .create(.extension, RelationName(body["extname"]?.text ?? "")),
                .security("the extension \(body["extname"]?.text ?? "") is made or changed"),
            ]
        case "CreatePLangStmt": [.security("the language \(body["plname"]?.text ?? "") is made")]
        case "AlterFunctionStmt": [.security("a function's properties are changed")]
        case "AlterSystemStmt": [.security("ALTER SYSTEM changes the server for everybody")]
        case "CreateFdwStmt", "CreateForeignServerStmt", "CreateUserMappingStmt", "AlterForeignServerStmt", "SecLabelStmt":
            [.security("foreign servers, mappings or labels are changed")]
        default: [.unknown(kind)]
        }
    }
}
