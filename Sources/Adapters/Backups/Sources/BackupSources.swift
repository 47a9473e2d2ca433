public import SerinCatalogue
public import SerinModel
public import SerinPolicies
public import SerinTransport

/// Makes the sources that plans name.
public enum BackupSources {
    /// Makes the source of one kind of backups. Contacts nothing.
    ///
    /// - Parameters:
    ///   - range: For rows of a log table: the time that they are of.
    ///   - log: For ranges of write-ahead log: the facts of the range or base backup that was stored last.
    ///   - transport: For sources that speak HTTP.
    ///   - secret: The value of a secret.
    /// - Throws: `invalid` for a kind that the plan's source does not make, or that is not supported yet.
    public static func make(
        _ kind: BackupKind, of plan: BackupPlan, after continuation: LogContinuation, at now: Instant,
        environment: SourceEnvironment, transport: Transport,
        secret: (SecretReference) throws(Failure) -> String
    ) throws(Failure) -> any BackupSource {
        guard plan.source.kinds.contains(kind) else {
            throw Failure(
                .invalid, "\(plan.source.word) makes no \(kind.rawValue)",
                hint: "it makes \(plan.source.kinds.map(\.rawValue).joined(separator: ", "))")
        }
        let unsupported = Failure(.invalid, "backups of the kind \(kind.rawValue) from \(plan.source.word) are not supported yet")
        switch plan.source {
        case .postgres(let source):
            if kind == .globals { return try PostgresGlobals(url: secret(source.url), environment: environment) }
            return try PostgresLogical(source, url: secret(source.url), environment: environment)
        case .postgresPhysical(let source):
            if kind == .walRange {
                guard let folder = source.log.folder else {
                    throw Failure(
                        .invalid, "the plan names no folder of write-ahead log",
                        hint: "archive: a folder, or receivewal: {slot: …, folder: …}")
                }
                guard let major = continuation.newest.flatMap({ Int($0.version.prefix { $0 != "." }) }) else {
                    throw Failure(
                        .invalid, "write-ahead log is stored once there is a base backup that it follows",
                        hint: "serin backup create PLAN")
                }
                return LogRangeSource(folder: folder, major: major, after: continuation, environment: environment)
            }
            switch source.tool {
            case .pgBackRest(let stanza, let configuration):
                guard kind.isPhysicalBase else { throw unsupported }
                return PgBackRestSource(
                    try PgBackRest(
                        stanza: stanza, configuration: configuration, folders: environment.toolFolders,
                        account: environment.account, deadline: environment.deadline), kind: kind, account: environment.account)
            case .baseBackup:
                guard kind == .baseFull else { throw unsupported }
                return BaseBackupSource(url: try secret(source.url), environment: environment, account: environment.account)
            }
        case .redis(let source):
            if kind == .redisAOF {
                guard let folder = source.folder else {
                    throw Failure(.invalid, "append-only files are copied from the server's folder, and none is named")
                }
                return try RedisAppendOnlySource(
                    url: secret(source.url), folder: folder, isRequired: source.appendOnly == .require, environment: environment)
            }
            return try RedisSnapshotSource(
                url: secret(source.url), snapshot: source.snapshot, folder: source.folder, environment: environment)
        case .files(let source): return FilesBackupSource(source, environment: environment)
        case .logs(let source):
            return try LogRowsSource(
                url: secret(source.url), source, project: plan.project,
                range: LogRowsSource.range(of: source.span, after: continuation, at: now), environment: environment)
        case .mongo(let source):
            return try MongoBackupSource(url: secret(source.url), database: source.database, environment: environment)
        case .clickhouse(let source):
            return try ClickHouseBackupSource(
                url: secret(source.url), source, of: plan.target, transport: transport, environment: environment)
        case .command(let source): return try CommandBackupSource(source, environment: environment)
        }
    }
}

extension PostgresPhysicalSource.LogArchive {
    /// The folder on this machine that the log comes into.
    public var folder: String? {
        switch self {
        case .none: nil
        case .folder(let path), .receive(_, let path, _): path
        }
    }
}
