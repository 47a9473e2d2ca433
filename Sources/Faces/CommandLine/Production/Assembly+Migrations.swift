internal import SerinActions
internal import SerinCatalogue
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinSQLite
internal import SerinTransport

extension Assembly {
    /// The real parts of migrations.
    static func migrations(environment: [String: String]) -> MigrationAssembly {
        let secrets = Secrets(environment: environment)
        return MigrationAssembly(
            open: { target, catalogue, principal in
                DatabaseMigrations(
                    target.policy, options: target.options, environment: environment,
                    url: { () throws(Failure) in try secrets.read(target.database) },
                    lease: {
                        let length = Duration.seconds(60)
                        let now: @Sendable () -> Instant = { SystemClock().now() }
                        let keeper = LeaseKeeper(catalogue: catalogue, now: now, length: length)
                        let request = LeaseRequest(
                            target: target.lease, holder: LeaseHolder.current(purpose: "serin migrate"), by: principal, at: now(),
                            duration: length)
                        return (keeper, request)
                    })
            },
            backfills: { reference in DatabaseBackfill { () throws(Failure) in try secrets.read(reference) } },
            trace: { policy, target in
                var beginning = MigrationTrace.Beginning.nothing
                if let template = target.template { beginning = .template(template) }
                if let restored = target.restored { beginning = .restored(restored) }
                if let copied = target.copied { beginning = .schema { () throws(Failure) in try secrets.read(copied) } }
                return MigrationTrace(policy, environment: environment, beginning: beginning, previous: target.previous) {
                    () throws(Failure) in try secrets.read(target.server)
                }
            },
            probe: { action, context throws(Failure) in
                let actions = CommandActions(transport: try Transport(), environment: environment) { reference throws(Failure) in
                    try secrets.read(reference)
                }
                return await actions.run(action, context: context)
            })
    }

    /// The real tools, asked without a database.
    static func migrationScripts(environment: [String: String]) -> MigrationReading {
        MigrationReading { policy, applied, deadline throws(Failure) in
            let found = try await OfflineScripts.read(policy, after: applied, environment: environment, deadline: deadline)
            return GivenMigrations(scripts: found.scripts, heads: found.heads)
        }
    }
}
