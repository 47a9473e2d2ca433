public import SerinModel

/// Decides what one rollout does next: a value with a closed set of states and no clock. It arms deadlines as data and is told
/// when one has passed, so an exhaustive search can let them pass in any order.
///
/// Three rules carry the safety of everything else:
/// - a raise is only asked for by `raise(_:)`, from a gate, at a poll that allows it;
/// - every weight above 0 that was asked for may still apply until its answer or its flight time, and no final state is entered before;
/// - a final state is entered only when 0 was read back by a request made after the last raise was settled.
public struct RolloutMachine: Sendable, Hashable {
    /// What is fixed.
    public internal(set) var plan: MachinePlan
    /// Where it stands.
    public internal(set) var state = State.created
    /// The weight that should be in force now.
    public internal(set) var wanted = Weight.zero
    /// The weight that was last confirmed, or accepted as it was found.
    public internal(set) var inForce = Weight.zero
    /// The weight last read; nil when it could not be read.
    public internal(set) var observed: Weight?
    /// Whether the latest reading that said anything was not 0, whoever raised it. What cannot be read does not change it.
    public internal(set) var isReadAboveZero = false
    /// The latest request for a weight.
    public internal(set) var request: WeightRequest?
    /// The latest raise without an answer.
    public internal(set) var openRaise: IntentID?
    /// Whether an older raise may still apply.
    public internal(set) var hasUnsettledRaise = false
    /// The highest step entered through its gate, from 0; nil before the first.
    public internal(set) var entered: Int?
    /// The running deadlines.
    public internal(set) var deadlines = DeadlineSet()
    /// Who agreed to what is waiting, sorted.
    public internal(set) var approvers: [Principal] = []
    /// The steps that were approved, ascending.
    public internal(set) var approvedSteps: [Int] = []
    /// Whether a hold was asked for before the first step.
    public internal(set) var isHoldAsked = false
    /// Whether a promotion was asked for and waits for the next poll.
    public internal(set) var isPromotionAsked = false
    /// Whether the latest poll would allow a promotion.
    public internal(set) var allowsPromotion = false
    /// What is to be migrated before the canary; nil for nothing.
    public internal(set) var migrating: MigrationNeed?
    /// Whether a migration was asked for, so that the schema may have to go back.
    public internal(set) var isSchemaTouched = false
    /// Whether writes are kept away.
    public internal(set) var fence = Fence.open
    /// How often in a row writes could not be let in, up to the number of pauses between tries.
    public internal(set) var unfenceFailures = 0
    /// Whether the rollout has a verified backup.
    public internal(set) var isBackedUp = false
    /// Whether there is code of the new version that a rollback has to take away.
    public internal(set) var isCodeTouched = false
    /// Whether the promotion action was asked for, or the promotion needs none and has begun.
    public internal(set) var isPromotionStarted = false
    /// Whether a poll since the latest raise saw requests, and in the share that was asked for.
    public internal(set) var hasShareFit = false
    /// What the running deadline of a loss is for.
    public internal(set) var loss: HoldReason?
    /// Polls in a row with too large a share.
    public internal(set) var highShares = 0
    /// The latest number of an intent.
    public internal(set) var lastIntent = 0
    /// What is asked for in the course of one event; empty between events.
    var outbox: [MachineEffect] = []

    /// A machine before its first event.
    public init(plan: MachinePlan) { self.plan = plan }

    /// The latest request for a weight.
    public struct WeightRequest: Sendable, Hashable {
        /// How far it got.
        public enum Progress: String, Sendable, Hashable {
            /// No answer yet.
            case asked
            /// Answered, not confirmed.
            case unconfirmed
            /// Read back as asked.
            case confirmed
        }

        /// Its intent.
        public var intent: IntentID
        /// What was asked for.
        public var weight: Weight
        /// How far it got.
        public var progress: Progress
    }

    /// Takes one event; final states absorb everything.
    public mutating func handle(_ event: MachineEvent, at now: Instant) -> [MachineEffect] {
        if case .finished = state { return [] }
        switch event {
        case .started: start(at: now)
        case .ticked: askAgain()
        case .deadlinePassed(let kind): deadlinePassed(kind, at: now)
        case .preflightPassed(let need): preflightPassed(migrating: need, at: now)
        case .preflightRefused: preflightRefused()
        case .preflightLate(let found): preflightLate(found)
        case .historyRead: historyRead(at: now)
        case .polled(let findings):
            noteRead(findings.readBack)
            polled(findings, at: now)
        case .weightConfirmed(let intent, let weight):
            noteRead(.weight(weight))
            weightConfirmed(intent, weight, at: now)
        case .weightFailed(let intent, let found):
            noteRead(found)
            if retreat != nil, found != .unreadable { observed = found.weight }
            weightFailed(intent, isSettled: true, at: now)
        case .weightUnsettled(let intent): weightFailed(intent, isSettled: false, at: now)
        case .actionDone(let intent): actionDone(intent, at: now)
        case .actionFailed(let intent): actionFailed(intent, at: now)
        case .actionUnknown(let intent): actionUnknown(intent, at: now)
        case .backupReported(let intent, let result): backupReported(intent, result, at: now)
        case .schemaInspected(let intent, let way): schemaInspected(intent, way, at: now)
        case .commanded(let verb, let person): commanded(verb, by: person, at: now)
        case .takenOver(let weight, let watchdogLowered, let action, let away):
            deadlines.postpone(.maxBake, by: away)
            noteRead(weight)
            takenOver(weight, watchdogLowered: watchdogLowered, action: action, at: now)
        case .doubted: rollBack(.doubt, at: now)
        }
        let effects = outbox
        outbox = []
        return effects
    }
}
