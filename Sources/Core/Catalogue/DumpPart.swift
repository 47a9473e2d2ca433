/// The part of a database that a dump holds, by exact names. A database that is restored from it is not the one that was dumped.
public struct DumpPart: Sendable, Hashable, Codable {
    /// Only these schemas; empty for all.
    public var schemas: [String]
    /// Only these tables, as `schema.table`; empty for all.
    public var tables: [String]
    /// Tables that are not in it.
    public var excluded: [String]
    /// Tables that are in it without their rows.
    public var withoutRows: [String]
    /// Foreign keys in it, as `schema.table.key` with names quoted where SQL needs it, that refer to rows which are not in it.
    public var openKeys: [String]

    /// A part.
    public init(
        schemas: [String] = [], tables: [String] = [], excluded: [String] = [], withoutRows: [String] = [],
        openKeys: [String] = []
    ) {
        self.schemas = schemas
        self.tables = tables
        self.excluded = excluded
        self.withoutRows = withoutRows
        self.openKeys = openKeys
    }

    /// `only the schemas app2; without the rows of public.log`
    public var words: String {
        [
            ("only the schemas", schemas), ("only the tables", tables), ("without the tables", excluded),
            ("without the rows of", withoutRows),
        ].filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1.joined(separator: ", "))" }.joined(separator: "; ")
    }
}

/// A role that objects of a dump belong to.
public struct DumpOwner: Sendable, Hashable, Codable {
    /// Its name.
    public var role: String
    /// The schemas in which it was granted to make objects, which a restore has to know to grant no more than that; sorted.
    public var creates: [String]

    /// An owner.
    public init(role: String, creates: [String] = []) {
        self.role = role
        self.creates = creates
    }
}

/// An extension that a dump makes.
public struct DumpExtension: Sendable, Hashable, Codable {
    /// Its name.
    public var name: String
    /// The schema that its objects are in.
    public var schema: String

    /// An extension.
    public init(name: String, schema: String) {
        self.name = name
        self.schema = schema
    }
}
