internal import SerinModel

/// How many rows each table had in the very snapshot that was dumped.
public struct RowManifest: Sendable, Hashable, Codable {
    /// One table.
    public struct Table: Sendable, Hashable, Codable, Comparable {
        /// Its schema.
        public var schema: String
        /// Its name.
        public var table: String
        /// Its rows, counted in the dump's snapshot.
        public var count: Int64
        /// A digest over its rows, where one was computed.
        public var digest: String?

        /// A table.
        public init(schema: String, table: String, count: Int64, digest: String? = nil) {
            self.schema = schema
            self.table = table
            self.count = count
            self.digest = digest
        }

        /// By schema, then name.
        public static func < (left: Table, right: Table) -> Bool { (left.schema, left.table) < (right.schema, right.table) }
    }

    /// The tables, sorted by schema and name.
    public let tables: [Table]

    /// A manifest of tables.
    public init(tables: [Table]) { self.tables = tables.sorted() }

    /// All rows.
    public var total: Int64 { saturatingSum(tables.map(\.count)) }

    /// The rows of a table; nil when it is not there.
    public subscript(schema: String, table: String) -> Int64? {
        tables.first { $0.schema.isExactly(schema) && $0.table.isExactly(table) }?.count
    }

    /// One table whose rows are not those of the manifest.
    public struct Difference: Sendable, Hashable, Codable {
        /// The schema.
        public var schema: String
        /// The table.
        public var table: String
        /// Rows in the manifest; nil when it does not know the table.
        public var expected: Int64?
        /// Rows found; nil when the table is missing.
        public var found: Int64?
    }

    /// What a restored database has otherwise than this manifest says; empty when every table is there with every row.
    public func differences(from found: RowManifest) -> [Difference] {
        var differences: [Difference] = []
        for table in tables {
            let count = found[table.schema, table.table]
            if count != table.count {
                differences.append(Difference(schema: table.schema, table: table.table, expected: table.count, found: count))
            }
        }
        for table in found.tables where self[table.schema, table.table] == nil {
            differences.append(Difference(schema: table.schema, table: table.table, expected: nil, found: table.count))
        }
        return differences
    }
}
