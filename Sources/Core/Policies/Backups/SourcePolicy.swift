public import SerinModel

/// What is backed up, and how.
public enum SourcePolicy: Sendable, Hashable, Codable {
    /// A logical dump of Postgres.
    case postgres(PostgresDumpSource)
    /// A physical backup of a Postgres cluster.
    case postgresPhysical(PostgresPhysicalSource)
    /// Redis.
    case redis(RedisSource)
    /// Files and folders.
    case files(FilesSource)
    /// A log table of Postgres.
    case logs(LogsSource)
    /// MongoDB.
    case mongo(MongoSource)
    /// ClickHouse.
    case clickhouse(ClickHouseSource)
    /// Whatever a command writes.
    case command(CommandSource)

    /// The key in a plan.
    public var word: String {
        switch self {
        case .postgres: "postgres"
        case .postgresPhysical: "postgres_physical"
        case .redis: "redis"
        case .files: "files"
        case .logs: "logs"
        case .mongo: "mongo"
        case .clickhouse: "clickhouse"
        case .command: "command"
        }
    }

    /// The kind that a schedule makes unless it names another.
    public var defaultKind: BackupKind {
        switch self {
        case .postgres: .logical
        case .postgresPhysical: .baseFull
        case .redis: .redisRDB
        case .files: .files
        case .logs: .logs
        case .mongo: .mongo
        case .clickhouse: .clickhouse
        case .command: .command
        }
    }

    /// Whether its write-ahead log is followed by a receiver of Serin's.
    public var receivesLog: Bool {
        if case .postgresPhysical(let source) = self, case .receive = source.log { true } else { false }
    }

    /// Why no drill can rehearse a restore of it; nil where one can.
    public var drillRefusal: Failure? {
        switch self {
        case .command(let source): source.restoresIntoFolder ? nil : source.refusal
        case .mongo:
            Failure(
                .invalid, "a backup of MongoDB is restored into a server, and none of its own can be made to rehearse on",
                hint: "rehearse by hand, into an empty server that restore.url names: serin backup restore PLAN latest")
        case .postgres, .postgresPhysical, .redis, .files, .logs, .clickhouse: nil
        }
    }

    /// The kinds that schedules may name: those that the source can make as it is set up.
    public var kinds: [BackupKind] {
        switch self {
        case .postgres: [.logical, .globals]
        case .postgresPhysical(let source):
            switch source.tool {
            case .pgBackRest: [.baseFull, .baseIncremental, .baseDifferential]
            // pg_basebackup makes no increments before Postgres 17.
            case .baseBackup: source.log == .none ? [.baseFull] : [.baseFull, .walRange]
            }
        case .redis(let source): source.appendOnly == .off ? [.redisRDB] : [.redisRDB, .redisAOF]
        case .files, .logs, .mongo, .clickhouse, .command: [defaultKind]
        }
    }
}

/// `postgres:` a logical dump.
public struct PostgresDumpSource: Sendable, Hashable, Codable {
    /// What `pg_dump` writes.
    public enum Format: String, Sendable, Hashable, Codable, CaseIterable {
        /// One archive from which parts can be restored.
        case custom
        /// A folder of files, written by several workers; stored as one tar stream.
        case directory
        /// SQL text.
        case plain
        /// A tar archive.
        case tar
    }

    /// The connection string.
    public var url: SecretReference
    /// What is written.
    public var format: Format
    /// Only these schemas, by exact name, never by pattern; empty for all.
    public var schemas: [String]
    /// Only these tables, as `schema.table`; empty for all.
    public var tables: [String]
    /// Not these tables, as `schema.table`.
    public var exclude: [String]
    /// These tables without their rows, as `schema.table`.
    public var excludeData: [String]
    /// Whether roles and tablespaces are dumped as well, as a backup of their own.
    public var globals: Bool
    /// How many workers dump a directory, 1…32.
    public var jobs: Int
    /// How long the dump may wait for a lock.
    public var lockTimeout: Duration

    /// A source.
    public init(
        url: SecretReference, format: Format = .custom, schemas: [String] = [], tables: [String] = [], exclude: [String] = [],
        excludeData: [String] = [], globals: Bool = false, jobs: Int = 1, lockTimeout: Duration = .seconds(30)
    ) {
        self.url = url
        self.format = format
        self.schemas = schemas
        self.tables = tables
        self.exclude = exclude
        self.excludeData = excludeData
        self.globals = globals
        self.jobs = jobs
        self.lockTimeout = lockTimeout
    }
}

/// `postgres_physical:` base backups and write-ahead log.
public struct PostgresPhysicalSource: Sendable, Hashable, Codable {
    /// Who makes them.
    public enum Tool: Sendable, Hashable, Codable {
        /// pgBackRest, with its own repository and configuration.
        case pgBackRest(stanza: String, configuration: String?)
        /// `pg_basebackup`, checked with `pg_verifybackup`.
        case baseBackup
    }

    /// How the write-ahead log is kept.
    public enum LogArchive: Sendable, Hashable, Codable {
        /// Not by Serin.
        case none
        /// `pg_receivewal` with a slot into a folder.
        case receive(slot: String, folder: String, synchronous: Bool)
        /// The server's `archive_command` writes into a folder, which is stored from there.
        case folder(String)
    }

    /// The connection string, of a role that may replicate.
    public var url: SecretReference
    /// Who makes the base backups.
    public var tool: Tool
    /// How the write-ahead log is kept.
    public var log: LogArchive
    /// The longest `archive_timeout` that is accepted without a complaint.
    public var archiveTimeout: Duration

    /// A source.
    public init(url: SecretReference, tool: Tool, log: LogArchive = .none, archiveTimeout: Duration = .minutes(5)) {
        self.url = url
        self.tool = tool
        self.log = log
        self.archiveTimeout = archiveTimeout
    }
}

/// `redis:`
public struct RedisSource: Sendable, Hashable, Codable {
    /// How the snapshot is taken.
    public enum Snapshot: String, Sendable, Hashable, Codable, CaseIterable {
        /// `redis-cli --rdb`, over the network.
        case rdb
        /// `BGSAVE`, then a copy of the file it wrote.
        case bgsave
    }

    /// What is done about the append-only file.
    public enum AppendOnly: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
        /// Nothing.
        case off
        /// It is copied where the server keeps one.
        case copy
        /// It is copied, and a server without one is a failure.
        case require

        /// Less first.
        public static func < (left: AppendOnly, right: AppendOnly) -> Bool {
            func rank(_ value: AppendOnly) -> Int { AppendOnly.allCases.firstIndex(of: value) ?? 0 }
            return rank(left) < rank(right)
        }
    }

    /// The address: `redis://…`.
    public var url: SecretReference
    /// How the snapshot is taken.
    public var snapshot: Snapshot
    /// What is done about the append-only file.
    public var appendOnly: AppendOnly
    /// The server's data folder on this machine, for `bgsave` and the append-only file.
    public var folder: String?

    /// A source.
    public init(url: SecretReference, snapshot: Snapshot = .rdb, appendOnly: AppendOnly = .off, folder: String? = nil) {
        self.url = url
        self.snapshot = snapshot
        self.appendOnly = appendOnly
        self.folder = folder
    }
}

/// `files:`
public struct FilesSource: Sendable, Hashable, Codable {
    /// The files and folders, absolute.
    public var paths: [String]
    /// Names that are left out, with `*` and `?`.
    public var exclude: [String]

    /// A source.
    public init(paths: [String], exclude: [String] = []) {
        self.paths = paths
        self.exclude = exclude
    }
}

/// `logs:` rows of a table of Postgres by date.
public struct LogsSource: Sendable, Hashable, Codable {
    /// What is written.
    public enum Format: String, Sendable, Hashable, Codable, CaseIterable {
        /// One JSON object a line.
        case json
        /// One line of text a row.
        case text
    }

    /// The connection string.
    public var url: SecretReference
    /// The table, as `table` or `schema.table`.
    public var table: String
    /// The column that holds each row's time.
    public var dateColumn: String
    /// The column that names the project, where one table holds several.
    public var projectColumn: String?
    /// What is written.
    public var format: Format
    /// How much of the past an export takes at least; it begins no later than an hour before the newest good one ended.
    public var span: Duration

    /// A source.
    public init(
        url: SecretReference, table: String, dateColumn: String, projectColumn: String? = nil, format: Format = .json,
        span: Duration = .hours(24)
    ) {
        self.url = url
        self.table = table
        self.dateColumn = dateColumn
        self.projectColumn = projectColumn
        self.format = format
        self.span = span
    }
}

/// `mongo:`
public struct MongoSource: Sendable, Hashable, Codable {
    /// The connection string.
    public var url: SecretReference
    /// Only this database; nil for all.
    public var database: String?

    /// A source.
    public init(url: SecretReference, database: String? = nil) {
        self.url = url
        self.database = database
    }
}

/// `clickhouse:`
public struct ClickHouseSource: Sendable, Hashable, Codable {
    /// Who makes it.
    public enum Tool: String, Sendable, Hashable, Codable, CaseIterable {
        /// The server's own `BACKUP` statement.
        case sql
        /// The program `clickhouse-backup`.
        case clickhouseBackup = "clickhouse-backup"
    }

    /// The server's HTTP interface, or the program's configuration.
    public var url: SecretReference
    /// Who makes it.
    public var tool: Tool
    /// The databases; empty for all.
    public var databases: [String]
    /// The folder that the server may write backups to, for `sql`.
    public var folder: String?

    /// A source.
    public init(url: SecretReference, tool: Tool = .sql, databases: [String] = [], folder: String? = nil) {
        self.url = url
        self.tool = tool
        self.databases = databases
        self.folder = folder
    }
}

/// `command:` what a program writes to its standard output.
public struct CommandSource: Sendable, Hashable, Codable {
    /// The program and its arguments, without a shell. It writes the backup to standard output.
    public var run: [String]
    /// Reads it back from standard input and exits 0 when it is whole; nil when nothing can check it.
    public var verify: [String]?
    /// Restores it from standard input: into `{{folder}}`, or the server of `SERIN_TARGET_URL`.
    public var restore: [String]?
    /// The version of the tool, printed; nil when there is none.
    public var version: [String]?

    /// A source.
    public init(run: [String], verify: [String]? = nil, restore: [String]? = nil, version: [String]? = nil) {
        self.run = run
        self.verify = verify
        self.restore = restore
        self.version = version
    }

    /// Whether `restore` takes the folder to restore into, and so can be rehearsed.
    public var restoresIntoFolder: Bool { restore?.dropFirst().contains { $0.contains("{{folder}}") } ?? false }

    /// Why it cannot restore into a folder.
    public var refusal: Failure {
        Failure(
            .invalid, "source.command.restore takes no {{folder}}, so it restores into a place of its own, which may be live",
            hint: "write {{folder}} where its arguments name the folder to restore into")
    }
}
