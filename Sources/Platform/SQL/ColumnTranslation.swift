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
        let mask = name == "interval" ? modifiers.first : nil
        if mask != nil { modifiers.removeFirst() }
        var type = ColumnType(name, modifiers, isArray: tree["arrayBounds"] != nil)
        type.fields = mask.flatMap(fields)
        return type
    }

    /// The fields of an interval by their bits (`INTERVAL_MASK`); nil for all of them.
    private static func fields(_ mask: Int) -> String? {
        let bits = [("year", 2), ("month", 1), ("day", 3), ("hour", 10), ("minute", 11), ("second", 12)]
        let names = bits.filter { mask & (1 << $0.1) != 0 }.map(\.0)
        guard names.count < bits.count, let first = names.first, let last = names.last else { return nil }
        return first == last ? first : "\(first) to \(last)"
    }

    static func column(_ tree: JSONValue) -> ColumnDefinition {
        var column = ColumnDefinition(tree["colname"]?.text ?? "", type(tree["typeName"]))
        column.collation = collation(tree)
        column.defaultText = column.type.isSerial ? nil : ""
        for constraint in tree.list("constraints").compactMap({ $0.body(of: "Constraint") }) {
            switch constraint["contype"]?.text {
            case "CONSTR_NOTNULL": column.isNotNull = true
            case "CONSTR_DEFAULT":
                column.defaultValue = defaultValue(constraint["raw_expr"])
                column.defaultText = defaultText(constraint["raw_expr"])
            case "CONSTR_IDENTITY":
                column.defaultValue = .sequence
                column.defaultText = nil
                column.isNotNull = true
            case "CONSTR_GENERATED":
                column.defaultValue = .stored
                column.defaultText = nil
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
        if isNull(expression) { return .none }
        let functions = expression.functions
        if functions.contains("nextval") { return .sequence }
        let unstable = functions.filter { !KnownFunctions.stable.contains($0) }
        return unstable.isEmpty ? .stable : .volatile(unstable)
    }

    /// A text that is the same for the same default, whatever type is written behind it; of a sequence, which has many names, none.
    static func defaultText(_ expression: JSONValue?) -> String? {
        guard let expression, !isNull(expression) else { return "" }
        if let cast = expression.body(of: "TypeCast") { return defaultText(cast["arg"]) }
        return expression.functions.contains("nextval") ? nil : expression.meaning()
    }

    /// Whether an expression is NULL, perhaps of a type that is written behind it; nothing is NULL too.
    static func isNull(_ expression: JSONValue?) -> Bool {
        guard let expression else { return true }
        if let cast = expression.body(of: "TypeCast") { return isNull(cast["arg"]) }
        return expression.body(of: "A_Const")?.flag("isnull") == true
    }

    /// The name of a collation that a column is given.
    static func collation(_ tree: JSONValue) -> String? {
        let words = tree["collClause"]?.words("collname") ?? []
        return words.isEmpty || words.last == "default" ? nil : words.joined(separator: ".")
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
        var constraint = ConstraintDefinition(
            name: tree["conname"]?.text, kind, columns: columns, isNotValid: tree.flag("skip_validation"),
            index: tree["indexname"]?.text)
        // Nothing, a, r: the row that is pointed to is held.
        constraint.passesDeletes = ["c", "n", "d"].contains(tree["fk_del_action"]?.text ?? "")
        constraint.passesUpdates = ["c", "n", "d"].contains(tree["fk_upd_action"]?.text ?? "")
        constraint.clearsOnUpdate = ["n", "d"].contains(tree["fk_upd_action"]?.text ?? "")
        constraint.comparedColumn = comparedColumn(tree["raw_expr"])
        tree["raw_expr"]?.visit { if let name = column(of: $0) { constraint.checked.insert(name) } }
        return constraint
    }

    /// The one column that a condition compares with constants, so that NULL meets it.
    private static func comparedColumn(_ expression: JSONValue?) -> String? {
        guard let expression else { return nil }
        var columns: Set<String> = []
        var isPlain = true
        expression.visit { part in
            if let name = column(of: part) { columns.insert(name) }
            let strange = ["NullTest", "BooleanTest", "CoalesceExpr", "FuncCall", "SubLink", "CaseExpr", "MinMaxExpr"]
            if let kind = part.node?.kind, strange.contains(kind) { isPlain = false }
            if part["kind"]?.text == "AEXPR_DISTINCT" || part["kind"]?.text == "AEXPR_NOT_DISTINCT" { isPlain = false }
        }
        return isPlain && columns.count == 1 ? columns.first : nil
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
        if let call = expression.body(of: "FuncCall"),
            ["left", "pg_catalog.left"].contains(call.words("funcname").joined(separator: ".")),
            column(of: call.list("args").first) == name, let length = type.modifiers.first, type.name == "varchar",
            call.list("args").last?.constant == "\(length)"
        {
            return .cut
        }
        guard let cast = expression.body(of: "TypeCast"), column(of: cast["arg"]) == name else { return .expression }
        let target = self.type(cast["typeName"])
        return target.name == type.name && (target.fields == nil || target.fields == type.fields)
            && (target.modifiers.isEmpty || target.modifiers == type.modifiers)
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
        "pg_current_xact_id", "hashtext", "uuid_nil", "inet_client_addr", "coalesce", "nullif", "least", "sign", "exp", "ln",
        "log",
        "log10", "cbrt", "div", "gcd", "lcm", "pi", "degrees", "radians", "sin", "cos", "tan", "asin", "acos", "atan", "atan2",
        "width_bucket", "scale", "trim_scale", "character_length", "bit_length", "bit_count", "get_bit", "get_byte", "set_bit",
        "set_byte", "ascii", "chr", "position", "strpos", "overlay", "reverse", "split_part", "starts_with", "to_hex", "to_ascii",
        "quote_ident", "quote_literal", "quote_nullable", "regexp_replace", "regexp_match", "regexp_matches",
        "regexp_split_to_array", "regexp_split_to_table", "regexp_count", "regexp_instr", "regexp_like", "regexp_substr",
        "string_to_table", "normalize", "is_normalized", "unistr", "sha224", "sha384", "like_escape", "similar_escape", "like",
        "notlike", "similar_to_escape", "isfinite", "justify_days", "justify_hours", "justify_interval", "date_bin", "overlaps",
        "array_prepend", "array_remove", "array_replace", "array_position", "array_positions", "array_ndims", "array_lower",
        "array_upper", "cardinality", "trim_array", "array_dims", "array_to_json", "row_to_json", "json_object", "jsonb_object",
        "json_array_elements", "jsonb_array_elements", "json_array_elements_text", "jsonb_array_elements_text",
        "json_array_length", "jsonb_array_length", "json_each", "jsonb_each", "json_each_text", "jsonb_each_text",
        "json_extract_path", "jsonb_extract_path", "json_extract_path_text", "jsonb_extract_path_text", "json_object_keys",
        "jsonb_object_keys", "json_populate_record", "jsonb_populate_record", "json_populate_recordset",
        "jsonb_populate_recordset", "json_to_record", "jsonb_to_record", "json_to_recordset", "jsonb_to_recordset",
        "json_strip_nulls", "jsonb_strip_nulls", "jsonb_insert", "jsonb_set_lax", "jsonb_pretty", "jsonb_typeof", "json_typeof",
        "jsonb_path_exists", "jsonb_path_match", "jsonb_path_query", "jsonb_path_query_array", "jsonb_path_query_first",
        "isempty", "lower_inc", "upper_inc", "lower_inf", "upper_inf", "range_merge", "int4multirange", "int8multirange",
        "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange", "setweight", "strip", "plainto_tsquery",
        "phraseto_tsquery", "websearch_to_tsquery", "ts_rank", "ts_rank_cd", "ts_headline", "to_regtype", "to_regnamespace",
        "to_regrole", "to_regproc", "pg_typeof", "obj_description", "col_description", "format_type", "current_schemas",
        "current_user", "session_user", "pg_get_constraintdef", "pg_get_indexdef", "pg_get_viewdef", "has_table_privilege",
        "pg_column_size", "num_nulls", "num_nonnulls", "host", "hostmask", "masklen", "netmask", "network", "family", "broadcast",
        "set_masklen", "box", "circle", "line", "lseg", "path", "polygon", "area", "center", "tsvector_to_array", "unaccent",
        "similarity", "digest", "hmac", "hstore", "st_makepoint", "st_setsrid", "st_geomfromtext", "st_transform",
        "hashtextextended",
    ]

    /// The operators that come with Postgres, and those of the extensions that everybody uses.
    static let operators: Set<String> = [
        "+", "-", "*", "/", "%", "^", "|/", "||/", "@", "&", "|", "#", "~", "<<", ">>", "=", "<>", "!=", "<", ">", "<=", ">=",
        "||",
        "~~", "~~*", "!~~", "!~~*", "~*", "!~", "!~*", "^@", "@>", "<@", "?", "?|", "?&", "->", "->>", "#>", "#>>", "#-", "@?",
        "@@",
        "@@@", "&&", "&<", "&>", "&<|", "|&>", "<<|", "|>>", "##", "<->", "?#", "?-", "?-|", "?||", "~=", "<^", ">^", "-|-",
        "<<=",
        ">>=", "@-@", "!!", "~<~", "~<=~", "~>~", "~>=~", "*=", "*<>", "*<", "*>", "*<=", "*>=", "<%", "%>", "<<%", "%>>", "<<->",
        "<->>", "<<<->", "<->>>", "<#>", "<=>", "<+>", "<~>", "<%>", "#=", "%%", "%#", "^?", "^<@", "^@>", "?<@", "?@>", "?~",
        "?@",
        "^~", "^@", "<<#>>", "&&&", "|=|", "~~=",
    ]

    /// The classes of operators that an index is told to use.
    static let operatorClasses: Set<String> = [
        "text_ops", "varchar_ops", "bpchar_ops", "text_pattern_ops", "varchar_pattern_ops", "bpchar_pattern_ops", "name_ops",
        "int2_ops", "int4_ops", "int8_ops", "float4_ops", "float8_ops", "numeric_ops", "bool_ops", "bytea_ops", "uuid_ops",
        "date_ops", "time_ops", "timetz_ops", "timestamp_ops", "timestamptz_ops", "interval_ops", "enum_ops", "array_ops",
        "range_ops", "multirange_ops", "inet_ops", "cidr_ops", "macaddr_ops", "jsonb_ops", "jsonb_path_ops", "tsvector_ops",
        "tsquery_ops", "record_ops", "record_image_ops", "oid_ops", "bit_ops", "varbit_ops", "money_ops", "box_ops", "point_ops",
        "poly_ops", "circle_ops", "quad_point_ops", "kd_point_ops", "network_ops", "int4_minmax_ops", "int8_minmax_ops",
        "timestamp_minmax_ops", "timestamptz_minmax_ops", "date_minmax_ops", "text_minmax_ops", "int4_bloom_ops",
        "int8_bloom_ops",
        "int4_minmax_multi_ops", "int8_minmax_multi_ops", "timestamptz_minmax_multi_ops", "gin_trgm_ops", "gist_trgm_ops",
        "gist_text_ops", "gist_int4_ops", "gist_int8_ops", "gist_uuid_ops", "gist_date_ops", "gist_timestamp_ops",
        "gist_timestamptz_ops", "gist_inet_ops", "gin_hstore_ops", "gist_hstore_ops", "gist_ltree_ops", "citext_ops",
        "citext_pattern_ops", "gin__int_ops", "gist__int_ops", "gist__intbig_ops", "gist_geometry_ops_2d", "gist_geometry_ops_nd",
        "vector_l2_ops", "vector_ip_ops", "vector_cosine_ops", "vector_l1_ops", "halfvec_l2_ops", "halfvec_ip_ops",
        "halfvec_cosine_ops", "sparsevec_l2_ops", "bit_hamming_ops", "bit_jaccard_ops",
    ]

    /// Those that a statement may call without changing anything that matters here.
    static let harmless: Set<String> = stable.union([
        "count", "sum", "min", "max", "avg", "bool_and", "bool_or", "array_agg", "string_agg", "json_agg", "jsonb_agg",
        "row_number", "every", "bit_and", "bit_or", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp",
        "percentile_cont", "percentile_disc", "mode", "json_object_agg", "jsonb_object_agg", "range_agg", "dense_rank",
        "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value", "grouping", "xmlagg",
        "corr",
        "rank", "clock_timestamp", "random", "gen_random_uuid", "uuid_generate_v1", "uuid_generate_v4", "crypt", "gen_salt",
        "nextval", "currval", "lastval",
        "pg_get_serial_sequence",
        "pg_advisory_lock", "pg_advisory_unlock", "pg_advisory_xact_lock", "pg_try_advisory_lock", "pg_try_advisory_xact_lock",
        "pg_relation_size", "pg_total_relation_size", "pg_size_pretty", "to_regclass", "generate_series", "unnest", "exists",
        "set_config",
    ])
}
