public import SerinModel
public import SerinPolicies

/// What the machine needs to know of a policy and a charter; fixed for the whole rollout.
public struct MachinePlan: Sendable, Hashable {
    /// The steps, ascending.
    public var steps: [StepPolicy]
    /// Who started the rollout; never its only approver outside a demonstration.
    public var author: Principal
    /// Whether the author may approve: in a demonstration only.
    public var allowsAuthorApproval: Bool
    /// How many different people must agree before anything is deployed or raised.
    public var approvalsToStart: Int
    /// The longest a backup before the deploy may take, its verification included; nil without one.
    public var backup: Duration?
    /// Whether a backup is made only where something is migrated.
    public var isBackupForMigrations = false
    /// The longest that the schema may take in one direction, probes included; nil: nothing is migrated.
    public var migration: Duration?
    /// How many different people must agree before data may be destroyed, and before a restore.
    public var migrationApprovals = 0
    /// The longest it may take to fence writes or to let them in; nil: nobody can.
    public var fence: Duration?
    /// The longest a restore may take; nil: nobody can.
    public var restore: Duration?
    /// The longest a deploy action may take, its check included; nil without one.
    public var deploy: Duration?
    /// The longest a promotion action may take, its check included; nil without one.
    public var promote: Duration?
    /// The longest a rollback action may take, its check included; nil without one.
    public var rollback: Duration?
    /// After a fail.
    public var onFailure: Policy.OnFailure
    /// When the longest bake is over without a verdict.
    public var onInconclusive: Policy.OnDoubt
    /// When evidence is missing.
    public var onTelemetryLoss: Policy.OnDoubt
    /// When someone else lowered the weight.
    public var onDrift: Policy.OnDrift
    /// The times.
    public var timing: TimingPolicy

    /// A plan with the defaults of a policy, without actions.
    public init(steps: [StepPolicy], author: Principal) {
        self.steps = steps
        self.author = author
        allowsAuthorApproval = false
        approvalsToStart = 0
        onFailure = .rollback
        onInconclusive = .hold
        onTelemetryLoss = .hold
        onDrift = .hold
        timing = TimingPolicy()
    }

    /// The plan of a charter. An override needs another person's agreement unless the policy says that it is a demonstration.
    public init(charter: Charter) {
        let policy = charter.policy
        let isDemo = policy.environment == .demo
        steps = policy.traffic.steps
        author = charter.author
        allowsAuthorApproval = isDemo
        approvalsToStart = max(charter.requiredApprovals, charter.overrides.isEmpty || isDemo ? 0 : 1)
        // An attempt, then its check, then a margin for the answer to arrive.
        func longest(_ action: ActionPolicy?) -> Duration? { action.map { $0.deadline * 2 + .minutes(1) } }
        // A margin for the answer to arrive.
        backup = policy.backup.map { $0.deadline + .minutes(2) }
        isBackupForMigrations = policy.backup?.before == .migrations
        if let migrations = policy.migrations {
            // The revisions, then each probe and its check, then a margin.
            migration = migrations.probes.reduce(migrations.deadline + .minutes(2)) { $0 + $1.deadline * 2 }
            migrationApprovals = migrations.approvals
            fence = migrations.maintenance.map { max($0.on.deadline, $0.off.deadline) * 2 + .minutes(1) }
            restore = longest(migrations.restore)
        }
        deploy = longest(policy.deploy)
        promote = longest(policy.promote)
        rollback = longest(policy.rollback)
        onFailure = policy.onFailure
        onInconclusive = policy.onInconclusive
        onTelemetryLoss = policy.onTelemetryLoss
        onDrift = policy.onDrift
        timing = policy.timing
    }

    /// A plan never changes within a rollout, so next to nothing of it is hashed; all of it is compared.
    public func hash(into hasher: inout Hasher) { hasher.combine(steps.count) }

    /// Whether the last step gives the canary everything: entered only on a pass and watched, not judged.
    public var hasFinalStep: Bool { steps.last?.weight == .all }
    /// How many steps are judged against a control.
    public var judgedSteps: Int { hasFinalStep ? steps.count - 1 : steps.count }
    /// The longest bake before `onInconclusive`.
    public var maxBake: Duration { timing.effectiveMaxBake }

    /// Whether a step is the final one at 100 %.
    public func isFinalStep(_ step: Int) -> Bool { hasFinalStep && step == steps.count - 1 }
}
