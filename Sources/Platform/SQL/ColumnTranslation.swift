internal import SerinMigrations
internal import SerinModel

/// Columns, types and constraints of the parse tree as values.
enum ColumnTranslation {
    static func type(_ tree: JSONValue?) -> ColumnType {
        guard let tree else { return ColumnType("") }
        var names = tree.words("names")
        if names.first == "pg_catalog" { names.removeFirst() }
        let name = names.joined(separator: ".")
        var modifiers = tree.list("typmods").compactMap { $0.constant.flatMap { Int($0) } }
        // The first of an interval's is the set of its fields.
        if name == "interval" { modifiers = Array(modifiers.dropFirst()) }
        return ColumnType(name, modifiers, isArray: tree["arrayBounds"] != nil)
    }

    static func column(_ tree: JSONValue) -> ColumnDefinition {
        var column = ColumnDefinition(tree["colname"]?.text ?? "", type(tree["typeName"]))
        for constraint in tree.list("constraints").compactMap({ $0.body(of: "Constraint") }) {
            switch constraint["contype"]?.text {
            case "CONSTR_NOTNULL": column.isNotNull = true
            case "CONSTR_DEFAULT": column.defaultValue = defaultValue(constraint["raw_expr"])
            case "CONSTR_IDENTITY":
                column.defaultValue = .sequence
                column.isNotNull = true
            case "CONSTR_GENERATED": column.defaultValue = .stored
            default:
                guard let definition = self.constraint(constraint) else { continue }
                if definition.kind == .primaryKey { column.isNotNull = true }
                column.constraints.append(definition)
            }
        }
        return column
    }

    static func defaultValue(_ expression: JSONValue?) -> ColumnDefinition.Default {
        guard let expression else { return .none }
        if expression.body(of: "A_Const")?.flag("isnull") == true { return .none }
        let functions = expression.functions
        if functions.contains("nextval") { return .sequence }
        let unstable = functions.filter { !KnownFunctions.stable.contains($0) }
        return unstable.isEmpty ? .stable : .volatile(unstable)
    }

    static func constraint(_ tree: JSONValue) -> ConstraintDefinition? {
        let kind: ConstraintDefinition.Kind
        var columns = tree.words("keys")
        switch tree["contype"]?.text {
        case "CONSTR_CHECK": kind = .check(notNullOf: columnNotNull(tree["raw_expr"]))
        case "CONSTR_FOREIGN":
            guard let target = tree["pktable"]?.relation else { return nil }
            kind = .foreignKey(references: target)
            columns = tree.words("fk_attrs")
        case "CONSTR_UNIQUE": kind = .unique
        case "CONSTR_PRIMARY": kind = .primaryKey
        case "CONSTR_EXCLUSION": kind = .exclusion
        default: return nil
        }
        return ConstraintDefinition(
            name: tree["conname"]?.text, kind, columns: columns, isNotValid: tree.flag("skip_validation"),
            index: tree["indexname"]?.text)
    }

    /// The column of a condition that is nothing but `column IS NOT NULL`.
    private static func columnNotNull(_ expression: JSONValue?) -> String? {
        guard let test = expression?.body(of: "NullTest"), test["nulltesttype"]?.text == "IS_NOT_NULL" else { return nil }
        return column(of: test["arg"])
    }

    /// The name in a reference to a column.
    static func column(of expression: JSONValue?) -> String? { expression?.body(of: "ColumnRef")?.words("fields").last }

    static func conversion(_ definition: JSONValue, column name: String, to type: ColumnType) -> TypeChange.Conversion {
        guard let expression = definition["raw_default"] else { return .byType }
        if column(of: expression) == name { return .byType }
        guard let cast = expression.body(of: "TypeCast"), column(of: cast["arg"]) == name else { return .expression }
        let target = self.type(cast["typeName"])
        return target.name == type.name && (target.modifiers.isEmpty || target.modifiers == type.modifiers)
            ? .byType : .expression
    }
}

/// What is known of functions that come with Postgres.
enum KnownFunctions {
    /// Those that give the same for every row of a statement (`pg_proc.provolatile` is `s` or `i`).
    static let stable: Set<String> = [
        "now", "transaction_timestamp", "statement_timestamp", "timezone", "date_trunc", "date_part", "extract", "age",
        "to_timestamp", "to_date", "to_char", "to_number", "make_date", "make_interval", "make_time", "make_timestamp",
        "make_timestamptz", "current_setting", "current_database", "current_schema", "version", "lower", "upper", "initcap",
        "length", "char_length", "octet_length", "left", "right", "substr", "substring", "replace", "translate", "trim", "btrim",
        "ltrim", "rtrim", "repeat", "lpad", "rpad", "concat", "concat_ws", "format", "md5", "sha256", "sha512", "encode",
        "decode",
        "convert_to", "convert_from", "abs", "round", "ceil", "ceiling", "floor", "trunc", "mod", "power", "sqrt", "greatest",
        "array_append", "array_cat", "array_fill", "array_length", "array_to_string", "string_to_array", "json_build_object",
        "json_build_array", "jsonb_build_object", "jsonb_build_array", "to_json", "to_jsonb", "jsonb_set", "int4range",
        "int8range", "numrange", "daterange", "tsrange", "tstzrange", "point", "to_tsvector", "to_tsquery", "txid_current",
        "pg_current_xact_id", "hashtext", "uuid_nil", "inet_client_addr", "coalesce", "nullif",
    ]

    /// Those that a `SELECT` may call without changing anything that matters here.
    static let harmless: Set<String> = stable.union([
        "count", "sum", "min", "max", "avg", "bool_and", "bool_or", "array_agg", "string_agg", "json_agg", "jsonb_agg",
        "row_number",
        "rank", "clock_timestamp", "random", "gen_random_uuid", "nextval", "currval", "lastval", "setval",
        "pg_get_serial_sequence",
        "pg_advisory_lock", "pg_advisory_unlock", "pg_advisory_xact_lock", "pg_try_advisory_lock", "pg_try_advisory_xact_lock",
        "pg_relation_size", "pg_total_relation_size", "pg_size_pretty", "to_regclass", "generate_series", "unnest", "exists",
        "set_config",
    ])
}
