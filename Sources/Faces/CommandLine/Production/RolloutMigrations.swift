internal import SerinController
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// The migrations that a rollout's policy asks for. The catalogue, which has the leases, is opened for each call: a rollout migrates
/// a few times in hours, and holds nothing open meanwhile.
struct RolloutMigrations: Migrations {
    private let target: MigrationTarget
    private let catalogue: @Sendable () async throws(OperationError) -> any CatalogueStore
    private let assembly: MigrationAssembly
    private let principal: Principal
    private let classify: RevisionClassifier

    /// - Parameters:
    ///   - target: What the policy says; its lease is that of the backup plan.
    ///   - catalogue: Opens the catalogue.
    ///   - principal: Who started the rollout.
    ///   - classify: Judges each pending revision.
    init(
        _ target: MigrationTarget,
        catalogue: @escaping @Sendable () async throws(OperationError) -> any CatalogueStore,
        assembly: MigrationAssembly, by principal: Principal, classify: @escaping RevisionClassifier
    ) {
        self.target = target
        self.catalogue = catalogue
        self.assembly = assembly
        self.principal = principal
        self.classify = classify
    }

    func state(deadline: Duration) async throws(Failure) -> SchemaState {
        try await opened { migrations in
            do throws(Failure) { return .success(try await migrations.state(deadline: deadline)) } catch {
                return .failure(error)
            }
        }.get()
    }

    func plan(deadline: Duration) async throws(Failure) -> MigrationPlan {
        try await opened { migrations in
            do throws(Failure) { return .success(try await migrations.plan(deadline: deadline)) } catch { return .failure(error) }
        }.get()
    }

    func preflight(_ request: MigrationRequest, deadline: Duration) async -> MigrationPreflight {
        switch await opened({ .success(await $0.preflight(request, deadline: deadline)) }) {
        case .success(let report): report
        case .failure(let failure): MigrationPreflight(plan: nil, problems: [failure])
        }
    }

    func up(
        _ request: MigrationRequest, from origin: RevisionID?, to target: RevisionID, judged: [PlannedRevision],
        deadline: Duration
    ) async -> MigrationOutcome {
        switch await opened({
            .success(await $0.up(request, from: origin, to: target, judged: judged, deadline: deadline))
        }) {
        case .success(let outcome): outcome
        case .failure(let failure): .failed(failure, nil)
        }
    }

    func down(
        _ request: MigrationRequest, to target: RevisionID?, judged: [PlannedRevision], deadline: Duration
    ) async -> MigrationOutcome {
        switch await opened({ .success(await $0.down(request, to: target, judged: judged, deadline: deadline)) }) {
        case .success(let outcome): outcome
        case .failure(let failure): .failed(failure, nil)
        }
    }

    func settle(_ request: MigrationRequest, deadline: Duration) async throws(Failure) -> SchemaReport {
        try await opened { migrations in
            do throws(Failure) {
                return .success(try await migrations.settle(request, deadline: deadline))
            } catch { return .failure(error) }
        }.get()
    }

    /// Opens the catalogue for a body, and closes it after.
    private func opened<Value: Sendable>(
        _ body: (ReleaseMigrations) async -> Result<Value, Failure>
    ) async -> Result<Value, Failure> {
        do throws(OperationError) {
            let store = try await catalogue()
            let result = await body(
                ReleaseMigrations(assembly.open(target, store, principal), by: principal, classify: classify))
            await store.close()
            return result
        } catch { return .failure(Failure(.transient, error.description)) }
    }
}
