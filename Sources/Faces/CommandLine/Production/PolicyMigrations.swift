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
    func migrations(of charter: Charter, state: StateRoot?) throws(Failure) -> (any Migrations)? {
        guard let rules = charter.policy.migrations else { return nil }
        guard let database = rules.database ?? charter.policy.postgres?.primary else {
            throw Failure(.invalid, "the policy migrates, and names no database")
        }
        let backups = Assembly.backups(environment: environment, output: output)
        var target = MigrationTarget(policy: rules, database: database, lease: try lease(of: charter.policy, backups))
        target.governed(by: charter.policy.service, charter.policyHash)
        return RolloutMigrations(
            target,
            catalogue: { () throws(OperationError) in
                guard let state else { return MemoryCatalogue(digest: SHA256.digestOrEmpty) }
                return try await backups.openCatalogue(state)
            },
            assembly: Assembly.migrations(environment: environment), by: charter.author, classify: Lint.classifier(rules))
    }

    /// The name of the lease: the target of the backup plan, so that backups and migrations keep out of each other's way.
    private func lease(of policy: Policy, _ backups: BackupAssembly) throws(Failure) -> String {
        guard case .file(let file)? = policy.backup?.plan else { return policy.service.description }
        do {
            let text = try PolicyArguments.text(ofRegular: file, kind: "plan")
            return try backups.readPlan(PolicySource(file: file, text: text)).plan.target.description
        } catch {
            throw Failure(.invalid, "the backup plan names the lease of the database and cannot be read: \(error)")
        }
    }
}
