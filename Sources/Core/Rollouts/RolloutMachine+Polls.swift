internal import SerinModel
internal import SerinPolicies

// What one poll leads to, in the order of severity: vetoes, verdict, weight, share, losses, then the state's own progress.
extension RolloutMachine {
    mutating func polled(_ findings: PollFindings, at now: Instant) {
        observed = findings.readBack.weight
        if findings.share == .fits, wanted > .zero { hasShareFit = true }
        allowsPromotion = allowsPromotion(findings) && retreat == nil
        switch state {
        case .created, .preflight, .zeroing, .finished: return
        case .lowering, .reverting, .mending, .confirming, .stranded: return keepAtZero(findings, at: now)
        case .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp, .baking,
            .watching, .held,
            .promoting,
            .verifying, .completing:
            break
        }
        // First whatever leads back: nothing above 0 may be asked for at such a poll.
        if let veto = veto(findings) { return rollBack(veto, at: now) }
        if !isPromotionStarted {
            guard !isShareTooHigh(findings) else { return rollBack(.share, at: now) }
            guard noteLoss(findings, at: now) else { return }
        }
        correct(findings.readBack, at: now)
        // A broken promise may have been found on the way.
        guard retreat == nil else { return }
        if isPromotionStarted { promotionPolled(findings, at: now) } else { progress(findings, at: now) }
    }

    /// Whether a poll allows a promotion. A weight that nobody's requests have shown is none: the balancer may be asked for a share
    /// that its routing does not read.
    func allowsPromotion(_ findings: PollFindings) -> Bool { findings.allowsPromotion && hasShareFit }

    /// Lowers what is too high, at once and in every state.
    private mutating func correct(_ readBack: ReadBack, at now: Instant) {
        switch readBack {
        case .weight(let found):
            if found > wanted, !isAwaitedRaise(found) { lower(from: found, at: now) }
        case .meaningless:
            // Neither cohort has a weight: whatever the balancer does now, 0 is the only share that is known to be right.
            let isAsked = request.map { $0.weight == .zero && $0.progress != .confirmed } ?? false
            if isAsked { askAgain() } else { ask(.zero, at: now) }
        case .unreadable: break
        }
    }

    private func veto(_ findings: PollFindings) -> Cause? {
        if findings.isAlertFiring { return .alert }
        if findings.isSecurityFlagged { return .security }
        if findings.isBeyondHardLimit { return .hardLimit }
        if findings.database == .beyond { return .database }
        return !isPromotionStarted && findings.verdict == .fail ? .verdict : nil
    }

    /// Whether a weight above the one wanted is the step whose gate is being passed again: a raise that was given up and applied.
    private func isAwaitedRaise(_ found: Weight) -> Bool {
        guard case .gate(let step) = state, let entered, step <= entered else { return false }
        return found == plan.steps[step].weight
    }

    private mutating func isShareTooHigh(_ findings: PollFindings) -> Bool {
        highShares = findings.share == .high ? highShares + 1 : 0
        return highShares >= 2
    }

    /// Keeps account of how long evidence or control is missing; false when the rollout is taken back for it.
    private mutating func noteLoss(_ findings: PollFindings, at now: Instant) -> Bool {
        guard let loss = findings.loss else {
            // A hold that ends by itself keeps its deadline until it does.
            if case .held(let held) = state, held.reason.endsByItself { return true }
            deadlines.disarm(.loss)
            return true
        }
        switch state {
        case .awaitingApproval(.start), .backingUp, .migrating, .readingHistory, .deploying:
            // The canary has no traffic yet: the first gate will wait, nothing else has to.
            return true
        case .created, .preflight, .zeroing, .awaitingApproval, .gate, .raising, .warmingUp, .baking, .watching, .held,
            .promoting,
            .verifying, .completing, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            break
        }
        if loss == .telemetry, plan.onTelemetryLoss == .rollback {
            rollBack(.telemetry, at: now)
            return false
        }
        lose(loss, at: now)
        return true
    }

    /// Evidence or control is missing from now on, when it was not already.
    mutating func lose(_ reason: HoldReason, at now: Instant) {
        guard deadlines.due(.loss) == nil else { return }
        loss = reason
        deadlines.arm(.loss, due: now + plan.timing.lossFor)
    }

    private mutating func progress(_ findings: PollFindings, at now: Instant) {
        switch state {
        case .created, .preflight, .zeroing, .backingUp, .migrating, .readingHistory, .deploying, .promoting, .verifying,
            .completing,
            .lowering,
            .reverting, .mending,
            .confirming, .stranded, .finished:
            break
        case .awaitingApproval(.start): break
        case .awaitingApproval(.step(let step)): _ = keep(step, findings, at: now)
        case .gate(let step):
            if keep(step, findings, at: now) { passGate(step, findings, at: now) }
        case .raising(let step): pollRaise(step, findings, at: now)
        case .warmingUp(let step): _ = keep(step, findings, at: now)
        case .baking(let step):
            if keep(step, findings, at: now) { bake(step, findings, at: now) }
        case .watching(let step, let isOver):
            guard keep(step, findings, at: now), isOver, findings.database == .within, findings.share != .high else { return }
            startPromotion(at: now)
        case .held(let held): pollHold(held, findings, at: now)
        }
    }

    /// Answers drift and holds on a loss; true when the weight is what is wanted and everything can be seen. Drift comes first: a
    /// hold that ends by itself, for the small share that a lowered weight brings, must not raise it again.
    private mutating func keep(_ step: Int, _ findings: PollFindings, at now: Instant) -> Bool {
        if let found = findings.readBack.weight, found < wanted { return drifted(to: found, at: step, now: now) }
        if let loss = findings.loss {
            // People are already being asked: nothing rises meanwhile, and the loss has its own deadline.
            if case .awaitingApproval = state { return false }
            hold(loss, at: .step(step), now: now)
            return false
        }
        return true
    }

    /// Someone else lowered the weight; true when the step's gate may be passed again at this very poll.
    mutating func drifted(to found: Weight, at step: Int, now: Instant) -> Bool {
        outbox.append(.note(.weightBelow(found: found, wanted: wanted)))
        accept(found)
        switch plan.onDrift {
        case .hold: hold(.drift, at: .step(step), now: now)
        case .rollback: rollBack(.drift, at: now)
        case .reapply:
            deadlines.disarm(.warmup)
            deadlines.disarm(.watch)
            deadlines.disarm(.verification)
            enter(step, at: now)
        }
        return false
    }

    /// A weight lower than the one wanted is frozen as it was found.
    mutating func accept(_ found: Weight) {
        wanted = found
        inForce = found
    }

    private mutating func pollRaise(_ step: Int, _ findings: PollFindings, at now: Instant) {
        if let loss = findings.loss { return hold(loss, at: .step(step), now: now) }
        guard request?.progress == .unconfirmed, let found = findings.readBack.weight else { return }
        if found == wanted {
            request?.progress = .confirmed
            inForce = found
            return raised(to: step, at: now)
        }
        // It did not take: back to the gate, which asks again if this poll allows it. The deadline of the raise goes on.
        wanted = inForce
        state = .gate(step: step)
        guard found >= wanted else { return _ = drifted(to: found, at: step, now: now) }
        passGate(step, findings, at: now)
    }

    private mutating func pollHold(_ held: Hold, _ findings: PollFindings, at now: Instant) {
        if let found = findings.readBack.weight, found < wanted {
            if held.reason.endsByItself, case .step(let step) = held.place {
                // Lowered by someone, or by the balancer's restart, while it could not be seen: drift as at any other poll.
                if findings.loss == nil { deadlines.disarm(.loss) }
                return _ = drifted(to: found, at: step, now: now)
            }
            accept(found)
        }
        guard held.reason.endsByItself, findings.loss == nil, request?.progress != .asked else { return }
        resume(held, at: now)
        guard case .gate(let step) = state else { return }
        passGate(step, findings, at: now)
    }

    /// From the promotion action on: control has the new version or is receiving it, so only vetoes count.
    private mutating func promotionPolled(_ findings: PollFindings, at now: Instant) {
        if let found = findings.readBack.weight, found < wanted { accept(found) }
        guard case .verifying = state else { return }
        guard findings.database == .within, !findings.isTelemetryLost else {
            state = .verifying(isUnseen: false)
            return
        }
        guard findings.isControlRenewed else {
            state = .verifying(isUnseen: true)
            return showControl(findings.readBack, at: now)
        }
        complete(at: now)
    }

    /// After the final step control has no traffic, and without traffic it may show no series: it gets back what it had at the last
    /// judged step.
    private mutating func showControl(_ readBack: ReadBack, at now: Instant) {
        guard plan.hasFinalStep, let judged = plan.steps.dropLast().last?.weight, let found = readBack.weight, found > judged,
            wanted > judged
        else { return }
        ask(judged, atMost: true, at: now)
    }

    /// On the way back every poll that does not show 0 leads to another request for it.
    private mutating func keepAtZero(_ findings: PollFindings, at now: Instant) {
        switch findings.readBack {
        case .weight(let found):
            if found > .zero, request?.progress == .confirmed { return lower(from: found, at: now) }
        case .meaningless:
            if request?.progress == .confirmed { return ask(.zero, at: now) }
        case .unreadable: break
        }
        askAgain()
    }
}
