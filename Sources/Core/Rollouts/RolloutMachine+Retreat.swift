internal import SerinModel
internal import SerinPolicies

// Holds, the way back, and time.
extension RolloutMachine {
    /// Weight 0 now; then code. The first cause stays, because it decides how the rollout ends.
    mutating func rollBack(_ cause: Cause, at now: Instant) {
        // Whoever asks for it again must see it tried again.
        guard retreat == nil else { return askAgain() }
        if case .finished = state { return }
        // An action that has just failed is no longer under way, and neither is its deadline.
        let running = deadlines.due(.action) == nil ? nil : openAction
        state = .lowering(Retreat(cause: cause, running: running, backup: openBackup))
        isPromotionAsked = false
        allowsPromotion = false
        hasShareFit = false
        isHoldAsked = false
        highShares = 0
        approvers = []
        deadlines.disarmAll(but: [.flight, .action, .backup])
        deadlines.arm(.zero, due: now + plan.timing.haltDeadline)
        deadlines.arm(.rollback, due: now + plan.timing.rollbackDeadline)
        ask(.zero, at: now)
        endBackup(at: now)
        endMigration(at: now)
    }

    /// Freezes the weight at what was last in force. A raise under way is lowered again when it turns out to have applied; asking
    /// for the old weight at once could raise what someone else has lowered meanwhile.
    mutating func hold(_ reason: HoldReason, at place: Place, now: Instant) {
        if case .raising = state { wanted = inForce }
        state = .held(Hold(reason: reason, place: place))
        deadlines.disarm(.raise)
        deadlines.disarm(.warmup)
        deadlines.disarm(.watch)
        deadlines.disarm(.verification)
        deadlines.disarm(.approval)
        if !reason.endsByItself {
            // A person has the rollout in hand; a hold that ends by itself must not stretch the bake for ever.
            deadlines.disarm(.maxBake)
            deadlines.arm(.hold, due: now + plan.timing.holdFor)
        }
    }

    /// Goes on after a hold.
    mutating func resume(_ held: Hold, at now: Instant) {
        deadlines.disarm(.hold)
        deadlines.disarm(.loss)
        switch held.place {
        case .step(let step): goOn(at: step, at: now)
        case .deployed: enter(0, at: now)
        case .promoted: verify(at: now)
        }
    }

    mutating func deadlinePassed(_ kind: DeadlineKind, at now: Instant) {
        guard deadlines.due(kind) != nil else { return }
        deadlines.disarm(kind)
        switch kind {
        case .preflight: preflightOverdue(at: now)
        case .approval where retreat != nil: restoreUnapproved(at: now)
        case .history, .approval, .raise: rollBack(.deadline(kind), at: now)
        case .verification: rollBack(state == .verifying(isUnseen: true) ? .unseenPromotion : .deadline(kind), at: now)
        case .action:
            if let action = openAction { actionUnknown(action.intent, at: now) }
            if let openInspection { schemaInspected(openInspection, .unknown, at: now) }
        case .backup: if let openBackup { backupReported(openBackup, .unknown, at: now) }
        case .flight: flightOver(at: now)
        case .warmup: if case .warmingUp(let step) = state { state = .baking(step: step) }
        case .maxBake: bakeOverdue(at: now)
        case .hold: if case .held(let held) = state { rollBack(held.reason.cause, at: now) }
        case .loss: lossOverdue(at: now)
        case .watch:
            guard case .watching(let step, _) = state else { return }
            state = .watching(step: step, isOver: true)
            deadlines.arm(.verification, due: now + plan.timing.lossFor)
        case .agreement: agreementOver(at: now)
        case .zero: zeroOverdue()
        case .lowering:
            // While 0 is what is missing at the end, its own deadline calls.
            if state != .completing { outbox.append(.note(.loweringOverdue)) }
            deadlines.arm(.lowering, due: now + .hours(1))
        case .reask: zeroUnanswered(at: now)
        case .rollback: rollbackOverdue(at: now)
        case .unfence: unfenceAgain(at: now)
        case .reminder:
            outbox.append(.note(.reminded))
            deadlines.arm(.reminder, due: now + .hours(1))
        }
    }

    /// No raise was ever asked for, and 0 was read before 0 was written.
    private mutating func preflightOverdue(at now: Instant) {
        switch state {
        case .preflight, .zeroing: finish(.refused)
        case .created, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp,
            .baking,
            .watching, .held,
            .promoting, .verifying, .completing, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            break
        }
    }

    /// Nothing that was asked for can apply any more.
    private mutating func flightOver(at now: Instant) {
        let wasOpen = mayStillRise
        openRaise = nil
        hasUnsettledRaise = false
        if let current = request, current.weight > .zero, current.progress == .asked { request?.progress = .unconfirmed }
        if wasOpen { raiseSettled(at: now) }
    }

    private mutating func bakeOverdue(at now: Instant) {
        guard plan.onInconclusive == .hold else { return rollBack(.inconclusive, at: now) }
        switch state {
        case .gate, .raising, .warmingUp, .baking: hold(.inconclusive, at: .step(entered ?? 0), now: now)
        case .held(let held): hold(.inconclusive, at: held.place, now: now)
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .watching,
            .promoting,
            .verifying,
            .completing, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            break
        }
    }

    private mutating func lossOverdue(at now: Instant) {
        if case .held(let held) = state, held.reason.endsByItself { return rollBack(held.reason.cause, at: now) }
        rollBack(loss?.cause ?? .telemetry, at: now)
    }

    /// Zero is not confirmed in time: a person is called and it is asked for on, unless there is nothing to lower.
    private mutating func zeroOverdue() {
        if let retreat, mayEndUnread { return finish(retreat.ending) }
        outbox.append(.note(.zeroOverdue))
    }

    /// Whether it may end without a read-back of 0: it never asked for a weight above 0, a deploy, a migration or a fence, nothing is
    /// under way or to be taken back, and no weight of anyone's was read since the last 0. What it waits for may never answer.
    private var mayEndUnread: Bool {
        guard case .lowering(let retreat) = state, retreat.running == nil, retreat.backup == nil else { return false }
        let hasDeployed = plan.deploy != nil && isCodeTouched
        return entered == nil && !hasDeployed && !needsRevert && !isSchemaTouched && fence == .open
            && !isReadAboveZero && request?.progress != .confirmed
    }

    /// A request for 0 got no answer in time, or a confirmation is still missing: it is made again.
    private mutating func zeroUnanswered(at now: Instant) {
        guard let pending = request, pending.weight == .zero, pending.progress != .confirmed else { return }
        if let retreat, deadlines.due(.zero) == nil, mayEndUnread { return finish(retreat.ending) }
        request?.progress = .asked
        deadlines.arm(.reask, due: now + plan.timing.haltDeadline)
        outbox.append(.setWeight(pending.intent, .zero))
    }

    /// Lowering goes on; a person is called and reminded until it is done.
    private mutating func rollbackOverdue(at now: Instant) {
        outbox.append(.note(.rollbackOverdue))
        deadlines.arm(.reminder, due: now + .hours(1))
        switch state {
        case .lowering(var retreat):
            retreat.isOverdue = true
            state = .lowering(retreat)
        case .reverting(var retreat, let intent):
            retreat.isOverdue = true
            state = .reverting(retreat, intent)
        case .mending(var retreat, let stage):
            retreat.isOverdue = true
            state = .mending(retreat, stage)
        case .confirming(var retreat):
            retreat.isOverdue = true
            state = .confirming(retreat)
        case .stranded(var retreat):
            retreat.isOverdue = true
            state = .stranded(retreat)
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising,
            .warmingUp, .baking,
            .watching, .held, .promoting, .verifying, .completing, .finished:
            break
        }
    }
}
