internal import SerinModel

extension RolloutMachine {
    /// Where a rollout stands. From every state but `finished`, a halt, a doubt or a veto leads to `lowering`.
    public enum State: Sendable, Hashable {
        /// The charter is durable. → `preflight`
        case created
        /// Everything that will be needed is tried; nothing is changed. → `zeroing`, `finished(.refused)`
        case preflight
        /// 0 was written and is to be read back. → `awaitingApproval(.start)`, `backingUp`, `migrating`, `readingHistory`, `finished(.refused)`
        case zeroing
        /// People are asked. → `backingUp`, `migrating`, `readingHistory`, `gate`, `lowering`
        case awaitingApproval(Awaited)
        /// The restore point is made and verified. → `migrating`, `readingHistory`, `lowering`, `finished(.refused)`
        case backingUp(IntentID)
        /// The schema goes forward. → `readingHistory`, `lowering`
        case migrating(MigrationStage)
        /// The control's past is read. → `deploying`, `gate`, `held`, `awaitingApproval(.step)`, `lowering`
        case readingHistory
        /// The canary is brought up. → `gate`, `held`, `awaitingApproval(.step)`, `lowering`
        case deploying(IntentID)
        /// The next poll decides whether a step may be entered. → `raising`, `warmingUp`, `watching`, `baking`, `held`, `lowering`
        case gate(step: Int)
        /// The step's weight was asked for. → `warmingUp`, `watching`, `gate`, `held`, `lowering`
        case raising(step: Int)
        /// The weight is confirmed; the first minutes are neither evidence nor bake. → `baking`, `gate`, `held`, `lowering`
        case warmingUp(step: Int)
        /// Healthy time is collected. → `gate`, `awaitingApproval(.step)`, `promoting`, `completing`, `held`, `lowering`
        case baking(step: Int)
        /// The canary has all traffic and control stands by. → `promoting`, `completing`, `gate`, `held`, `lowering`
        case watching(step: Int, isOver: Bool)
        /// The weight is frozen or 0. → `gate`, `baking`, `watching`, `verifying`, `promoting`, `lowering`
        case held(Hold)
        /// Control receives the new version. → `verifying`, `held`, `lowering`
        case promoting(IntentID)
        /// The new version has to be seen healthy on control; whether the last poll could have shown it and did not. → `completing`, `lowering`
        case verifying(isUnseen: Bool)
        /// The canary's weight goes back to 0. → `finished(.promoted)`, `lowering`
        case completing
        /// The weight goes to 0, and an action under way comes to its end. → `reverting`, `mending`, `finished`
        case lowering(Retreat)
        /// The previous version is brought back. → `mending`, `confirming`, `stranded`
        case reverting(Retreat, IntentID)
        /// The previous version is back; now the schema, and writes if they were fenced. → `confirming`, `stranded`
        case mending(Retreat, MendingStage)
        /// 0 is read back once more after the code. → `finished`
        case confirming(Retreat)
        /// What was to be brought back is not, or nobody knows; a person has to act. → `reverting`, `mending`, `confirming`
        case stranded(Retreat)
        /// Nothing more will happen.
        case finished(Ending)
    }

    /// What people are asked for.
    public enum Awaited: Sendable, Hashable {
        /// Agreement to overrides, or to a new try after a security halt.
        case start
        /// Agreement to enter a step.
        case step(Int)
    }

    /// Where a held rollout goes on.
    public enum Place: Sendable, Hashable {
        /// At a step, through its gate when its weight is not in force.
        case step(Int)
        /// After the deploy action, as if it had succeeded.
        case deployed
        /// After the promotion action, as if it had succeeded.
        case promoted
    }

    /// A hold.
    public struct Hold: Sendable, Hashable {
        /// Why.
        public var reason: HoldReason
        /// Where it goes on.
        public var place: Place
    }

    /// A rollback under way.
    public struct Retreat: Sendable, Hashable {
        /// Why; the first cause stays.
        public var cause: Cause
        /// Whether it is past its deadline.
        public var isOverdue = false
        /// Whether the previous version is back: nothing is done to the schema before.
        public var isCodeBack = false
        /// The action that was under way when it began, until its end is known.
        public var running: RunningAction?
        /// The backup that was under way when it began, until its end is known.
        public var backup: IntentID?
        /// How it will end.
        public var ending: Ending { cause.ending }
    }

    /// An action under way.
    public struct RunningAction: Sendable, Hashable {
        /// Its intent.
        public var intent: IntentID
        /// What it does.
        public var kind: ActionKind
    }

    /// How it ended; nil while it has not.
    public var ending: Ending? {
        switch state {
        case .finished(let ending): ending
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising,
            .warmingUp, .baking,
            .watching, .held, .promoting, .verifying, .completing, .lowering, .reverting, .mending, .confirming, .stranded:
            nil
        }
    }

    /// Whether it was taken back and ended without a read-back of 0, which only a rollout may that never asked for a raise.
    public var hasEndedUnread: Bool {
        switch ending {
        case .failed, .halted, .inconclusive: request?.progress != .confirmed
        case .promoted, .refused, nil: false
        }
    }

    /// The rollback under way, when there is one.
    public var retreat: Retreat? {
        switch state {
        case .lowering(let retreat), .reverting(let retreat, _), .mending(let retreat, _), .confirming(let retreat),
            .stranded(let retreat):
            retreat
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising,
            .warmingUp, .baking,
            .watching, .held, .promoting, .verifying, .completing, .finished:
            nil
        }
    }

    /// The action under way.
    public var openAction: RunningAction? {
        switch state {
        case .deploying(let intent): RunningAction(intent: intent, kind: .deploy)
        case .promoting(let intent): RunningAction(intent: intent, kind: .promote)
        case .reverting(_, let intent): RunningAction(intent: intent, kind: .rollback)
        case .migrating(let stage): stage.action
        case .mending(_, let stage): stage.action
        case .lowering(let retreat): retreat.running
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .readingHistory, .gate, .raising, .warmingUp, .baking,
            .watching, .held, .verifying, .completing, .confirming, .stranded, .finished:
            nil
        }
    }

    /// The look at the schema under way.
    public var openInspection: IntentID? {
        if case .mending(_, .inspecting(let intent)) = state { return intent }
        return nil
    }

    /// The backup under way.
    public var openBackup: IntentID? {
        switch state {
        case .backingUp(let intent): intent
        case .lowering(let retreat): retreat.backup
        case .created, .preflight, .zeroing, .awaitingApproval, .migrating, .readingHistory, .deploying, .gate, .raising,
            .warmingUp, .baking,
            .watching, .held, .promoting, .verifying, .completing, .reverting, .mending, .confirming, .stranded, .finished:
            nil
        }
    }

    /// Whether a raise that was asked for may still apply.
    public var mayStillRise: Bool { openRaise != nil || hasUnsettledRaise }

    /// Whether nothing happens until a person acts or a long deadline passes; the person was called.
    public var waitsForPerson: Bool {
        switch state {
        case .awaitingApproval, .stranded, .mending(_, .awaitingApproval): true
        case .held(let hold): !hold.reason.endsByItself
        case .lowering(let retreat), .confirming(let retreat): retreat.isOverdue
        case .completing: deadlines.due(.reminder) != nil
        case .created, .preflight, .zeroing, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp,
            .baking,
            .watching,
            .promoting, .verifying, .reverting, .mending, .finished:
            false
        }
    }

    /// Whether healthy time is collected.
    var isBaking: Bool {
        if case .baking = state { return true }
        return false
    }

    /// Whether it waits, at a gate or for people, with a canary that has traffic and a control to compare it with.
    var isWaitingAtWeight: Bool {
        guard inForce > .zero, !mayStillRise, !isPromotionStarted else { return false }
        switch state {
        case .gate, .awaitingApproval(.step), .held: return true
        case .created, .preflight, .zeroing, .awaitingApproval(.start), .backingUp, .migrating, .readingHistory, .deploying,
            .raising, .warmingUp, .baking, .watching, .promoting, .verifying, .completing, .lowering, .reverting, .mending,
            .confirming, .stranded, .finished:
            return false
        }
    }
}
