internal import SerinModel
internal import SerinPolicies

// The way up: preflight, steps, promotion.
extension RolloutMachine {
    mutating func start(at now: Instant) {
        guard state == .created else { return }
        state = .preflight
        deadlines.arm(.preflight, due: now + plan.timing.preflightDeadline)
        outbox.append(.preflight)
    }

    mutating func preflightPassed(migrating need: MigrationNeed?, at now: Instant) {
        guard state == .preflight else { return }
        migrating = plan.migration == nil ? nil : need
        state = .zeroing
        // The pipeline has brought the canary up where there is no deploy action.
        isCodeTouched = plan.deploy == nil
        ask(.zero, at: now)
    }

    /// Nothing was written, so there is nothing to take back.
    mutating func preflightRefused() {
        guard state == .preflight else { return }
        finish(.refused)
    }

    /// More than 0 counts until 0 is read, as in any other reading. A 0 may be older than what was read since, and proves nothing.
    mutating func preflightLate(_ found: ReadBack) {
        guard retreat != nil, found != .unreadable, found != .weight(.zero) else { return }
        isReadAboveZero = true
        if observed == nil { observed = found.weight }
    }

    mutating func zeroProven(at now: Instant) {
        deadlines.disarm(.preflight)
        guard approvalsNeeded == 0 else {
            state = .awaitingApproval(.start)
            deadlines.arm(.approval, due: now + plan.timing.approvalDeadline)
            return
        }
        backUp(at: now)
    }

    /// How many people must agree to the start; data that may be destroyed asks for its own.
    public var approvalsNeeded: Int { max(plan.approvalsToStart, migrating == .destructive ? plan.migrationApprovals : 0) }

    mutating func readHistory(at now: Instant) {
        state = .readingHistory
        deadlines.arm(.history, due: now + plan.timing.preflightDeadline)
        outbox.append(.readHistory)
    }

    mutating func historyRead(at now: Instant) {
        guard state == .readingHistory else { return }
        deadlines.disarm(.history)
        guard plan.deploy != nil else { return enter(0, at: now) }
        isCodeTouched = true
        runAction(.deploy, lasting: plan.deploy, at: now) { .deploying($0) }
    }

    /// Goes to a step: the agreement of people first, then its gate. The next poll, or this one when it is given, decides.
    mutating func enter(_ step: Int, findings: PollFindings? = nil, at now: Instant) {
        if isHoldAsked {
            isHoldAsked = false
            return hold(.command, at: .step(step), now: now)
        }
        guard !plan.steps[step].needsApproval || approvedSteps.contains(step) else {
            state = .awaitingApproval(.step(step))
            deadlines.disarm(.raise)
            deadlines.disarm(.maxBake)
            deadlines.arm(.approval, due: now + plan.timing.approvalDeadline)
            return
        }
        state = .gate(step: step)
        deadlines.arm(.raise, due: now + plan.timing.raiseDeadline)
        if let findings { passGate(step, findings, at: now) }
    }

    /// Whether a poll lets a step be entered, and what happens then. Vetoes and losses were looked at before.
    mutating func passGate(_ step: Int, _ findings: PollFindings, at now: Instant) {
        guard !plan.isFinalStep(step) || allowsPromotion(findings) else {
            // The final step is entered on a pass only; the evidence has changed, so the last judged step goes on.
            outbox.append(.note(.promotionWithdrawn))
            isPromotionAsked = false
            return goOn(at: step - 1, at: now)
        }
        if step > 0, entered ?? -1 < step, findings.verdict == .nodata || isBelowStep(before: step) {
            // Since the step before was done the evidence has dried up, or its weight was lowered: it goes on.
            return goOn(at: step - 1, at: now)
        }
        guard findings.database == .within, findings.loss == nil, findings.share != .high, let read = findings.readBack.weight
        else { return }
        if read == plan.steps[step].weight, entered ?? -1 >= step {
            // A raise that was given up has applied after all.
            wanted = read
            inForce = read
            // What was read back is as good as an answer. Without it the share of requests would not be compared with this weight.
            if let current = request { request = WeightRequest(intent: current.intent, weight: read, progress: .confirmed) }
            return raised(to: step, at: now)
        }
        guard read == wanted else { return }
        entered = max(entered ?? 0, step)
        deadlines.disarm(.agreement)
        state = .raising(step: step)
        ask(plan.steps[step].weight, at: now)
    }

    /// Whether the weight was lowered since the step before a new one was done: that one is entered again first.
    func isBelowStep(before step: Int) -> Bool {
        step > 0 && entered ?? -1 < step && wanted < plan.steps[step - 1].weight
    }

    /// The step's weight is confirmed.
    mutating func raised(to step: Int, at now: Instant) {
        deadlines.disarm(.raise)
        deadlines.disarm(.lowering)
        guard !plan.isFinalStep(step) else {
            state = .watching(step: step, isOver: false)
            deadlines.disarm(.maxBake)
            deadlines.disarm(.verification)
            deadlines.arm(.watch, due: now + plan.timing.watch)
            return
        }
        state = .warmingUp(step: step)
        deadlines.arm(.warmup, due: now + plan.timing.warmup)
        if deadlines.due(.maxBake) == nil { deadlines.arm(.maxBake, due: now + plan.maxBake) }
    }

    /// Goes on with a step after an interruption: where its weight is still in force without a new raise, else through its gate.
    mutating func goOn(at step: Int, at now: Instant) {
        guard wanted == plan.steps[step].weight, observed == wanted, entered ?? -1 >= step, request?.progress == .confirmed else {
            return enter(step, at: now)
        }
        if plan.isFinalStep(step) { return raised(to: step, at: now) }
        deadlines.disarm(.raise)
        state = .baking(step: step)
        if deadlines.due(.maxBake) == nil { deadlines.arm(.maxBake, due: now + plan.maxBake) }
    }

    /// At a step whose time may be over.
    mutating func bake(_ step: Int, _ findings: PollFindings, at now: Instant) {
        let isLast = step == plan.judgedSteps - 1
        if allowsPromotion(findings), isLast && findings.isStepDone || isPromotionAsked {
            isPromotionAsked = false
            guard plan.hasFinalStep else { return startPromotion(at: now) }
            return enter(plan.steps.count - 1, findings: findings, at: now)
        }
        if isPromotionAsked {
            isPromotionAsked = false
            outbox.append(.note(.promotionWithdrawn))
        }
        guard !isLast, findings.isStepDone, findings.database == .within else { return }
        switch findings.verdict {
        case .pass, .inconclusive: enter(step + 1, findings: findings, at: now)
        case .nodata, .fail: break
        }
    }

    /// Gives the new version to everyone. From here on only vetoes are judged.
    mutating func startPromotion(at now: Instant) {
        isPromotionStarted = true
        isCodeTouched = true
        deadlines.disarmAll(but: [.flight, .lowering])
        guard plan.promote != nil else { return complete(at: now) }
        runAction(.promote, lasting: plan.promote, at: now) { .promoting($0) }
    }

    mutating func verify(at now: Instant) {
        state = .verifying(isUnseen: false)
        deadlines.arm(.verification, due: now + plan.timing.lossFor)
    }

    /// The new version serves everyone; the canary's own weight is no longer needed.
    mutating func complete(at now: Instant) {
        state = .completing
        deadlines.disarm(.verification)
        deadlines.arm(.zero, due: now + plan.timing.haltDeadline)
        deadlines.arm(.rollback, due: now + plan.timing.rollbackDeadline)
        ask(.zero, at: now)
    }

    mutating func actionDone(_ intent: IntentID, at now: Instant) {
        guard openAction?.intent == intent else { return }
        deadlines.disarm(.action)
        if endsOnTheWayBack(isDone: true, at: now) { return }
        switch state {
        case .deploying: enter(0, at: now)
        case .promoting: verify(at: now)
        case .reverting(let retreat, _): codeIsBack(retreat, at: now)
        case .migrating(let stage): migrated(stage, at: now)
        case .mending(let retreat, let stage): mended(retreat, stage, at: now)
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .readingHistory, .gate, .raising, .warmingUp, .baking,
            .watching,
            .held, .verifying, .completing, .lowering, .confirming, .stranded, .finished:
            break
        }
    }

    mutating func actionFailed(_ intent: IntentID, at now: Instant) {
        guard let action = openAction, action.intent == intent else { return }
        deadlines.disarm(.action)
        if endsOnTheWayBack(at: now) || rests(after: action, at: now) { return }
        guard let retreat else { return rollBack(.actionFailed(action.kind), at: now) }
        strand(retreat, at: now)
    }

    /// What cannot be read is unknown: hold at 0 and call a person.
    mutating func actionUnknown(_ intent: IntentID, at now: Instant) {
        guard let action = openAction, action.intent == intent else { return }
        deadlines.disarm(.action)
        if endsOnTheWayBack(at: now) || rests(after: action, at: now) { return }
        if let retreat { return strand(retreat, at: now) }
        // What became of the schema is read on the way back, which begins with that.
        if case .migrating = state { return rollBack(.actionUnknown(action.kind), at: now) }
        hold(.actionUnknown(action.kind), at: action.kind == .deploy ? .deployed : .promoted, now: now)
        ask(.zero, at: now)
    }

    /// Takes note that the action under way when everything began to be taken back has ended, however it did. True when it was that.
    private mutating func endsOnTheWayBack(isDone: Bool = false, at now: Instant) -> Bool {
        guard case .lowering(var retreat) = state else { return false }
        noteFence(retreat.running, isDone: isDone)
        retreat.running = nil
        state = .lowering(retreat)
        // It may have touched the balancer as well, so only a read-back from after it proves 0.
        ask(.zero, at: now)
        return true
    }

    mutating func strand(_ retreat: Retreat, at now: Instant) {
        state = .stranded(retreat)
        deadlines.arm(.reminder, due: now + .hours(1))
    }
}
