public import SerinModel
public import SerinPolicies

/// Makes the sources that plans name.
public enum BackupSources {
    /// Makes the source of one kind of backups. Contacts nothing.
    ///
    /// - Parameters:
    ///   - range: For rows of a log table: the time that they are of.
    ///   - secret: The value of a secret.
    /// - Throws: `invalid` for a kind that the plan's source does not make, or that is not supported yet.
    public static func make(
        _ kind: BackupKind, of plan: BackupPlan, range: Range<Instant>, environment: SourceEnvironment,
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
            guard case .baseBackup = source.tool, kind == .baseFull else { throw unsupported }
            return BaseBackupSource(url: try secret(source.url), environment: environment)
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
        case .clickhouse: throw unsupported
        case .command(let source): return try CommandBackupSource(source, environment: environment)
        }
    }
}
