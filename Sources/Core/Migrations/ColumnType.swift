/// A type as a column definition names it.
public struct ColumnType: Sendable, Hashable, CustomStringConvertible {
    /// The server's own name: `int8`, `varchar`, `timestamptz`, or that of a user's type.
    public var name: String
    /// Length, precision and scale, when given.
    public var modifiers: [Int]
    /// The fields of an interval that keeps only these, as `hour to minute`; nil is all of them.
    public var fields: String?
    /// Whether it is an array of it.
    public var isArray: Bool

    /// A type.
    public init(_ name: String, _ modifiers: [Int] = [], isArray: Bool = false) {
        self.name = name
        self.modifiers = modifiers
        self.isArray = isArray
    }

    /// As SQL writes it: `varchar(40)`.
    public var description: String {
        name + (fields.map { " " + $0 } ?? "")
            + (modifiers.isEmpty ? "" : "(\(modifiers.map { "\($0)" }.joined(separator: ",")))") + (isArray ? "[]" : "")
    }

    /// Its name with the schema that the text gives.
    public var relation: RelationName {
        let words = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        return RelationName(schema: words.count > 1 ? words[words.count - 2] : nil, words.last ?? "")
    }

    /// Whether it comes with Postgres or with an extension that everybody uses, so that it is no domain with a condition.
    public var comesWithServer: Bool { isSerial || ColumnType.served.contains(name) }

    private static let served: Set<String> = [
        "int2", "int4", "int8", "float4", "float8", "numeric", "money", "bool", "text", "varchar", "bpchar", "char", "name",
        "bytea",
        "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "jsonpath", "xml", "inet",
        "cidr",
        "macaddr", "macaddr8", "bit", "varbit", "point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector",
        "tsquery",
        "oid", "regclass", "regtype", "regproc", "regrole", "regnamespace", "xid", "xid8", "cid", "tid", "pg_lsn",
        "txid_snapshot",
        "pg_snapshot", "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange", "int4multirange",
        "int8multirange", "nummultirange", "tsmultirange", "tstzmultirange", "datemultirange", "citext", "hstore", "ltree",
        "geometry", "geography", "vector", "halfvec", "cube", "sparsevec", "box2d", "box3d", "lquery", "ltxtquery", "regconfig",
        "regdictionary", "regoper", "regoperator", "regprocedure", "regcollation", "refcursor", "record", "aclitem",
    ]

    /// What the server keeps: of `serial` an integer.
    var stored: ColumnType {
        let kept = [
            "serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8", "smallserial": "int2", "serial2": "int2",
        ]
        var type = self
        type.name = kept[name] ?? name
        return type
    }

    /// Whether a column of it gets its values from a new sequence.
    public var isSerial: Bool {
        ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"].contains(name)
    }
}

/// What changing a column's type does to the values that are there.
public struct TypeChange: Sendable, Hashable {
    /// How the new values are computed.
    public enum Conversion: Sendable, Hashable {
        /// By the types alone.
        case byType
        /// By what cuts a text to the new length and leaves what fits as it is.
        case cut
        /// By an expression, which may compute anything.
        case expression
    }

    /// Whether every row is written anew.
    public enum Rewrite: Sendable, Hashable {
        /// Never.
        case never
        /// Only when the session's TimeZone is not UTC.
        case unlessUTC
        /// Always, or nobody can say.
        case always
    }

    /// Whether every row is written anew.
    public var rewrite: Rewrite
    /// Whether values may be cut, rounded or refused.
    public var mayLose: Bool

    /// What is known about a change. Without the old type the worst is assumed of what could be. A time without a zone and one with it
    /// are the same only in UTC: elsewhere one hour of a year is there twice, and one never.
    ///
    /// Which changes write no rows: PostgreSQL's `varchar_support`, `numeric_support`, `TemporalSimplify` and binary-coercible casts.
    public init(from old: ColumnType?, to new: ColumnType, _ conversion: Conversion, isUTC: Bool) {
        guard conversion == .byType, let old = old?.stored else {
            rewrite = .always
            mayLose = conversion == .expression || !TypeChange.isPlainText(new)
            return
        }
        guard old != new else {
            rewrite = .never
            mayLose = false
            return
        }
        rewrite = TypeChange.rewrite(old, new)
        mayLose =
            TypeChange.mayLose(old, new)
            || (!isUTC && old.name != new.name && !TypeChange.isPlainText(new) && [old.name, new.name].contains("timestamptz"))
    }

    private static let temporal = ["timestamp", "timestamptz", "time", "timetz", "interval"]
    private static let texts = ["text", "varchar"]

    /// A type that takes every value of any other.
    private static func isPlainText(_ type: ColumnType) -> Bool {
        type.modifiers.isEmpty && !type.isArray && texts.contains(type.name)
    }

    private static func rewrite(_ old: ColumnType, _ new: ColumnType) -> Rewrite {
        guard old.isArray == new.isArray else { return .always }
        if texts.contains(old.name), texts.contains(new.name) {
            return fits(old.modifiers.first, new.modifiers.first) ? .never : .always
        }
        if old.name == "varbit", new.name == "varbit" { return fits(old.modifiers.first, new.modifiers.first) ? .never : .always }
        if old.name == "numeric", new.name == "numeric" { return numericFits(old, new) ? .never : .always }
        if old.name == "cidr", new.name == "inet" { return .never }
        guard temporal.contains(old.name), keeps(old, new) else { return .always }
        if old.name == new.name { return .never }
        let both = [old.name, new.name].sorted()
        return both == ["timestamp", "timestamptz"] && !old.isArray ? .unlessUTC : .always
    }

    private static func mayLose(_ old: ColumnType, _ new: ColumnType) -> Bool {
        guard old.isArray == new.isArray else { return !isPlainText(new) }
        if texts.contains(new.name) {
            guard let length = new.modifiers.first else { return false }
            guard let before = old.modifiers.first, texts.contains(old.name) || old.name == "bpchar" else { return true }
            return before > length
        }
        if new.name == "numeric", new.modifiers.isEmpty {
            return !["int2", "int4", "int8", "numeric"].contains(old.name)
        }
        if old.name == new.name {
            if old.name == "numeric" { return !numericFits(old, new) }
            if temporal.contains(old.name) { return !keeps(old, new) }
            return !fits(old.modifiers.first, new.modifiers.first)
        }
        let wider: [String: [String]] = [
            "int2": ["int4", "int8", "float4", "float8"], "int4": ["int8", "float8"], "float4": ["float8"],
            "date": ["timestamp", "timestamptz"], "jsonb": ["json"], "cidr": ["inet"],
            "timestamp": ["timestamptz"], "timestamptz": ["timestamp"],
        ]
        guard wider[old.name]?.contains(new.name) == true else { return true }
        return temporal.contains(old.name) && !keeps(old, new)
    }

    /// Whether a length may grow from one to the other; nil is without limit.
    private static func fits(_ old: Int?, _ new: Int?) -> Bool {
        guard let new else { return true }
        return old.map { $0 <= new } ?? false
    }

    /// Whether a time or an interval keeps its digits and its fields.
    private static func keeps(_ old: ColumnType, _ new: ColumnType) -> Bool {
        (new.fields == nil || new.fields == old.fields) && fits(old.modifiers.last ?? 6, new.modifiers.last ?? 6)
    }

    private static func numericFits(_ old: ColumnType, _ new: ColumnType) -> Bool {
        guard let precision = new.modifiers.first else { return true }
        guard let before = old.modifiers.first else { return false }
        let scale = new.modifiers.count > 1 ? new.modifiers[1] : 0
        let scaleBefore = old.modifiers.count > 1 ? old.modifiers[1] : 0
        return precision >= before && scale == scaleBefore
    }
}
