public import SerinModel
public import SerinVerdicts

/// Where a rollout stands, for people and programs; computed from the state, never stored.
public struct RolloutStatus: Sendable, Hashable, Codable {
    /// The rollout.
    public var id: RolloutID
    /// The service.
    public var service: ServiceName
    /// The version it releases.
    public var version: String
    /// The version it compares with.
    public var previous: String
    /// The state in a word: `preflight`, `backing up`, `migrating`, `deploying`, `raising`, `baking`, `held`, `awaiting approval`, `promoting`, `rolling back`, `rollback incomplete`, `promoted`, `passed` (without a promote action), `rolled back`, `refused`.
    public var state: String
    /// The sentence that says why it is there.
    public var cause: String
    /// What happens next and when.
    public var next: String
    /// Whether nothing more will happen.
    public var isFinal: Bool
    /// Whether the rollback is past its deadline with the weight not confirmed at 0: exit 6.
    public var isRollbackIncomplete: Bool
    /// How it ended or, while rolling back, will end; nil while it may still be promoted.
    public var ending: Ending?
    /// The step, from 1; 0 before the first raise.
    public var step: Int
    /// How many steps there are.
    public var steps: Int
    /// The weight that is wanted.
    public var wantedWeight: Weight
    /// The weight last read back; nil when it could not be read.
    public var observedWeight: Weight?
    /// The observed healthy time so far.
    public var baked: Duration
    /// The healthy time needed.
    public var bake: Duration
    /// The latest assessment of each signal.
    public var signals: [SignalAssessment]
    /// The interval of each signal's ratio as last computed, with its time and base; of signals that have one.
    public var intervals: [ComputedInterval]
    /// What waits for approval and by whom it may not be given; nil when nothing waits.
    public var awaitedApproval: String?
    /// The plan that an approval has to name, by the first digits of its hash; nil where none has to.
    public var approvalPlan: String?
    /// What that plan says, a line each: exactly what its hash covers; empty where no plan is asked about.
    public var approvalLines: [String]
    /// Which way the schema and the data go back and what each way loses, as last decided; empty while nothing was.
    public var wayBack: [String]
    /// Whether writes to the database are kept away.
    public var fence: RolloutMachine.Fence
    /// Whether, on the way back, the previous version is back or was never gone.
    public var isCodeBack: Bool
    /// Whether control may serve the new version though the rollout is not over: the promote action has begun, and the previous version
    /// was not brought back since.
    public var isPromotionBegun: Bool
    /// Whether the policy's restore is under way, to which people have agreed.
    public var isRestoring: Bool
    /// Whether the next rollout of the service needs more people, because this one was stopped for security, or was to have them and
    /// never got past them.
    public var isSecurityHalt: Bool
    /// The verified backup to which it can be taken back; nil when none was made.
    public var restorePoint: CheckpointReference?
    /// Whether the latest poll could see the canary: not while telemetry is lost or the weight cannot be read.
    public var isWatched: Bool
    /// Whether everything that has happened is in the journal. While it cannot be written the weight is lowered all the same: the cause
    /// says so then, and the rest is as last recorded, but for the weight.
    public var isRecorded: Bool
    /// What came of the tries for weight 0 while it is wanted and not confirmed; of a rollout that is over: it ended without.
    public var unconfirmedZero: UnconfirmedZero?
    /// When it began.
    public var startedAt: Instant
    /// When it last changed state.
    public var since: Instant

    /// A status.
    public init(
        id: RolloutID, service: ServiceName, version: String, previous: String, state: String, cause: String, next: String,
        isFinal: Bool, isRollbackIncomplete: Bool, ending: Ending?, step: Int, steps: Int, wantedWeight: Weight,
        observedWeight: Weight?, baked: Duration, bake: Duration, signals: [SignalAssessment], awaitedApproval: String?,
        startedAt: Instant, since: Instant, isSecurityHalt: Bool = false, restorePoint: CheckpointReference? = nil,
        isWatched: Bool = true, approvalPlan: String? = nil, approvalLines: [String] = [], wayBack: [String] = [],
        fence: RolloutMachine.Fence = .open, isCodeBack: Bool = false, isPromotionBegun: Bool = false, isRestoring: Bool = false,
        unconfirmedZero: UnconfirmedZero? = nil,
        isRecorded: Bool = true, intervals: [ComputedInterval] = []
    ) {
        self.id = id
        self.service = service
        self.version = version
        self.previous = previous
        self.state = state
        self.cause = cause
        self.next = next
        self.isFinal = isFinal
        self.isRollbackIncomplete = isRollbackIncomplete
        self.ending = ending
        self.step = step
        self.steps = steps
        self.wantedWeight = wantedWeight
        self.observedWeight = observedWeight
        self.baked = baked
        self.bake = bake
        self.signals = signals
        self.awaitedApproval = awaitedApproval
        self.startedAt = startedAt
        self.since = since
        self.isSecurityHalt = isSecurityHalt
        self.restorePoint = restorePoint
        self.isWatched = isWatched
        self.approvalPlan = approvalPlan
        self.approvalLines = approvalLines
        self.wayBack = wayBack
        self.fence = fence
        self.isCodeBack = isCodeBack
        self.isPromotionBegun = isPromotionBegun
        self.isRestoring = isRestoring
        self.unconfirmedZero = unconfirmedZero
        self.isRecorded = isRecorded
        self.intervals = intervals
    }

    /// The interval of a signal's ratio as last computed; nil when it never was.
    public func interval(of signal: String) -> ComputedInterval? { intervals.first { $0.signal == signal } }
}
