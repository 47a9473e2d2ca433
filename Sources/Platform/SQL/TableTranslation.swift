internal import SerinMigrations
internal import SerinModel

/// `CREATE TABLE` and `ALTER TABLE` as values.
enum TableTranslation {
    static func create(_ tree: JSONValue, isForeign: Bool = false) -> [StatementAction] {
        guard let name = tree["relation"]?.relation else { return [.unknown("CREATE TABLE without a name")] }
        var table = TableDefinition(name, ifNotExists: tree.flag("if_not_exists"), isPartitioned: tree["partspec"] != nil)
        table.isTemporary = tree["relation"]?["relpersistence"]?.text == "t" || name.schema == "pg_temp"
        table.isForeign = isForeign
        table.dropsOnCommit = tree["oncommit"]?.text == "ONCOMMIT_DROP"
        table.isWhole = tree["ofTypename"] == nil && tree.list("inhRelations").isEmpty && !isForeign
        table.isDefaultPartition = tree["partbound"]?.flag("is_default") ?? false
        table.bounds = tree["partbound"]?.meaning()
        var actions: [StatementAction] = []
        for element in tree.list("tableElts") {
            switch element.node?.kind {
            case "ColumnDef": table.columns.append(ColumnTranslation.column(element.node?.body ?? .null))
            case "Constraint":
                if let constraint = ColumnTranslation.constraint(element.node?.body ?? .null) {
                    table.constraints.append(constraint)
                }
            case "TableLikeClause":
                table.isWhole = false
                if let source = element.node?.body["relation"]?.relation { actions.append(.select([source], locksRows: false)) }
            default: break
            }
        }
        let parents = tree.list("inhRelations").compactMap(\.relation)
        if tree["partbound"] != nil { table.partitionOf = parents.first } else { table.parents = parents }
        return [.createTable(table)] + actions
    }

    static func alter(_ tree: JSONValue) -> [StatementAction] {
        guard let relation = tree["relation"]?.relation else { return [.unknown("ALTER TABLE without a name")] }
        let kind = tree["objtype"]?.text ?? ""
        if kind == "OBJECT_TYPE" { return [.unknown("ALTER TYPE … ATTRIBUTE")] }
        let changes = tree.list("cmds").compactMap { $0.body(of: "AlterTableCmd") }.map { command -> TableChange in
            let change = change(command, isIndex: kind == "OBJECT_INDEX")
            // What sets how a table is kept sets how a view reads.
            if case .setParameters = change, kind == "OBJECT_VIEW" { return .setBehaviour("options") }
            return change
        }
        return [.alterTable(relation, changes)]
    }

    private static func change(_ tree: JSONValue, isIndex: Bool) -> TableChange {
        let subtype = tree["subtype"]?.text ?? ""
        let name = tree["name"]?.text ?? ""
        let definition = tree["def"]?.node?.body ?? .null
        let cascades = tree["behavior"]?.text == "DROP_CASCADE"
        switch subtype {
        case "AT_AddColumn":
            return .addColumn(ColumnTranslation.column(definition), ifNotExists: tree.flag("missing_ok"))
        case "AT_DropColumn": return .dropColumn(name, cascades: cascades)
        case "AT_AlterColumnType":
            let type = ColumnTranslation.type(definition["typeName"])
            return .changeType(
                column: name, to: type, ColumnTranslation.conversion(definition, column: name, to: type),
                collation: ColumnTranslation.collation(definition))
        case "AT_SetNotNull": return .setNotNull(name)
        case "AT_DropNotNull": return .dropNotNull(name)
        case "AT_ColumnDefault":
            return ColumnTranslation.isNull(tree["def"])
                ? .dropDefault(name)
                : .setDefault(
                    name, text: ColumnTranslation.defaultText(tree["def"]),
                    isNumber: ColumnTranslation.defaultValue(tree["def"]) == .sequence)
        case "AT_AddIdentity": return .addIdentity(name)
        case "AT_SetIdentity" where tree.list("def").contains { $0.body(of: "DefElem")?["defname"]?.text == "restart" }:
            return .restartIdentity(name)
        case "AT_SetIdentity": return .changeIdentity(name, "a change of the identity")
        case "AT_DropIdentity": return .changeIdentity(name, "the end of the identity")
        case "AT_DropExpression": return .dropExpression(name)
        case "AT_AddConstraint":
            return ColumnTranslation.constraint(definition).map { .addConstraint($0) }
                ?? .other("ADD CONSTRAINT of an unknown kind")
        case "AT_ValidateConstraint": return .validate(name)
        case "AT_DropConstraint": return .dropConstraint(name, cascades: cascades)
        case "AT_AlterConstraint": return .alterConstraint(definition["conname"]?.text ?? name)
        case "AT_AttachPartition":
            guard !isIndex else { return .setParameters("ATTACH PARTITION") }
            return definition["name"]?.relation.map {
                .attach(
                    $0, isDefault: definition["bound"]?.flag("is_default") ?? false, bounds: definition["bound"]?.meaning())
            } ?? .other("ATTACH PARTITION")
        case "AT_DetachPartition":
            return definition["name"]?.relation.map { .detach($0, concurrently: definition.flag("concurrent")) }
                ?? .other("DETACH PARTITION")
        case "AT_DetachPartitionFinalize": return .setParameters("DETACH PARTITION … FINALIZE")
        case "AT_AddInherit", "AT_DropInherit":
            return definition.relation.map { .inherit($0, isLeft: subtype == "AT_DropInherit") } ?? .other("INHERIT")
        default: return setting(subtype)
        }
    }

    private static func setting(_ subtype: String) -> TableChange {
        switch subtype {
        case "AT_SetLogged": .store("SET LOGGED")
        case "AT_SetUnLogged": .setUnlogged
        case "AT_SetTableSpace": .store("SET TABLESPACE")
        case "AT_SetAccessMethod": .setAccessMethod
        case "AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions", "AT_SetRelOptions", "AT_ResetRelOptions",
            "AT_ReplaceRelOptions", "AT_ClusterOn", "AT_DropCluster":
            .setParameters(subtype)
        case "AT_SetStorage", "AT_SetCompression": .setProperty(subtype)
        case "AT_ChangeOwner": .setBehaviour("OWNER TO")
        case "AT_ReplicaIdentity": .setBehaviour("REPLICA IDENTITY")
        case "AT_AddOf", "AT_DropOf": .setBehaviour("OF")
        case "AT_EnableTrig", "AT_EnableTrigAll", "AT_EnableTrigUser", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig":
            .switchTrigger("enabled")
        case "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser": .switchTrigger("disabled")
        case "AT_EnableRule", "AT_DisableRule", "AT_EnableAlwaysRule", "AT_EnableReplicaRule":
            .setBehaviour("ENABLE or DISABLE RULE")
        case "AT_EnableRowSecurity", "AT_ForceRowSecurity": .rowSecurity(isEnabled: true)
        case "AT_DisableRowSecurity", "AT_NoForceRowSecurity": .rowSecurity(isEnabled: false)
        default: .other(subtype)
        }
    }

    static func index(_ tree: JSONValue) -> [StatementAction] {
        guard let table = tree["relation"]?.relation else { return [.unknown("CREATE INDEX without a table")] }
        let columns = tree.list("indexParams").map { $0.body(of: "IndexElem")?["name"]?.text }
        var index = IndexDefinition(
            name: tree["idxname"]?.text, on: table, columns: columns, isUnique: tree.flag("unique"),
            isConcurrent: tree.flag("concurrent"), ifNotExists: tree.flag("if_not_exists"))
        index.method = tree["accessMethod"]?.text ?? index.method
        index.leavesPartitions = !(tree["relation"]?.flag("inh") ?? true)
        for part in tree.list("indexParams").compactMap({ $0.body(of: "IndexElem")?["expr"] })
            + [tree["whereClause"]].compactMap(\.self)
        where mayFail(part) { index.riskyColumns = (index.riskyColumns ?? []).union(columnsRead(by: part)) }
        return [.createIndex(index)]
    }

    /// Whether an expression divides, or casts what is not written there to what not every text or number is.
    private static func mayFail(_ expression: JSONValue) -> Bool {
        var found = false
        expression.visit { part in
            if let operation = part.body(of: "A_Expr"), ["/", "%"].contains(operation.words("name").last) { found = true }
            guard let cast = part.body(of: "TypeCast"), cast["arg"]?.constant == nil else { return }
            let type = ColumnTranslation.type(cast["typeName"])
            if type.isArray || !["text", "varchar", "bpchar", "json", "jsonb"].contains(type.name) { found = true }
        }
        return found
    }

    private static func columnsRead(by expression: JSONValue) -> Set<String> {
        var found: Set<String> = []
        expression.visit { part in
            if let name = part.body(of: "ColumnRef")?.words("fields").last { found.insert(name) }
        }
        return found
    }
}
