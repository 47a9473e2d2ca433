public import SerinModel
public import SerinRollouts

/// What a backup is told about the rollout before which it is made.
public struct RolloutBackupRequest: Sendable, Hashable {
    /// The rollout: it tags the backup, and is the key under which a repetition is recognised.
    public var rollout: RolloutID
    /// The service.
    public var service: ServiceName
    /// The version to release, which tags the backup as well.
    public var version: String
    /// Who started the rollout.
    public var author: Principal

    /// A request.
    public init(rollout: RolloutID, service: ServiceName, version: String, author: Principal) {
        self.rollout = rollout
        self.service = service
        self.version = version
        self.author = author
    }
}

/// What would keep a backup from being made.
public struct BackupPreflight: Sendable, Hashable {
    /// What refuses the rollout; empty when a backup can be made.
    public var problems: [Failure]
    /// What people should know and which refuses nothing.
    public var warnings: [String]
    /// What would be backed up; nil when it is no Postgres or nobody could tell.
    public var database: DatabaseIdentity?
    /// Of which kind the backup would be; nil when nobody could tell.
    public var kind: BackupKind?

    /// A report.
    public init(
        problems: [Failure] = [], warnings: [String] = [], database: DatabaseIdentity? = nil, kind: BackupKind? = nil
    ) {
        self.problems = problems
        self.warnings = warnings
        self.database = database
        self.kind = kind
    }
}

extension BackupPreflight {
    /// Why the backup is none of the database that is migrated; nil when it is, or nothing is to be migrated.
    public func objection(to migrations: MigrationPlan?) -> Failure? {
        guard let migrations, !migrations.beforeCanary.isEmpty else { return nil }
        return objection(toMigrating: migrations.database)
    }

    /// Why the backup is none of the database that is migrated; nil when it is.
    public func objection(toMigrating migrated: DatabaseIdentity?) -> Failure? {
        let hint = "name in 'backup' a plan of the database that 'migrations' moves"
        guard let migrated else {
            return Failure(.denied, "nobody can tell whether the backup holds the database that is migrated", hint: hint)
        }
        guard let database else {
            return Failure(
                .denied, "nobody can tell whether the backup holds the database that is migrated, \(migrated)", hint: hint)
        }
        guard !database.holds(migrated) else { return nil }
        return Failure(.denied, "the backup is of \(database), and what is migrated is \(migrated)", hint: hint)
    }
}

/// Makes the backup that a rollout stands on: a one-shot, one a rollout, however often it is asked for.
///
/// The catalogue tells whether it happened. Every call ends by its deadline.
public protocol Backups: Sendable {
    /// Tries the tool, the source, the key, and the room and rights at the destinations. Changes nothing.
    func preflight(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupPreflight

    /// Makes the backup, reads it back independently, and keeps it by a hold of the rollout before it says that it is made.
    ///
    /// Where the catalogue has a verified one of this rollout, that is the answer; what an earlier try left is cleaned up. When its
    /// task is cancelled it ends what is under way and says how that ended.
    func take(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome

    /// Asks the catalogue alone: `made` and kept by the hold, `failed`, or `unknown` when none was finished or it cannot be read.
    func check(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome

    /// The rollout is over: its hold ends after the time that the plan says. Releasing what is not held, or a second time, changes
    /// nothing.
    func release(_ request: RolloutBackupRequest, deadline: Duration) async throws(Failure)
}
