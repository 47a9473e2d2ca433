internal import SerinController
internal import SerinCrypto
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

extension Surroundings {
    /// What moves the schema that a rollout's policy names; nil when it names none.
    ///
    /// - Parameter state: The state folder, whose catalogue has the leases; nil for whoever only looks: nothing is made there then.
    /// - Throws: For a rollout that is to run, that it is not supported yet.
    func migrations(of charter: Charter, state: StateRoot?) throws(Failure) -> (any Migrations)? {
        guard let rules = charter.policy.migrations else { return nil }
        // Nothing binds what runs to what was judged yet, nor a restore point to the database that is migrated.
        guard state == nil else { throw Self.unsupported }
        guard let database = rules.database ?? charter.policy.postgres?.primary else {
            throw Failure(.invalid, "the policy migrates, and names no database")
        }
        let target = MigrationTarget(policy: rules, database: database, lease: try lease(of: charter.policy))
        let backups = Assembly.backups(environment: environment, output: output)
        return RolloutMigrations(
            target, state: state ?? StateRoot(path: ""),
            catalogue: { root throws(OperationError) in
                guard state != nil else { return MemoryCatalogue(digest: SHA256.digestOrEmpty) }
                return try await backups.openCatalogue(root)
            },
            assembly: Assembly.migrations(environment: environment), by: charter.author, classify: Lint.classifier())
    }

    /// Why no rollout migrates yet.
    static let unsupported = Failure(
        .denied, "migrations within a rollout are not supported yet",
        hint: "run serin migrate up before it, and leave migrations out of the policy of the rollout")

    /// The name of the lease: the target of the backup plan, so that backups and migrations keep out of each other's way.
    private func lease(of policy: Policy) throws(Failure) -> String {
        guard case .file(let file)? = policy.backup?.plan else { return policy.service.description }
        do {
            let text = try PolicyArguments.text(of: file, kind: "plan")
            let loaded = try Assembly.backups(environment: environment, output: output).readPlan(
                PolicySource(file: file, text: text))
            return loaded.plan.target.description
        } catch {
            throw Failure(.invalid, "the backup plan names the lease of the database and cannot be read: \(error)")
        }
    }
}
