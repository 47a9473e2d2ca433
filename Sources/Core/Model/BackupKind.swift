/// What a backup is made of, which decides what can be restored from it. The raw value is the plan's word and the catalogue's.
public enum BackupKind: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
    /// A logical dump of a database, a schema or tables (`pg_dump`). No write-ahead log can be replayed onto it.
    case logical
    /// The roles and tablespaces of a whole cluster (`pg_dumpall --globals-only`).
    case globals
    /// A physical base backup that stands alone.
    case baseFull = "base_full"
    /// A physical backup of what changed since the one before.
    case baseIncremental = "base_incremental"
    /// A physical backup of what changed since the last full one.
    case baseDifferential = "base_differential"
    /// A range of write-ahead log.
    case walRange = "wal_range"
    /// A Redis snapshot.
    case redisRDB = "redis_rdb"
    /// A copy of Redis' append-only files.
    case redisAOF = "redis_aof"
    /// Files and configuration.
    case files
    /// Rows of a log table.
    case logs
    /// A MongoDB archive.
    case mongo
    /// A ClickHouse backup.
    case clickhouse
    /// What a command of the owner wrote.
    case command

    /// Whether write-ahead log can be replayed onto it.
    public var isPhysicalBase: Bool {
        switch self {
        case .baseFull, .baseIncremental, .baseDifferential: true
        case .logical, .globals, .walRange, .redisRDB, .redisAOF, .files, .logs, .mongo, .clickhouse, .command: false
        }
    }

    /// Whether it only goes with backups of other kinds, so that nobody means it who asks for the latest.
    public var accompaniesOthers: Bool {
        switch self {
        case .globals, .walRange: true
        case .logical, .baseFull, .baseIncremental, .baseDifferential, .redisRDB, .redisAOF, .files, .logs, .mongo, .clickhouse,
            .command:
            false
        }
    }

    /// In the order of the alphabet.
    public static func < (left: BackupKind, right: BackupKind) -> Bool { left.rawValue < right.rawValue }
}

/// The three types by which an owner of a project sees backups, as the mirrored table has them.
public enum BackupType: String, Sendable, Hashable, Codable, CaseIterable {
    /// A database.
    case database
    /// Files.
    case storage
    /// Logs.
    case logs

    /// The type of a kind.
    public init(of kind: BackupKind) {
        switch kind {
        case .logical, .globals, .baseFull, .baseIncremental, .baseDifferential, .walRange, .redisRDB, .redisAOF, .mongo,
            .clickhouse, .command:
            self = .database
        case .files: self = .storage
        case .logs: self = .logs
        }
    }
}
