import SerinModel
import SerinPolicies
import SerinRollouts

/// A plan and the faults that may happen to it.
struct Scenario: Sendable {
    var name: String
    var plan: MachinePlan
    var faults: World.Faults
    var need: MigrationNeed?

    /// Every choice of the policy that the machine looks at occurs in at least one.
    static var all: [Scenario] {
        [
            Scenario(
                name: "two steps, the second approved, a backup, actions, holds",
                plan: plan([500, 2500], approved: [1], actions: true) { $0.backup = .minutes(1) },
                faults: World.Faults(strangers: 0, crashes: 0)),
            Scenario(
                name: "one step, a stranger and a crash", plan: plan([2500], actions: true) { _ in },
                faults: World.Faults(strangers: 1, crashes: 1)),
            Scenario(
                name: "a final step, overrides approved, drift reapplied",
                plan: plan([500, 10_000], actions: true) {
                    $0.approvalsToStart = 1
                    $0.onDrift = .reapply
                    $0.onInconclusive = .rollback
                },
                faults: World.Faults(strangers: 0, crashes: 0)),
            Scenario(
                name: "a backup, a final step and crashes, everything rolls back",
                plan: plan([500, 10_000], actions: false) {
                    rollBackAlways(&$0)
                    $0.backup = .minutes(1)
                },
                faults: World.Faults(strangers: 0, crashes: 2, isPlain: true)),
            Scenario(
                name: "a deploy action and no way back but the weight, everything rolls back, drained",
                plan: plan([500, 2500], actions: false) {
                    rollBackAlways(&$0)
                    $0.deploy = .minutes(1)
                    $0.onFailure = .drain
                },
                faults: World.Faults(strangers: 0, crashes: 0)),
            Scenario(
                name: "a migration that adds, actions and a crash",
                plan: plan([2500], actions: true) {
                    $0.migration = .minutes(1)
                    $0.backup = .minutes(1)
                    $0.isBackupForMigrations = true
                },
                faults: World.Faults(strangers: 0, crashes: 2, isPlain: true), need: .harmless),
            Scenario(
                name: "a migration that may destroy data, approved, fenced, restored, and a crash",
                plan: plan([2500], actions: false) {
                    $0.rollback = .minutes(1)
                    $0.backup = .minutes(1)
                    $0.isBackupForMigrations = true
                    $0.migration = .minutes(1)
                    $0.migrationApprovals = 2
                    $0.fence = .minutes(1)
                    $0.restore = .minutes(1)
                },
                faults: World.Faults(strangers: 0, crashes: 2, isPlain: true), need: .destructive),
        ]
    }

    private static func rollBackAlways(_ plan: inout MachinePlan) {
        plan.onDrift = .rollback
        plan.onTelemetryLoss = .rollback
        plan.onInconclusive = .rollback
    }

    private static func plan(_ steps: [Int], approved: [Int] = [], actions: Bool, change: (inout MachinePlan) -> Void)
        -> MachinePlan
    {
        var plan = MachinePlan(
            steps: steps.enumerated().compactMap { index, points in
                Weight(basisPoints: points).map { StepPolicy(weight: $0, needsApproval: approved.contains(index)) }
            }, author: author)
        if actions {
            plan.deploy = .minutes(1)
            plan.promote = .minutes(1)
            plan.rollback = .minutes(1)
        }
        change(&plan)
        return plan
    }
}
