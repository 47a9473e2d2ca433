internal import SerinAPI
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let migrateUp = Subcommand(
        "migrate up", summary: "move a schema forward, one revision after the other",
        details: """
            What an earlier run left is settled first. Each revision waits for its locks no longer than --lock-timeout and is tried
            again; how long others waited for it is measured. Done means that the database was read again and is at the head. Where
            the policy has gates (contract), it ends before the first revision that takes something away from the previous version;
            --contract asks them, and goes on when all agree. A policy's backup is made and verified before anything is applied, its
            maintenance keeps writes away while data may be destroyed, and its probes are asked afterwards. What may destroy data is
            applied only where the policy allows it (destructive: allow, or contract) and as many other people as it says
            (approvals) agreed to these very revisions: serin migrate approve. In a database without a row nothing can be destroyed.
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
        let consent = try LoneConsent.read(&input)
        let arguments = try MigrateArguments(&input)
        return { session in
            let progress = MigrationProgressView(session)
            return try await MigrateSession.with(session, arguments, accepting: accepts, progress: progress, to: revision) {
                migrate in
                defer { progress.end() }
                let release = migrate.target.release
                guard !contracts || release?.policy.migrations?.contract != nil else { throw noContract }
                guard release == nil || consent == nil else { throw LoneConsent.notByPolicy }
                if let refusal = await migrate.barred() { return refusal }
                let plan: MigrationPlan
                do throws(MigrationRunFailure) {
                    plan = try await migrate.settledPlan()
                } catch { return migrate.say(error) }
                guard let release else { return try await migrate.alone(to: revision, plan, consent) }
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

    /// Moves the schema forward where nobody has said who must agree to what may destroy data.
    fileprivate func alone(to wanted: RevisionID?, _ plan: MigrationPlan, _ consent: LoneConsent?) async throws -> ExitCode {
        let (expected, judged) = plan.revisions(to: wanted)
        if let refusal = try await refusal(of: expected, plan, consent, "serin migrate up") { return refusal }
        return await up(to: wanted, judged: judged)
    }

    /// What is to be done once what an earlier run left is settled, each revision judged: what is judged is then what will be run.
    ///
    /// - Parameter look: What to do; all that is pending, when nothing else is said.
    func settledPlan(
        _ look: (@Sendable (ReleaseMigrations) async throws(Failure) -> MigrationPlan)? = nil
    ) async throws(MigrationRunFailure) -> MigrationPlan {
        let limit = target.policy.deadline
        let settled = try await migrations.settle(key: key, by: Self.principal, deadline: limit)
        for note in settled.notes { session.note(plain(note)) }
        do throws(Failure) {
            let release = ReleaseMigrations(migrations, by: Self.principal, classify: Lint.classifier(target.policy))
            guard let look else { return try await release.plan(deadline: limit) }
            return try await look(release)
        } catch { throw MigrationRunFailure(stage: .preflight, failure: error, report: nil) }
    }
}

extension MigrationPlan {
    /// What is expected to be applied to get somewhere, nil being the head, and what alone may be; nil asks nothing of that.
    func revisions(to wanted: RevisionID?) -> (expected: [PlannedRevision], judged: [PlannedRevision]?) {
        guard let wanted else { return (pending, pending) }
        if wanted == from { return ([], nil) }
        // A tool that does not list its revisions, or a mistake: everything is expected, and the run says what is wrong.
        guard let last = pending.firstIndex(where: { $0.id == wanted }) else { return (pending, nil) }
        return (Array(pending[...last]), Array(pending[...last]))
    }
}

/// How a revision stands on a command line.
enum RevisionArguments {
    static func revision(_ input: inout Arguments, help: String) throws(UsageError) -> RevisionID? {
        try input.option("--to", value: "REVISION", help: help) { RevisionID($0) }
    }
}
