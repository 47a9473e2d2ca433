internal import SerinAPI
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migrateUp = Subcommand(
        "migrate up", summary: "move a schema forward, one revision after the other",
        details: """
            What an earlier run left is settled first. Each revision waits for its locks no longer than --lock-timeout and is tried
            again; how long others waited for it is measured. Done means that the database was read again and is at the head. Where
            the policy has gates (contract), it ends before the first revision that takes something away from the previous version;
            --contract asks them, and goes on when all agree. A policy's backup is made and verified before anything is applied, its
            maintenance keeps writes away while data may be destroyed, and its probes are asked afterwards.
            """,
        examples: [
            "serin migrate up policy.yaml", "serin migrate up --sql migrations --url-env DATABASE_URL",
            "serin migrate up --alembic app/alembic.ini --alembic-program venv/bin/alembic --url-env DATABASE_URL --to b6e8dcb19a40",
            "serin migrate up policy.yaml --contract", "serin migrate up policy.yaml --without-backup 'an empty database'",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let revision = try RevisionArguments.revision(&input, help: "where to (default: the one head)")
        let accepts = try MigrateAcceptance(&input)
        let contracts = try input.flag("--contract", help: "also what takes something away, when the policy's gates agree")
        let withoutBackup = try input.text(
            "--without-backup", value: "REASON", help: "make no backup, although the policy has one or data may be destroyed")
        let arguments = try MigrateArguments(&input)
        return { session in
            let progress = MigrationProgressView(session)
            return try await MigrateSession.with(session, arguments, accepting: accepts, progress: progress) { migrate in
                defer { progress.end() }
                guard let release = migrate.target.release else {
                    guard !contracts else { throw noContract }
                    return await migrate.up(to: revision, judged: nil)
                }
                guard !contracts || migrate.target.policy.contract != nil else { throw noContract }
                let plan: MigrationPlan
                do throws(MigrationRunFailure) {
                    plan = try await migrate.settledPlan()
                } catch { return migrate.say(error) }
                return try await GatedMigration(release: release, migrate: migrate, withoutBackup: withoutBackup)
                    .up(to: revision, plan, contracts: contracts)
            }
        }
    }

    private static var noContract: UsageError {
        UsageError("--contract needs a policy with 'migrations.contract'", hint: "it names what is asked first")
    }
}

extension MigrateSession {
    /// Moves the schema forward; only what was judged, unless nobody judged.
    func up(to wanted: RevisionID?, judged: [PlannedRevision]?) async -> ExitCode {
        await run { () throws(MigrationRunFailure) in
            try await migrations.up(
                key: key, from: nil, to: wanted, judged: judged, by: Self.principal, deadline: target.policy.deadline)
        }
    }

    /// What is pending once what an earlier run left is settled, each revision judged: what is judged is then what will be run.
    func settledPlan() async throws(MigrationRunFailure) -> MigrationPlan {
        let limit = target.policy.deadline
        let settled = try await migrations.settle(key: key, by: Self.principal, deadline: limit)
        for note in settled.notes { session.note(plain(note)) }
        do throws(Failure) {
            return try await ReleaseMigrations(migrations, by: Self.principal, classify: Lint.classifier()).plan(deadline: limit)
        } catch { throw MigrationRunFailure(stage: .preflight, failure: error, report: nil) }
    }
}

/// How a revision stands on a command line.
enum RevisionArguments {
    static func revision(_ input: inout Arguments, help: String) throws(UsageError) -> RevisionID? {
        try input.option("--to", value: "REVISION", help: help) { RevisionID($0) }
    }
}
