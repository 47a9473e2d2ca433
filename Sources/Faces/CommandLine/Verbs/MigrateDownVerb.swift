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

            What the way back does to data is judged like a way forward: what may destroy data has around it what serin migrate up has
            by a policy: leave (destructive: allow), a verified backup, fenced writes, other people's approvals, probes. Without a
            policy it needs --may-destroy REASON, which is also for a policy's own restore, to which people have agreed already. A way
            back that drops what was there before its revision is refused, and one that leaves another schema than there was is not
            done; --accept-schema takes both as they are.
            """,
        examples: ["serin migrate down policy.yaml --to 0002", "serin migrate down policy.yaml --to base"], interruption: .ends
    ) { input throws(UsageError) in
        let word = try input.required("--to", value: "REVISION", help: "where to; base is before the first revision")
        let accepts = try MigrateAcceptance(&input)
        let withoutBackup = try input.text(
            "--without-backup", value: "REASON", help: "make no backup, although the policy has one or data may be destroyed")
        let mayDestroy = try input.text(
            "--may-destroy", value: "REASON", help: "without a policy: also what may destroy data; one with a policy asks people")
        let arguments = try MigrateArguments(&input)
        let revision = word == "base" ? nil : RevisionID(word)
        guard word == "base" || revision != nil || input.isDescribing else { throw UsageError("--to does not accept '\(word)'") }
        return { session in
            let progress = MigrationProgressView(session)
            return try await MigrateSession.with(session, arguments, accepting: accepts, progress: progress) { migrate in
                defer { progress.end() }
                guard mayDestroy == nil || migrate.target.release == nil else { throw GatedMigration.noMayDestroy }
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
                if mayDestroy == nil, let refusal = try await migrate.refusal(of: plan.pending, plan, "serin migrate down") {
                    return refusal
                }
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
