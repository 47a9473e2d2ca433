internal import SerinCatalogue
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinSQLite

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
            backfills: { reference in DatabaseBackfill { () throws(Failure) in try secrets.read(reference) } })
    }

    /// The real tools, asked without a database.
    static func migrationScripts(environment: [String: String]) -> MigrationReading {
        MigrationReading { policy, applied, deadline throws(Failure) in
            let found = try await OfflineScripts.read(policy, after: applied, environment: environment, deadline: deadline)
            return GivenMigrations(scripts: found.scripts, heads: found.heads)
        }
    }
}
