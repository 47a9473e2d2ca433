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

    /// The longest that a statement may wait for a lock by its own word, in milliseconds.
    public var lockTimeout: Int64 = 2000
    /// The longest that a statement may take by its own word, in milliseconds.
    public var statementTimeout: Int64 = 900_000

    func isSmall(_ table: RelationName) -> Bool { rowCount(table).map { $0 <= smallTable } ?? false }

    func rowCount(_ table: RelationName) -> Int? { rows[table.name] ?? rows["\(table)"] ?? rows["\(table.full)"] }
}
