public import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

// Where it stands, in words that need no knowledge of the machine.
extension Rollout {
    /// Where it stands at a moment.
    public func status(at now: Instant) -> RolloutStatus {
        RolloutStatus(
            id: charter.id, service: charter.policy.service, version: charter.version, previous: charter.previous,
            state: word, cause: causeNow, next: next(at: now), isFinal: machine.ending != nil,
            isRollbackIncomplete: isRollbackIncomplete, ending: machine.ending ?? machine.retreat?.ending,
            step: machine.entered.map { $0 + 1 } ?? 0, steps: machine.plan.steps.count, wantedWeight: machine.wanted,
            observedWeight: machine.observed, baked: bake.total, bake: charter.policy.timing.bake,
            signals: assessment?.signals ?? [], awaitedApproval: awaitedApproval, startedAt: createdAt, since: since,
            isSecurityHalt: isSecurityHalt, restorePoint: restorePoint,
            isWatched: findings.map { !$0.isTelemetryLost && $0.readBack.weight != nil } ?? true, approvalPlan: awaitedPlan,
            approvalLines: approvalLines ?? [], wayBack: rollbackPlan?.lines ?? [], fence: machine.fence,
            isCodeBack: machine.retreat?.isCodeBack ?? false,
            isPromotionBegun: isPromotionBegun,
            isRestoring: isRestoring, unconfirmedZero: unconfirmedZero, intervals: intervals)
    }

    private var isPromotionBegun: Bool {
        machine.isPromotionStarted && machine.plan.promote != nil && machine.ending == nil && machine.retreat?.isCodeBack != true
    }

    private var isRestoring: Bool {
        if case .mending(_, .restoring) = machine.state { true } else { false }
    }

    /// The cause, and before it what is read while that is being lowered: what was read when the state began is over.
    private var causeNow: String {
        guard let lowering else { return isTakenBack ? causeOfRetreat : cause }
        if case .held = machine.state { return "\(lowering); \(cause)" }
        return lowering
    }

    /// Whether everything is back: a try of it that failed before is in the log.
    private var isTakenBack: Bool {
        switch machine.state {
        case .finished(.failed), .finished(.halted), .finished(.inconclusive):
            !machine.hasEndedUnread && !causeOfRetreat.isEmpty
        default: false
        }
    }

    /// What is read while a weight is being lowered before the way back, and what came of it; nil when none is.
    var lowering: String? {
        guard machine.deadlines.due(.lowering) != nil else { return nil }
        let shown = machine.observed.map { "the balancer shows \($0)" } ?? "the weight cannot be read"
        let tries = loweringTries.failed.map { " (\($0.words))" } ?? ""
        return "\(shown) where \(machine.wanted) is wanted: it is being lowered\(tries)"
    }

    /// What came of the tries for 0 while it is wanted and not confirmed, or ended without it.
    private var unconfirmedZero: UnconfirmedZero? {
        guard let request = machine.request, request.weight == .zero, request.progress != .confirmed else { return nil }
        return loweringTries.failed
    }

    private var isSecurityHalt: Bool { wasStoppedForSecurity || charter.requiredApprovals > 0 && machine.entered == nil }

    /// Past the deadline, or stopped with code that is not back.
    var isRollbackIncomplete: Bool {
        if case .stranded = machine.state { return true }
        return machine.retreat?.isOverdue ?? false
    }

    /// The end of a rollout that nothing spoke against, in a word. Without a promote action nobody has the new version yet.
    var success: String { machine.plan.promote == nil ? "passed" : "promoted" }

    private var previousVersion: String { charter.previous.isEmpty ? "the previous version" : charter.previous }

    private var word: String {
        switch machine.state {
        case .created, .preflight, .zeroing, .readingHistory: "preflight"
        case .awaitingApproval: "awaiting approval"
        case .backingUp: "backing up"
        case .migrating: "migrating"
        case .deploying: "deploying"
        case .gate, .raising: "raising"
        case .warmingUp, .baking: "baking"
        case .held: "held"
        case .watching, .promoting, .verifying, .completing: "promoting"
        case .lowering, .reverting, .mending, .confirming, .stranded:
            isRollbackIncomplete ? "rollback incomplete" : "rolling back"
        case .finished(.promoted): success
        case .finished(.refused): "refused"
        case .finished(.failed), .finished(.halted), .finished(.inconclusive): "rolled back"
        }
    }

    private var awaitedApproval: String? {
        let by = machine.plan.allowsAuthorApproval ? "anyone" : "anyone but \(charter.author)"
        let given =
            machine.approvers.isEmpty ? "" : " (given by \(machine.approvers.map(\.description).joined(separator: ", ")))"
        if case .mending(_, .awaitingApproval(let people)) = machine.state, let rollbackPlan, let awaitedPlan {
            return
                "plan \(awaitedPlan), \(rollbackPlan.way.words): \(people) different people, \(by)\(given)"
        }
        guard case .awaitingApproval(let awaited) = machine.state else { return nil }
        let plan = awaitedPlan.map { "plan \($0), " } ?? ""
        switch awaited {
        case .start:
            var what = charter.overrides.map { "\($0.key)=\($0.value) (\($0.reason))" }
            if need == .destructive { what.append("a migration that may destroy data") }
            if what.isEmpty { what = ["a new try"] }
            return "\(plan)\(what.joined(separator: ", ")): \(machine.approvalsNeeded) different people, \(by)\(given)"
        case .step(let step): return "\(plan)step \(machine.plan.steps[step].weight): \(by)"
        }
    }

    /// What happens next and when.
    func next(at now: Instant) -> String {
        let timing = machine.plan.timing
        switch machine.state {
        case .created: return "the preflight begins"
        case .preflight: return "preflight ends within \(left(.preflight, at: now))"
        case .zeroing: return "weight 0 is written and read back"
        case .awaitingApproval:
            let how = awaitedPlan.map { " by its plan (serin approve \(charter.id) --plan \($0))" } ?? ""
            return "goes on once approved\(how), rolled back in \(left(.approval, at: now))"
        case .readingHistory: return "the control's noise is measured"
        case .backingUp: return "goes on once a verified backup is there, refused in \(left(.backup, at: now))"
        case .migrating(let stage): return nextOfMigrating(stage, at: now)
        case .deploying: return "the first step follows the deploy action"
        case .gate(let step):
            let first = machine.isBelowStep(before: step) ? step - 1 : step
            return "the next poll lets \(weight(first)) be set when nothing speaks against it, for \(left(.raise, at: now))"
        case .raising(let step): return "\(weight(step)) has to be read back within \(left(.raise, at: now))"
        case .warmingUp: return "healthy time counts in \(left(.warmup, at: now))"
        case .baking(let step): return nextOfBaking(step)
        case .watching(_, let isOver):
            return isOver ? "\(success) at the next healthy poll" : "watched for \(left(.watch, at: now)), then \(success)"
        case .held(let held): return nextOfHold(held, at: now)
        case .promoting: return "the new version has to be seen healthy on control, then the canary's weight goes to 0"
        case .verifying:
            return
                "\(charter.version) has to be seen healthy on control within \(left(.verification, at: now)), else it is rolled back"
        case .completing: return "\(success) once weight 0 is read back"
        case .lowering: return nextOfLowering(at: now)
        case .reverting: return "the previous version \(charter.previous) is brought back, within \(left(.action, at: now))"
        case .mending(_, let stage): return nextOfMending(stage, at: now)
        case .confirming: return "weight 0 is read back once more"
        case .stranded(let retreat) where retreat.isCodeBack:
            return "\(fenceWords)a person has to see to the schema: "
                + "rollback looks at it again, resume says that it is as it should be"
        case .stranded: return "a person has to bring \(charter.previous) back: rollback tries again, resume says that it is done"
        case .finished(.promoted):
            return machine.plan.promote == nil
                ? "the weight is back to 0 and the control still runs \(previousVersion); now give \(charter.version) to everyone"
                : "nothing more to do, \(charter.version) serves everyone"
        case .finished(.refused): return "nothing was changed"
        case .finished where machine.hasEndedUnread:
            return "nothing more to do here: this rollout never raised the weight; look at the load balancer for what it is"
        case .finished(.failed), .finished(.halted), .finished(.inconclusive):
            return
                "nothing more to do, \(previousVersion) serves everyone\(timing.bake == .zero ? "" : ", the canary has no traffic")"
        }
    }

    private func nextOfBaking(_ step: Int) -> String {
        let isLast = step == machine.plan.judgedSteps - 1
        guard isLast else {
            if !bake.isDone(step: step) {
                return "\(Numbers.time(bake.remaining(step: step))) of healthy time more, then \(weight(step + 1))"
            }
            return "\(weight(step + 1)) once no signal lacks data"
        }
        let lacking = lackingForPromotion
        return lacking.isEmpty
            ? "\(success) at the next poll" : "\(success) when nothing lacks: " + lacking.joined(separator: "; ")
    }

    private func nextOfHold(_ held: RolloutMachine.Hold, at now: Instant) -> String {
        let loss = machine.deadlines.due(.loss)
        if held.reason.endsByItself {
            return "goes on when that is over" + (loss == nil ? "" : ", rolled back in \(left(.loss, at: now))")
        }
        // The end that comes first is the one to know of.
        let isLossFirst = loss.map { loss in machine.deadlines.due(.hold).map { loss < $0 } ?? true } ?? false
        let end =
            isLossFirst
            ? "by itself in \(left(.loss, at: now)) unless what is amiss ends before"
            : "by itself in \(left(.hold, at: now))"
        switch held.reason {
        case .actionUnknown(let kind):
            return
                "resume says that the \(kind.words) succeeded, rollback takes everything back, \(end)"
        case .command, .inconclusive, .drift, .telemetry, .share, .unreadable:
            return "resume goes on, rollback takes everything back, \(end)"
        }
    }

    private func nextOfLowering(at now: Instant) -> String {
        if machine.request?.progress == .confirmed, machine.mayStillRise {
            return "weight 0 is in force; an unanswered raise is waited out for \(left(.flight, at: now))"
        }
        if machine.request?.progress == .confirmed, machine.openBackup != nil {
            return "weight 0 is in force; the backup under way is ended, at most \(left(.backup, at: now))"
        }
        if machine.request?.progress == .confirmed, let running = machine.openAction {
            return "weight 0 is in force; the \(running.kind.words) is waited for, at most \(left(.action, at: now))"
        }
        return "weight 0 is asked for until it is read back" + (unconfirmedZero.map { ": \($0.words)" } ?? "")
    }

    private func weight(_ step: Int) -> Weight { machine.plan.steps[step].weight }

    func left(_ kind: DeadlineKind, at now: Instant) -> String {
        guard let due = machine.deadlines.due(kind) else { return "no time" }
        return Numbers.time(max(.zero, due - now))
    }
}

extension RolloutMachine.State {
    /// The state in a word or two, for the log.
    var word: String {
        switch self {
        case .created: "created"
        case .preflight: "preflight"
        case .zeroing: "writing 0"
        case .awaitingApproval: "awaiting approval"
        case .backingUp: "backing up"
        case .migrating(let stage): stage.word
        case .readingHistory: "reading the past"
        case .deploying: "deploying"
        case .gate(let step): "gate of step \(step + 1)"
        case .raising(let step): "raising to step \(step + 1)"
        case .warmingUp(let step): "warming up step \(step + 1)"
        case .baking(let step): "baking step \(step + 1)"
        case .watching: "watching"
        case .held: "held"
        case .promoting: "promoting"
        case .verifying: "verifying"
        case .completing: "completing"
        case .lowering: "rolling back"
        case .reverting: "bringing back the previous version"
        case .mending(_, let stage): stage.word
        case .confirming: "confirming 0"
        case .stranded: "rollback incomplete"
        case .finished(let ending):
            ending == .promoted ? "promoted" : ending == .refused ? "refused" : "rolled back (\(ending.rawValue))"
        }
    }

    /// Whether people are told on entering, and if so whether one has to act.
    var notice: Bool? {
        switch self {
        case .created, .preflight, .zeroing, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp,
            .baking,
            .verifying,
            .completing,
            .reverting, .mending, .confirming:
            nil
        case .watching, .promoting, .lowering, .finished: false
        case .awaitingApproval, .stranded: true
        case .held(let held): held.reason != .command
        }
    }
}

extension DeadlineKind {
    /// What took too long, for people.
    var words: String {
        switch self {
        case .preflight: "the preflight"
        case .history: "reading the control's past"
        case .approval: "the approval"
        case .action: "an action"
        case .backup: "the backup"
        case .raise: "setting the step's weight"
        case .flight: "a request"
        case .warmup: "the warm-up"
        case .maxBake: "the bake"
        case .hold: "the hold"
        case .loss: "the loss"
        case .watch: "the watch"
        case .verification: "seeing the new version healthy"
        case .zero, .reask: "confirming weight 0"
        case .rollback: "the rollback"
        case .reminder: "a person"
        case .agreement: "what people agreed to"
        case .lowering: "lowering the weight"
        case .unfence: "letting writes in again"
        }
    }
}
