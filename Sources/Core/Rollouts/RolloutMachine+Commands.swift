public import SerinModel
internal import SerinPolicies

// What people may ask, and what a new controller finds.
extension RolloutMachine {
    /// Why a command is not accepted now; nil when it is.
    public func refusal(of verb: Command.Verb, by person: Principal) -> Refusal? {
        if case .finished(let ending) = state {
            return Refusal("the rollout is over (\(ending.rawValue))", hint: "start a new one")
        }
        switch verb {
        case .halt, .haltForSecurity: return nil
        case .rollback:
            if isAskingForRestore {
                return Refusal(
                    "everything is being taken back, and people decide about the data",
                    hint: "approve restores it, resume keeps the schema as it is and lets writes in")
            }
            return retreat == nil || isStranded ? nil : Refusal("everything is being taken back already")
        case .hold: return refusalOfHold
        case .resume: return refusalOfResume
        case .promote: return refusalOfPromote
        case .approve: return refusalOfApproval(by: person)
        }
    }

    private var isStranded: Bool {
        if case .stranded = state { return true }
        return false
    }

    private var refusalOfHold: Refusal? {
        if case .held(let held) = state, held.reason == .command { return Refusal("the rollout is held already") }
        if retreat != nil { return Refusal("everything is being taken back; there is nothing to hold") }
        if isPromotionStarted {
            return Refusal("the promotion is under way and cannot be frozen", hint: "halt takes everything back")
        }
        return isHoldAsked ? Refusal("a hold is already asked for; it begins before the first step") : nil
    }

    private var refusalOfResume: Refusal? {
        if isStranded || isHoldAsked || isAskingForRestore { return nil }
        guard case .held(let held) = state else { return Refusal("the rollout is not held, so there is nothing to resume") }
        if held.reason.endsByItself { return Refusal("the hold ends by itself when its reason is gone") }
        return nil
    }

    private var refusalOfPromote: Refusal? {
        switch state {
        case .baking, .warmingUp: break
        case .held(let held):
            guard held.reason == .command || held.reason == .inconclusive else {
                return Refusal("the rollout is held and cannot be promoted from there", hint: "resume or roll back")
            }
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising:
            return Refusal("no step is in force yet, so nothing has been judged")
        case .watching, .promoting, .verifying, .completing: return Refusal("it is being promoted already")
        case .lowering, .reverting, .mending, .confirming, .stranded, .finished: return Refusal("everything is being taken back")
        }
        return allowsPromotion ? nil : Refusal("not every judged signal passes with the whole bake done")
    }

    /// Whether people are asked for their agreement to a restore, with writes fenced.
    var isAskingForRestore: Bool {
        if case .mending(_, .awaitingApproval) = state { return true }
        return false
    }

    /// Whether people are asked for their agreement.
    private var isAskingPeople: Bool {
        if case .awaitingApproval = state { return true }
        return isAskingForRestore
    }

    private func refusalOfApproval(by person: Principal) -> Refusal? {
        guard isAskingPeople else { return Refusal("nothing waits for approval") }
        guard plan.allowsAuthorApproval || person != plan.author else {
            return Refusal("\(person) started this rollout and cannot approve it", hint: "ask another person to approve")
        }
        return approvers.contains(person) ? Refusal("\(person) has approved already; another person is needed") : nil
    }

    mutating func commanded(_ verb: Command.Verb, by person: Principal, at now: Instant) {
        guard refusal(of: verb, by: person) == nil else { return }
        switch verb {
        case .halt, .haltForSecurity:
            if retreat != nil { outbox.append(.note(.haltedAgain(verb))) }
            rollBack(.command(verb), at: now)
        case .rollback:
            guard case .stranded(let retreat) = state else { return rollBack(.command(.rollback), at: now) }
            guard retreat.isCodeBack else {
                return runAction(.rollback, lasting: plan.rollback, at: now) { .reverting(retreat, $0) }
            }
            mend(retreat, at: now)
        case .hold: holdAsked(at: now)
        case .resume: resumeAsked(at: now)
        case .promote: promotionAsked(at: now)
        case .approve: approved(by: person, at: now)
        }
    }

    private mutating func holdAsked(at now: Instant) {
        switch state {
        case .gate(let step), .raising(let step), .warmingUp(let step), .baking(let step), .watching(let step, _),
            .awaitingApproval(.step(let step)):
            hold(.command, at: .step(step), now: now)
        case .held(let held): hold(.command, at: held.place, now: now)
        case .created, .preflight, .zeroing, .awaitingApproval(.start), .backingUp, .migrating, .readingHistory, .deploying:
            isHoldAsked = true
        case .promoting, .verifying, .completing, .lowering, .reverting, .mending, .confirming, .stranded, .finished: break
        }
    }

    private mutating func resumeAsked(at now: Instant) {
        isHoldAsked = false
        switch state {
        case .held(let held): resume(held, at: now)
        case .stranded(let retreat):
            // A person says that the previous version is back or, when it was, that the schema and the data are as they should be.
            if retreat.isCodeBack { isSchemaTouched = false }
            codeIsBack(retreat, at: now)
        case .mending(let retreat, .awaitingApproval): keepSchema(retreat, at: now)
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising,
            .warmingUp, .baking,
            .watching, .promoting, .verifying, .completing, .lowering, .reverting, .mending, .confirming, .finished:
            break
        }
    }

    /// The next poll decides: what was true at the last one may be old.
    private mutating func promotionAsked(at now: Instant) {
        isPromotionAsked = true
        if case .held(let held) = state { resume(held, at: now) }
    }

    private mutating func approved(by person: Principal, at now: Instant) {
        approvers.append(person)
        approvers.sort()
        if let time = plan.timing.approvalFor, deadlines.due(.agreement) == nil { deadlines.arm(.agreement, due: now + time) }
        if case .mending(let retreat, .awaitingApproval(let people)) = state {
            guard approvers.count >= people else { return }
            endApproval()
            return restore(retreat, at: now)
        }
        guard case .awaitingApproval(let awaited) = state else { return }
        switch awaited {
        case .start:
            guard approvers.count >= approvalsNeeded else { return }
            endApproval()
            backUp(at: now)
        case .step(let step):
            approvedSteps.append(step)
            approvedSteps.sort()
            // Its time goes on until the step is begun.
            approvers = []
            deadlines.disarm(.approval)
            enter(step, at: now)
        }
    }

    /// Nobody is asked any more, and nobody's agreement is left.
    mutating func endApproval() {
        approvers = []
        deadlines.disarm(.approval)
        deadlines.disarm(.agreement)
    }

    /// What people agreed to was not begun in time: they are asked again.
    mutating func agreementOver(at now: Instant) {
        approvers = []
        approvedSteps.removeAll { $0 > entered ?? -1 }
        outbox.append(.note(.agreementOver))
        guard case .gate(let step) = state, plan.steps[step].needsApproval, !approvedSteps.contains(step) else { return }
        enter(step, at: now)
    }
}
