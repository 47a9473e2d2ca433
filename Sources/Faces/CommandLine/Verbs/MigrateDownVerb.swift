internal import SerinAPI
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migrateDown = Subcommand(
        "migrate down", summary: "take a schema back to a revision",
        details: """
            Takes back one revision after the other, the newest first. What a revision deleted does not come back with it: that is
            what backups are for. The previous version of the application must be back and healthy before this is run.

            What the way back does to data is judged like a way forward: what may destroy data has around it what serin migrate up
            has by a policy: leave (destructive: allow), a verified backup, fenced writes, other people's approvals, probes.
            Without a policy it needs --may-destroy REASON and --database NAME, and is refused where a policy has migrated the
            database before. A policy's own restore, to which people have agreed, says --restore-of "$SERIN_SERVICE" instead. A
            way back that drops what was there before its revision is refused, and one that leaves another schema than there was,
            or in a folder finds no row of those that it says it brings back, is not done; --accept-schema takes it as it is.
            """,
        examples: ["serin migrate down policy.yaml --to 0002", "serin migrate down policy.yaml --to base"], interruption: .ends
    ) { input throws(UsageError) in
        let word = try input.required("--to", value: "REVISION", help: "where to; base is before the first revision")
        let accepts = try MigrateAcceptance(&input)
        let withoutBackup = try input.text(
            "--without-backup", value: "REASON", help: "make no backup, although the policy has one or data may be destroyed")
        let consent = try LoneConsent.read(&input)
        let restoring = try input.option(
            "--restore-of", value: "SERVICE",
            help: "in a policy's own restore: people agreed to it in the rollout that is restoring now"
        ) { ServiceName($0) }
        let arguments = try MigrateArguments(&input)
        let revision = word == "base" ? nil : RevisionID(word)
        guard word == "base" || revision != nil || input.isDescribing else { throw UsageError("--to does not accept '\(word)'") }
        return { session in
            let progress = MigrationProgressView(session)
            return try await MigrateSession.with(
                session, arguments, accepting: accepts, progress: progress, restoring: restoring != nil, to: revision
            ) { migrate in
                defer { progress.end() }
                guard migrate.target.release == nil || consent == nil && restoring == nil else { throw LoneConsent.notByPolicy }
                // A restore runs within its rollout, which has fenced the writes itself.
                if restoring == nil, let refusal = await migrate.barred() { return refusal }
                let plan: MigrationPlan
                do throws(MigrationRunFailure) {
                    plan = try await migrate.settledPlan { (migrations) throws(Failure) in
                        try await migrations.wayBack(to: revision, deadline: migrate.target.policy.deadline)
                    }
                } catch { return migrate.say(error) }
                if let release = migrate.target.release {
                    return try await GatedMigration(release: release, migrate: migrate, withoutBackup: withoutBackup)
                        .down(to: revision, plan)
                }
                let refusal =
                    if let restoring { try await migrate.refusal(ofRestoring: restoring) } else {
                        try await migrate.refusal(of: plan.pending, plan, consent, "serin migrate down")
                    }
                if let refusal { return refusal }
                return await migrate.down(to: revision, judged: plan.pending)
            }
        }
    }
}

extension MigrateSession {
    /// Moves the schema back, by what was judged.
    func down(to wanted: RevisionID?, judged: [PlannedRevision]) async -> ExitCode {
        await run { () throws(MigrationRunFailure) in
            try await migrations.down(
                key: key, to: wanted, judged: judged, by: Self.principal, deadline: target.policy.deadline)
        }
    }
}
