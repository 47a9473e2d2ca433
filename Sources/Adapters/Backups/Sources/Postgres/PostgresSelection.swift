internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies

/// Which part of a database is dumped, and how it is said to `pg_dump` and to SQL. Names are exact: `pg_dump` takes patterns, so
/// every name is quoted.
struct PostgresSelection: Sendable, Hashable {
    /// A table by schema and name.
    struct Table: Sendable, Hashable {
        var schema: String
        var name: String

        /// `schema.table`, or a table of the schema `public`.
        init(_ text: String) {
            let parts = text.parts(at: ".", most: 2, keepingEmpty: true).map(String.init)
            schema = parts.count == 2 ? parts[0] : "public"
            name = parts.last ?? text
        }

        var pattern: String { sqlName(schema) + "." + sqlName(name) }
    }

    let schemas: [String]
    let tables: [Table]
    let excluded: [Table]
    let withoutRows: [Table]

    init(_ source: PostgresDumpSource) {
        schemas = source.schemas
        tables = source.tables.map(Table.init)
        excluded = source.exclude.map(Table.init)
        withoutRows = source.excludeData.map(Table.init)
    }

    /// The whole database.
    init() { (schemas, tables, excluded, withoutRows) = ([], [], [], []) }

    /// Whether only a part is dumped, whose surroundings a restore has to find.
    var isPart: Bool { !schemas.isEmpty || !tables.isEmpty }

    /// What of the database a dump holds; nil for all of it.
    var part: DumpPart? {
        guard isPart || !excluded.isEmpty || !withoutRows.isEmpty else { return nil }
        func names(_ tables: [Table]) -> [String] { tables.map { "\($0.schema).\($0.name)" } }
        return DumpPart(
            schemas: schemas, tables: names(tables), excluded: names(excluded), withoutRows: names(withoutRows))
    }

    /// The options of `pg_dump`. Names that match nothing are an error of their own.
    var arguments: [String] {
        var arguments = schemas.map { "--schema=\(sqlName($0))" } + tables.map { "--table=\($0.pattern)" }
        arguments += excluded.map { "--exclude-table=\($0.pattern)" } + withoutRows.map { "--exclude-table-data=\($0.pattern)" }
        return isPart ? arguments + ["--strict-names"] : arguments
    }

    /// The condition for `n` (`pg_namespace`) and `c` (`pg_class`).
    var condition: String {
        var conditions: [String] = []
        if !tables.isEmpty {
            conditions.append("(n.nspname, c.relname) IN (\(list(tables)))")
        } else if !schemas.isEmpty {
            conditions.append("n.nspname IN (\(schemas.map(sqlText).joined(separator: ", ")))")
        }
        if !excluded.isEmpty { conditions.append("(n.nspname, c.relname) NOT IN (\(list(excluded)))") }
        return conditions.isEmpty ? "true" : conditions.joined(separator: " AND ")
    }

    /// The condition for tables whose rows are dumped.
    var conditionOfRows: String {
        withoutRows.isEmpty ? condition : condition + " AND (n.nspname, c.relname) NOT IN (\(list(withoutRows)))"
    }

    private func list(_ tables: [Table]) -> String {
        tables.map { "(\(sqlText($0.schema)), \(sqlText($0.name)))" }.joined(separator: ", ")
    }
}
