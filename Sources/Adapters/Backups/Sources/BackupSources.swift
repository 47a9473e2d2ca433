public import SerinModel
public import SerinPolicies
public import SerinTransport

/// Makes the sources that plans name.
public enum BackupSources {
    /// Makes the source of one kind of backups. Contacts nothing.
    ///
    /// - Parameters:
    ///   - range: For rows of a log table: the time that they are of.
    ///   - transport: For sources that speak HTTP.
    ///   - secret: The value of a secret.
    /// - Throws: `invalid` for a kind that the plan's source does not make, or that is not supported yet.
    public static func make(
        _ kind: BackupKind, of plan: BackupPlan, range: Range<Instant>, environment: SourceEnvironment, transport: Transport,
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
            switch source.tool {
            case .pgBackRest(let stanza, let configuration):
                guard kind.isPhysicalBase else { throw unsupported }
                return PgBackRestSource(
                    try PgBackRest(
                        stanza: stanza, configuration: configuration, folders: environment.toolFolders,
                        deadline: environment.deadline), kind: kind)
            case .baseBackup:
                guard kind == .baseFull else { throw unsupported }
                return BaseBackupSource(url: try secret(source.url), environment: environment)
            }
        case .redis(let source):
            if kind == .redisAOF {
                guard let folder = source.folder else {
                    throw Failure(.invalid, "append-only files are copied from the server's folder, and none is named")
                }
                return try RedisAppendOnlySource(url: secret(source.url), folder: folder, environment: environment)
            }
            return try RedisSnapshotSource(
                url: secret(source.url), snapshot: source.snapshot, folder: source.folder, environment: environment)
        case .files(let source): return FilesBackupSource(source, environment: environment)
        case .logs(let source):
            return try LogRowsSource(
                url: secret(source.url), source, project: plan.project, range: range, environment: environment)
        case .mongo(let source):
            return try MongoBackupSource(url: secret(source.url), database: source.database, environment: environment)
        case .clickhouse(let source):
            return try ClickHouseBackupSource(url: secret(source.url), source, transport: transport, environment: environment)
        case .command(let source): return try CommandBackupSource(source, environment: environment)
        }
    }
}
