/// One revision of a schema, as the tool that owns it would run it.
public struct MigrationScript: Sendable, Hashable {
    /// The tool's name for the revision: Alembic's identifier, or the number or time stamp that starts a file's name.
    public var revision: String
    /// What people call it; empty when it has no name.
    public var name: String
    /// The way forward.
    public var up: MigrationSide
    /// The way back.
    public var down: MigrationSide

    /// A revision.
    public init(revision: String, name: String, up: MigrationSide, down: MigrationSide) {
        self.revision = revision
        self.name = name
        self.up = up
        self.down = down
    }
}

/// One direction of a revision.
public enum MigrationSide: Sendable, Hashable {
    /// There are statements, perhaps none.
    case text(MigrationText)
    /// Nobody wrote it.
    case missing
    /// It exists, but its SQL cannot be had without a database: what the tool said about it, the file it is in, and the text of that
    /// file, whose comments may say what it does.
    case unavailable(file: String, words: String, source: [UInt8]? = nil)
}

/// SQL as it would be sent, and where it comes from.
public struct MigrationText: Sendable, Hashable {
    /// What a tool puts around the statements.
    public enum Wrapping: Sendable, Hashable {
        /// The tool begins a transaction before the first statement and commits after the last.
        case transaction
        /// All is sent as one query: several statements are one transaction, unless the text begins and commits itself; a single
        /// statement stands alone.
        case oneQuery
        /// Every statement is sent by itself; transactions are those that the text begins and commits.
        case separate
    }

    /// The file that people edit, as they named it.
    public var file: String
    /// The line of that file on which the SQL starts, from 1.
    public var line: Int
    /// The SQL. Expected to be UTF-8, but not checked.
    public var sql: [UInt8]
    /// What the tool puts around it.
    public var wrapping: Wrapping
    /// Whether a tool generated the SQL from the file: lines of the SQL are then not lines of the file.
    public var isGenerated: Bool
    /// Whether a tool writes in it where the database is, as generated SQL does.
    public var holdsRecord: Bool
    /// The whole text of the file, when SQL was generated from it: suppressions are read from its comments too.
    public var source: [UInt8]?

    /// SQL from a file.
    public init(
        file: String, line: Int = 1, sql: [UInt8], wrapping: Wrapping, isGenerated: Bool = false, source: [UInt8]? = nil
    ) {
        self.file = file
        self.line = line
        self.sql = sql
        self.wrapping = wrapping
        self.isGenerated = isGenerated
        holdsRecord = isGenerated
        self.source = source
    }
}
