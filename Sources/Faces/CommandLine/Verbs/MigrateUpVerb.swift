internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migrateUp = Subcommand(
        "migrate up", summary: "move a schema forward, one revision after the other",
        details: """
            What an earlier run left is settled first. Each revision waits for its locks no longer than --lock-timeout and is tried
            again; how long others waited for it is measured. Done means that the database was read again and is at the head.
            """,
        examples: [
            "serin migrate up policy.yaml", "serin migrate up --sql migrations --url-env DATABASE_URL",
            "serin migrate up --alembic app/alembic.ini --alembic-program venv/bin/alembic --url-env DATABASE_URL --to b6e8dcb19a40",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let revision = try RevisionArguments.revision(&input, help: "where to (default: the one head)")
        let accepts = try input.flag("--accept-schema", help: "take a schema that someone changed as it is")
        let arguments = try MigrateArguments(&input)
        return { session in
            let progress = MigrationProgressView(session)
            return try await MigrateSession.with(session, arguments, acceptsSchema: accepts, progress: progress) { migrate in
                let code = await migrate.run { () throws(MigrationRunFailure) in
                    try await migrate.migrations.up(
                        key: migrate.key, from: nil, to: revision, by: MigrateSession.principal,
                        deadline: migrate.target.policy.deadline)
                }
                progress.end()
                return code
            }
        }
    }
}

/// How a revision stands on a command line.
enum RevisionArguments {
    static func revision(_ input: inout Arguments, help: String) throws(UsageError) -> RevisionID? {
        try input.option("--to", value: "REVISION", help: help) { RevisionID($0) }
    }
}
