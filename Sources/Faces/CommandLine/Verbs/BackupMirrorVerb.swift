internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

extension Subcommand {
    static let backupMirror = Subcommand(
        "backup mirror", summary: "write the catalogue to tables of a Postgres database",
        details: """
            control_plane.backups, backup_tombstones, jobs and audit_log, with the views project_logs and config_change_history, become
            equal to the catalogue; missing tables are made. Run it after backups or on a timer: whatever a failed run left out the next
            one brings. The plans give each backup its date of expiry, and name the database where no option does.
            """,
        examples: [
            "serin backup mirror backups/checkout.yaml",
            "serin backup mirror --url-env CONTROL_PLANE_URL backups/checkout.yaml backups/redis.yaml",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let variable = try input.text("--url-env", value: "NAME", help: "the variable that holds the connection string")
        let file = try input.text("--url-file", value: "PATH", help: "the file that holds it")
        let credential = try input.text("--url-cred", value: "NAME", help: "the systemd credential that holds it")
        var files: [String] = []
        while !input.isDescribing, let file = try input.optionalPositional("PLAN", help: "backup plans") { files.append(file) }
        let given =
            [
                variable.map(SecretReference.environment), file.map(SecretReference.file),
                credential.map(SecretReference.credential),
            ]
            .compactMap { $0 }
        guard given.count <= 1 || input.isDescribing else {
            throw UsageError("the database is named by one of --url-env, --url-file and --url-cred")
        }
        return { [files] session in
            let plans = try await PlanArgument.load(files, session).map(\.plan)
            let named = Set(plans.compactMap(\.mirror))
            guard let reference = given.first ?? named.first, !given.isEmpty || named.count == 1 else {
                throw UsageError(
                    named.isEmpty ? "nothing names the database" : "the plans name different databases under mirror",
                    hint: "one of --url-env, --url-file and --url-cred does; a plan's mirror does where it is the only one")
            }
            let url = try Secrets(environment: session.environment).read(reference)
            return try await BackupSession.with(session) { backups in
                let state = try await backups.state()
                let mirror = CatalogueMirror(connection: url, name: "the mirror")
                let report = try await mirror.update(
                    state, jobs: try await backups.jobs(), entries: try await backups.entries(),
                    expiries: backups.expiries(of: plans, state))
                session.data(
                    .object([
                        "schema": .string("serin.dev/backup-mirror/v1"), "written": .integer(report.written),
                        "removed": .integer(report.removed),
                    ])
                ) { _ in [] }
                session.note("the mirror agrees: \(report.written) rows written, \(report.removed) removed")
                return .ok
            }
        }
    }
}

extension BackupSession {
    /// The whole log, the oldest first.
    func entries() async throws(Failure) -> [CatalogueEntry] {
        do throws(CatalogueStoreError) { return try await store.entries() } catch { throw error.failure }
    }

    fileprivate func jobs() async throws(Failure) -> [BackupJob] {
        do throws(CatalogueStoreError) { return try await store.jobs() } catch { throw error.failure }
    }

    /// When the rules of plans let go of each backup.
    func expiries(of plans: [BackupPlan], _ state: CatalogueState) -> [BackupID: Instant] {
        var expiries: [BackupID: Instant] = [:]
        for plan in plans {
            let own = Retention(of: plan).expiries(of: state.live(target: plan.target.description), at: session.now)
            expiries.merge(own) { max($0, $1) }
        }
        return expiries
    }
}
