internal import SerinModel
internal import SerinPolicies

// Asking for weights and taking their answers.
extension RolloutMachine {
    mutating func newIntent() -> IntentID {
        lastIntent += 1
        return IntentID(lastIntent)
    }

    /// Asks for a weight that is not above what the gates allowed. Anything above 0 counts as a raise: it may apply late.
    ///
    /// - Parameters:
    ///   - weight: What is wanted.
    ///   - atMost: Whether less is as good.
    ///   - now: The time.
    mutating func ask(_ weight: Weight, atMost: Bool = false, at now: Instant) {
        let allowed = entered.map { plan.steps[$0].weight } ?? .zero
        guard weight <= allowed else {
            outbox.append(.note(.brokenPromise("asked to set \(weight) where the gates allow \(allowed)")))
            return rollBack(.doubt, at: now)
        }
        guard weight == .zero || retreat == nil else {
            outbox.append(.note(.brokenPromise("asked to set \(weight) while everything is taken back")))
            return
        }
        let intent = newIntent()
        request = WeightRequest(intent: intent, weight: weight, progress: .asked)
        wanted = weight
        if weight > .zero {
            mayRise(by: intent, at: now)
        } else {
            deadlines.arm(.reask, due: now + plan.timing.haltDeadline)
        }
        outbox.append(atMost && weight > .zero ? .lowerWeight(intent, weight) : .setWeight(intent, weight))
        // The first 0 and the last one have deadlines of their own.
        if atMost || weight == .zero, state != .zeroing, state != .completing { watchLowering(at: now) }
    }

    /// A weight above 0 may apply from now on.
    private mutating func mayRise(by intent: IntentID, at now: Instant) {
        hasUnsettledRaise = mayStillRise
        openRaise = intent
        hasShareFit = false
        deadlines.arm(.flight, due: now + plan.timing.raiseDeadline)
        deadlines.disarm(.reask)
    }

    /// Before the way back, which has its own deadlines, a person is called when a lowering is not confirmed in time.
    private mutating func watchLowering(at now: Instant) {
        guard retreat == nil, deadlines.due(.lowering) == nil else { return }
        deadlines.arm(.lowering, due: now + plan.timing.haltDeadline)
    }

    /// Takes note of what was read: above 0 until 0 is read, whoever raised it, and lowered once no more than wanted is there.
    mutating func noteRead(_ read: ReadBack) {
        switch read {
        case .weight(let found):
            isReadAboveZero = found > .zero
            if found <= wanted { deadlines.disarm(.lowering) }
        // Nothing says that it is 0.
        case .meaningless: isReadAboveZero = true
        case .unreadable: break
        }
    }

    /// Asks for 0 again under the same intent when the last request was answered without a confirmation.
    mutating func askAgain() {
        guard let pending = request, pending.weight == .zero, pending.progress == .unconfirmed else { return }
        request?.progress = .asked
        outbox.append(.setWeight(pending.intent, .zero))
    }

    mutating func weightConfirmed(_ intent: IntentID, _ weight: Weight, at now: Instant) {
        // A confirmation of something else is none.
        guard let current = request, intent != current.intent || weight == current.weight else {
            return weightFailed(intent, isSettled: true, at: now)
        }
        let wasRaise = settleRaise(intent)
        guard intent == current.intent else {
            if wasRaise { raiseSettled(at: now) }
            return
        }
        request?.progress = .confirmed
        observed = weight
        deadlines.disarm(.reask)
        // A raise that was given up meanwhile has applied.
        guard weight <= wanted else { return lower(from: weight, at: now) }
        inForce = weight
        switch state {
        case .zeroing: zeroProven(at: now)
        case .raising(let step): raised(to: step, at: now)
        case .lowering, .confirming, .completing: zeroRead(at: now)
        case .reverting, .mending, .stranded: deadlines.disarm(.zero)
        case .created, .preflight, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate, .warmingUp,
            .baking,
            .watching, .held,
            .promoting, .verifying, .finished:
            break
        }
    }

    mutating func weightFailed(_ intent: IntentID, isSettled: Bool, at now: Instant) {
        if openRaise == intent, !isSettled { hasUnsettledRaise = true }
        let wasRaise = settleRaise(intent)
        if request?.intent == intent, request?.progress == .asked { request?.progress = .unconfirmed }
        if wasRaise { raiseSettled(at: now) }
    }

    /// Takes note that a raise was answered; true when it was the one that was open.
    private mutating func settleRaise(_ intent: IntentID) -> Bool {
        guard openRaise == intent else { return false }
        openRaise = nil
        if !hasUnsettledRaise { deadlines.disarm(.flight) }
        return true
    }

    /// A raise can no longer apply. On the way back, only a read-back from after this moment proves 0.
    mutating func raiseSettled(at now: Instant) {
        switch state {
        case .lowering, .confirming, .completing: ask(.zero, at: now)
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising,
            .warmingUp, .baking,
            .watching, .held, .promoting, .verifying, .reverting, .mending, .stranded, .finished:
            break
        }
    }

    /// The balancer's weight is above what is wanted: lowered at once, whoever did it.
    mutating func lower(from found: Weight, at now: Instant) {
        if deadlines.due(.lowering) == nil {
            let ours = mayStillRise && entered.map { found == plan.steps[$0].weight } ?? false
            outbox.append(.note(ours ? .raiseAppliedLate(found: found) : .weightAbove(found: found, wanted: wanted)))
        }
        watchLowering(at: now)
        guard let pending = request, pending.weight == wanted, pending.progress != .confirmed else {
            // Whoever lowered it further since it was read is not overruled.
            return ask(wanted, atMost: true, at: now)
        }
        if wanted == .zero { askAgain() } else { lowerAgain(at: now) }
    }

    /// Asks for a lowering above 0 again under the same intent when the last request was answered without a confirmation.
    private mutating func lowerAgain(at now: Instant) {
        guard let pending = request, pending.progress == .unconfirmed else { return }
        request?.progress = .asked
        mayRise(by: pending.intent, at: now)
        outbox.append(.lowerWeight(pending.intent, pending.weight))
    }

    /// 0 was read back on the way to an end.
    private mutating func zeroRead(at now: Instant) {
        deadlines.disarm(.zero)
        // A raise may still apply: when it no longer can, 0 is asked for and read once more.
        guard !mayStillRise else { return }
        switch state {
        case .lowering(let retreat):
            guard retreat.backup == nil, !isSchemaMoving(retreat) else { return }
            if needsRevert {
                // It ends whatever is still under way: a deploy or promotion that went on would undo it.
                let retreat = Retreat(cause: retreat.cause, isOverdue: retreat.isOverdue)
                runAction(.rollback, lasting: plan.rollback, at: now) { .reverting(retreat, $0) }
            } else if retreat.running == nil {
                codeIsBack(retreat, at: now)
            }
        case .confirming(let retreat): finish(retreat.ending)
        case .completing: finish(.promoted)
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising,
            .warmingUp, .baking,
            .watching, .held, .promoting, .verifying, .reverting, .mending, .stranded, .finished:
            break
        }
    }

    /// After a begun promotion control may be on two versions, so `drain` does not spare it the rollback action.
    var needsRevert: Bool {
        plan.rollback != nil && isCodeTouched && (plan.onFailure == .rollback || isPromotionStarted)
    }

    mutating func runAction(
        _ kind: ActionKind, lasting: Duration?, at now: Instant, entering next: (IntentID) -> State
    ) {
        let intent = newIntent()
        state = next(intent)
        deadlines.arm(.action, due: now + (lasting ?? .minutes(1)))
        outbox.append(.runAction(intent, kind))
    }

    mutating func finish(_ ending: Ending) {
        state = .finished(ending)
        deadlines.disarmAll()
    }
}
