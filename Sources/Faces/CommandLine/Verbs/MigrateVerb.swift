internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

extension Subcommand {
    /// The verbs that move a schema, in the order of the help.
    static let migrations: [Subcommand] = [
        migrateLint, migratePlan, migrateUp, migrateDown, migrateStatus, migrateApprove, migrateBackfill,
    ]
}

/// What the exit codes mean for migrations.
enum MigrateExit {
    static let notes = [
        "Exit codes: 0 done, 1 a revision failed, 2 usage or invalid policy, 7 refused: busy, several heads, an unknown revision or",
        "a schema that someone changed, 8 a check failed: the database is not where it should be, 75 the catalogue cannot be used",
        "now, 124 the time of --timeout is over, 130 interrupted: in both cases a statement under way was ended in the database too",
    ]

    /// The code of a run that failed.
    static func code(of failure: MigrationRunFailure) -> ExitCode {
        switch failure.stage {
        case .preflight: failure.failure.kind == .transient || failure.failure.kind == .unknown ? .unexpected : .refused
        case .revision: .unexpected
        case .check: .verificationFailed
        }
    }
}

/// What a person takes as it is, although it is not what the last run left.
struct MigrateAcceptance: Sendable {
    /// The schema.
    let schema: Bool
    /// The files of applied revisions.
    let edited: Bool

    init(_ input: inout Arguments) throws(UsageError) {
        schema = try input.flag("--accept-schema", help: "take a schema that someone changed as it is")
        edited = try input.flag("--accept-edited", help: "take files that were changed after they were applied as they are")
    }
}

/// The migrations that a verb works with.
struct MigrateSession: Sendable {
    let session: Session
    let target: MigrationTarget
    let migrations: DatabaseMigrations
    /// The catalogue, which notes who agreed to what.
    let store: any CatalogueStore

    /// Who asks.
    static var principal: Principal { .uid(getuid()) }

    /// Opens the catalogue, whose leases are shared with backups, for a body.
    ///
    /// - Parameters:
    ///   - reads: Whether it only reads, so that a full disk is no hindrance.
    ///   - restoring: Whether rows come back from a backup.
    ///   - wanted: The revision that the command line names; one that is not there is refused before anything is touched.
    static func with<Value>(
        _ session: Session, _ arguments: MigrateArguments, accepting: MigrateAcceptance? = nil,
        progress: MigrationProgressView? = nil, restoring: Bool = false, reads: Bool = false, to wanted: RevisionID? = nil,
        _ body: (MigrateSession) async throws -> Value
    ) async throws -> Value {
        var target = try await arguments.target(session)
        target.options.acceptsSchema = accepting?.schema ?? false
        target.options.acceptsEdited = accepting?.edited ?? false
        target.options.leavesRows = restoring
        if let progress { target.options.progress = { progress.show($0) } }
        return try await with(session, target, reads: reads) { migrate in
            try await migrate.migrations.check(naming: wanted)
            return try await body(migrate)
        }
    }

    /// The same for a target.
    static func with<Value>(
        _ session: Session, _ target: MigrationTarget, reads: Bool = false, _ body: (MigrateSession) async throws -> Value
    ) async throws -> Value {
        let backups = session.assembly.backups
        let store = try await reads ? backups.readCatalogue(session.state) : backups.openCatalogue(session.state)
        let result: Result<Value, any Error>
        do {
            let migrations = session.assembly.migrations.open(target, store, principal)
            result = .success(
                try await body(MigrateSession(session: session, target: target, migrations: migrations, store: store)))
        } catch { result = .failure(error) }
        await store.close()
        return try result.get()
    }

    /// The name of this run.
    var key: String { "\(target.lease)-\(session.now.millisecondsSince1970)-\(getpid())" }

    /// Runs something that moves the schema, and says what came of it.
    func run(_ body: () async throws(MigrationRunFailure) -> MigrationReport) async -> ExitCode {
        do throws(MigrationRunFailure) {
            let report = try await body()
            session.data(MigrationText.document(report, nil)) { _ in MigrationText.lines(report) }
            return .ok
        } catch { return say(error) }
    }

    /// Says why something failed.
    func say(_ error: MigrationRunFailure) -> ExitCode {
        session.data(MigrationText.document(error.report, error)) { _ in error.report.map(MigrationText.lines) ?? [] }
        if Task.isCancelled, error.stage == .preflight {
            session.complain("nothing more was begun, the same command goes on: \(error.failure.message)")
        } else {
            session.complain(error.description)
        }
        return MigrateExit.code(of: error)
    }
}
