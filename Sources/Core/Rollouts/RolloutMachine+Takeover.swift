internal import SerinModel
internal import SerinPolicies

// A new controller goes on: what the former one had under way is settled by what was read, never by guessing.
extension RolloutMachine {
    mutating func takenOver(_ read: ReadBack, watchdogLowered: Bool, action: TakenAction?, at now: Instant) {
        observed = read.weight
        if watchdogLowered, let found = read.weight, found < wanted { outbox.append(.note(.watchdogLowered(found: found))) }
        allowsPromotion = false
        highShares = 0
        if mayStillRise {
            // Nobody is left who could tell how it ended.
            openRaise = nil
            hasUnsettledRaise = true
            deadlines.arm(.flight, due: now + plan.timing.raiseDeadline)
        }
        if request?.progress == .asked { request?.progress = .unconfirmed }
        // Before any raise it may end when this is over, so a new controller tries for as long as the former one could.
        if case .lowering = state, entered == nil { deadlines.arm(.zero, due: now + plan.timing.haltDeadline) }
        switch state {
        case .finished: break
        case .created: start(at: now)
        case .preflight:
            deadlines.arm(.preflight, due: now + plan.timing.preflightDeadline)
            outbox.append(.preflight)
        case .backingUp: settleBackup(action, at: now)
        case .lowering where action != nil && openBackup != nil: settleBackup(action, at: now)
        case .lowering: if action != nil, openAction != nil { settle(action, at: now) } else { ask(.zero, at: now) }
        case .zeroing, .completing, .confirming: ask(.zero, at: now)
        case .readingHistory: readHistory(at: now)
        case .awaitingApproval(.start): break
        case .verifying: verify(at: now)
        case .deploying, .promoting, .reverting: settle(action, at: now)
        case .migrating(let stage): settle(stage, action, at: now)
        case .mending(let retreat, let stage):
            ask(.zero, at: now)
            settle(retreat, stage, action, at: now)
        case .stranded: askAgain()
        case .awaitingApproval(.step(let step)): settle(read, watchdogLowered, at: .step(step), now: now)
        case .gate(let step), .raising(let step), .warmingUp(let step), .baking(let step), .watching(let step, _):
            settle(read, watchdogLowered, at: .step(step), now: now)
        case .held(let held): settle(read, watchdogLowered, at: held.place, now: now)
        }
    }

    mutating func settle(_ action: TakenAction?, at now: Instant) {
        guard let open = openAction else { return }
        if case .reverting(let retreat, _) = state {
            ask(.zero, at: now)
            // It was cut off and is known not to be done, and nothing of it is left: it is done again.
            if action == .failed { return runAction(.rollback, lasting: plan.rollback, at: now) { .reverting(retreat, $0) } }
        }
        switch action {
        case nil: beginsNow(open, at: now)
        case .done: actionDone(open.intent, at: now)
        case .failed: actionFailed(open.intent, at: now)
        case .unknown: actionUnknown(open.intent, at: now)
        }
    }

    /// What this controller itself has begun waited until the world was read, and its time begins with it.
    mutating func beginsNow(_ action: RunningAction, at now: Instant) {
        if case .lowering = state { return }
        let longest =
            switch action.kind {
            case .deploy: plan.deploy
            case .promote: plan.promote
            case .rollback: plan.rollback
            case .migrate, .downgrade: plan.migration
            case .fence, .unfence: plan.fence
            case .restore: plan.restore
            }
        if let longest { deadlines.arm(.action, due: now + longest) }
    }

    private mutating func settle(_ read: ReadBack, _ watchdogLowered: Bool, at place: Place, now: Instant) {
        guard let found = read.weight else {
            // What cannot be read is unknown: 0 until it can.
            if case .held(let held) = state, !held.reason.endsByItself {} else { hold(.unreadable, at: place, now: now) }
            lose(.unreadable, at: now)
            return ask(.zero, at: now)
        }
        switch state {
        case .raising(let step): settleRaise(of: step, found, watchdogLowered, now: now)
        case .warmingUp(let step), .baking(let step), .watching(let step, _):
            if found > wanted { return lower(from: found, at: now) }
            if found < wanted {
                if watchdogLowered { return enterAgain(step, from: found, now: now) }
                return _ = drifted(to: found, at: step, now: now)
            }
            // Nobody watched meanwhile, so what must be watched begins again.
            if case .baking = state { return }
            raised(to: step, at: now)
        case .gate, .awaitingApproval, .held:
            if found > wanted { return lower(from: found, at: now) }
            if found < wanted { accept(found) }
        case .created, .preflight, .zeroing, .backingUp, .migrating, .readingHistory, .deploying, .promoting, .verifying,
            .completing,
            .lowering,
            .reverting, .mending,
            .confirming, .stranded, .finished:
            break
        }
    }

    private mutating func settleRaise(of step: Int, _ found: Weight, _ watchdogLowered: Bool, now: Instant) {
        if found == wanted {
            request?.progress = .confirmed
            inForce = found
            return raised(to: step, at: now)
        }
        wanted = inForce
        state = .gate(step: step)
        if found > wanted { return lower(from: found, at: now) }
        guard found < wanted else { return }
        if watchdogLowered { return enterAgain(step, from: found, now: now) }
        _ = drifted(to: found, at: step, now: now)
    }

    /// Serin's own watchdog lowered the weight: no drift. The step is entered again through every gate.
    private mutating func enterAgain(_ step: Int, from found: Weight, now: Instant) {
        accept(found)
        deadlines.disarm(.warmup)
        deadlines.disarm(.watch)
        deadlines.disarm(.verification)
        enter(step, at: now)
    }
}
