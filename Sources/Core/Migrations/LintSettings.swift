/// What the lint is told about the server and the tables.
public struct LintSettings: Sendable, Hashable {
    /// The major versions of Postgres whose behaviour is known.
    public static let knownVersions = 13...18

    /// The server's major version.
    public var version: Int
    /// Whether the sessions that migrate have `TimeZone` set to UTC; nil when nobody knows.
    public var isUTC: Bool?
    /// The number of rows of tables, by their name as the SQL writes it or with schema; others count as large.
    public var rows: [String: Int]
    /// Up to how many rows a table is small: what reads, rewrites or changes all of it is quick then.
    public var smallTable: Int
    /// Whether a way back is expected; not of a text that is only the way forward.
    public var wantsWayBack: Bool

    /// Settings.
    public init(
        version: Int = 15, isUTC: Bool? = nil, rows: [String: Int] = [:], smallTable: Int = 10_000, wantsWayBack: Bool = true
    ) {
        self.version = version
        self.isUTC = isUTC
        self.rows = rows
        self.smallTable = smallTable
        self.wantsWayBack = wantsWayBack
    }

    /// The code of the server that statements run without naming it as a call; nil when nobody looked.
    public var server: ServerCode?
    /// The longest that a statement may wait for a lock by its own word, in milliseconds.
    public var lockTimeout: Int64 = 2000
    /// The longest that a statement may take by its own word, in milliseconds.
    public var statementTimeout: Int64 = 900_000

    func isSmall(_ table: RelationName) -> Bool { rowCount(table).map { $0 <= smallTable } ?? false }

    func rowCount(_ table: RelationName) -> Int? { rows[table.name] ?? rows["\(table)"] ?? rows["\(table.full)"] }
}

/// The code of a server that comes neither with Postgres nor with an extension, and that statements run without calling it by name.
public struct ServerCode: Sendable, Hashable {
    /// Functions of one row, which are read like a column; operators; `::name` for casts to a type, and `:=` when some apply by
    /// themselves.
    public var calls: Set<String>
    /// The types, without schema, of which a value is made without running any: enums and the like, but no domain with a condition.
    public var types: Set<String>

    /// Code.
    public init(calls: Set<String> = [], types: Set<String> = []) {
        self.calls = calls
        self.types = types
    }
}
