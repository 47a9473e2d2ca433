internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migrateDown = Subcommand(
        "migrate down", summary: "take a schema back to a revision",
        details: """
            Takes back one revision after the other, the newest first. What a revision deleted does not come back with it: that is
            what backups are for. The previous version of the application must be back and healthy before this is run.
            """,
        examples: ["serin migrate down policy.yaml --to 0002", "serin migrate down policy.yaml --to base"], interruption: .ends
    ) { input throws(UsageError) in
        let word = try input.required("--to", value: "REVISION", help: "where to; base is before the first revision")
        let accepts = try MigrateAcceptance(&input)
        let arguments = try MigrateArguments(&input)
        let revision = word == "base" ? nil : RevisionID(word)
        guard word == "base" || revision != nil || input.isDescribing else { throw UsageError("--to does not accept '\(word)'") }
        return { session in
            let progress = MigrationProgressView(session)
            return try await MigrateSession.with(session, arguments, accepting: accepts, progress: progress) { migrate in
                let code = await migrate.run { () throws(MigrationRunFailure) in
                    try await migrate.migrations.down(
                        key: migrate.key, to: revision, by: MigrateSession.principal,
                        deadline: migrate.target.policy.deadline)
                }
                progress.end()
                return code
            }
        }
    }
}
