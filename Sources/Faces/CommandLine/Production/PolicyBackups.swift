internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// The backups that a rollout's policy asks for. The plan is read and the catalogue opened for each call: a rollout needs them a few
/// times in hours, and holds nothing open meanwhile.
struct PolicyBackups: Backups {
    /// The policy of a rollout.
    let policy: LoadedPolicy
    let state: StateRoot
    let assembly: BackupAssembly
    /// Does what nobody waits for: notifications, the mirror.
    let afterwork: Afterwork
    /// Who is told besides the program of the plan; nil for nobody.
    let notifier: (any Notifier)?
    /// Told of what could not be mirrored.
    let report: @Sendable (String) -> Void

    func preflight(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupPreflight {
        let found = await opened { await $0.preflight(request, deadline: deadline) }
        switch found {
        case .success(let report): return report
        case .failure(let failure): return BackupPreflight(problems: [failure])
        }
    }

    func take(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome {
        switch await opened({ await $0.take(request, deadline: deadline) }) {
        case .success(let outcome): outcome
        case .failure(let failure): .failed(failure)
        }
    }

    func check(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome {
        switch await opened({ await $0.check(request, deadline: deadline) }) {
        case .success(let outcome): outcome
        // What cannot be looked up may be there.
        case .failure(let failure): .unknown(failure)
        }
    }

    func release(_ request: RolloutBackupRequest, deadline: Duration) async throws(Failure) {
        let result = await opened { backups -> Result<Void, Failure> in
            do throws(Failure) {
                return .success(try await backups.release(request, deadline: deadline))
            } catch {
                return .failure(error)
            }
        }
        try result.get().get()
    }

    /// Reads the plan, opens the catalogue and the plan's parts, and closes the catalogue after the work.
    private func opened<Value: Sendable>(_ body: (PlanBackups) async -> Value) async -> Result<Value, Failure> {
        do throws(OperationError) {
            let loaded = try Assembly.backupPlan(of: policy, named: "POLICY")
            let catalogue = try await assembly.openCatalogue(state)
            let result: Result<Value, Failure>
            do throws(Failure) {
                var options = BackupWorkOptions(purpose: "serin rollout", later: afterwork.add)
                options.notifier = notifier
                let work = try await assembly.open(loaded, state, catalogue, options)
                result = .success(
                    await body(PlanBackups(loaded: loaded, catalogue: catalogue, work: work) { SystemClock().now() }))
            } catch {
                result = .failure(error)
            }
            await catalogue.close()
            assembly.mirrorLater(loaded, state, by: afterwork.add, report: report)
            return result
        } catch {
            return .failure(Failure(.invalid, "\(error)"))
        }
    }
}
