import SerinModel
import SerinPolicies
import SerinRollouts

/// A promise that did not hold.
struct Violation: Error {
    var promise: String
    var words: String
}

// Checking one transition. Each check is named after its promise; the world's own memory is brought up to date on the way.
extension World {
    mutating func check(from before: World, _ move: Move, _ effects: [MachineEffect]) throws(Violation) {
        remember(before, move)
        rememberRead(before, move)
        try checkIntents(before, effects)
        for effect in effects {
            switch effect {
            case .setWeight(_, let weight):
                if weight > .zero { try checkRaise(weight, before, move) }
            case .lowerWeight(_, let weight):
                if isLoweringRead(weight, before, move) {
                    try checkRaise(weight, before, move)
                } else {
                    throw Violation(promise: "S1", words: "a lowering to \(weight) where no more was read")
                }
            case .runAction(_, let kind): try checkAction(kind, before, move)
            case .takeBackup:
                isBackupRunning = true
                if need == .destructive, !schema.isFenced {
                    throw Violation(promise: "S6", words: "backed up while writes go on that nothing would bring back")
                }
            case .inspectSchema: try checkInspection()
            case .preflight, .readHistory, .endBackup, .endMigration, .note: break
            }
        }
        try checkLowering(before, move, effects)
        try checkPromotion(before, move)
        try checkEnd(before, move)
        try checkProgress()
    }

    /// What the promises need to know of the past.
    private mutating func remember(_ before: World, _ move: Move) {
        switch move {
        case .polled(let poll, let read):
            let found = before.findings(poll, read)
            if found.share == .fits, before.machine.wanted > .zero { hasShareFit = true }
            if found.isStepDone && found.verdict != .nodata && found.database == .within || found.allowsPromotion {
                isStepProven = true
            }
            switch poll {
            case .fail: if !before.machine.isPromotionStarted { mayNotRise = isLive(before) }
            case .hardLimit, .security, .alert, .databaseBeyond: mayNotRise = mayNotRise || isLive(before)
            case .databaseUnsure, .telemetryLost, .shareLow, .shareHigh, .nodata, .inconclusive, .stepDone, .passWithoutBake,
                .pass, .passUnseen, .passUncounted:
                break
            }
        case .commanded(.halt, _), .commanded(.rollback, _), .doubted: mayNotRise = true
        case .commanded(.approve, let person) where before.machine.retreat != nil:
            guard person != author, case .mending(_, .awaitingApproval) = before.machine.state else { break }
            if !schema.approvers.contains(person) { schema.approvers = (schema.approvers + [person]).sorted() }
        case .commanded(.resume, _):
            // A person says that everything, the schema too, is as it should be.
            if case .stranded(let retreat) = before.machine.state, retreat.isCodeBack { schema.isChanged = false }
            if case .mending(_, .awaitingApproval) = before.machine.state { schema.isChanged = false }
        case .commanded(.approve, let person):
            guard person != author || machine.plan.allowsAuthorApproval,
                case .awaitingApproval(let awaited) = before.machine.state
            else { break }
            switch awaited {
            case .step(let step): if !approved.contains(step) { approved = (approved + [step]).sorted() }
            case .start: if !starters.contains(person) { starters = (starters + [person]).sorted() }
            }
        case .passed(.watch): isWatchOver = true
        // What was agreed to and not begun counts no longer.
        case .passed(.agreement):
            schema.approvers = []
            starters = []
            approved.removeAll { machine.plan.steps[$0].weight > granted }
        // Past its deadline an action has been ended.
        case .passed(.action):
            isActionRunning = false
            ended(before.machine.openAction?.kind)
        case .acted(let outcome):
            isActionRunning = false
            ended(before.machine.openAction?.kind)
            if let kind = before.machine.openAction?.kind, outcome == .done { remember(done: kind) }
        case .inspected(let way): remember(way)
        case .backedUp(let result):
            isBackupRunning = false
            isBackedUp = isBackedUp || result == .verified
        case .passed(.backup): isBackupRunning = false
        case .crashed(_, _, let found):
            if before.machine.openBackup != nil, found == .done { isBackedUp = true }
            isWatchOver = false
            guard found != nil || before.machine.openAction == nil && before.machine.openBackup == nil else { break }
            isBackupRunning = false
            isActionRunning = false
            schema.isMoving = false
            if let kind = before.machine.openAction?.kind, found == .done { remember(done: kind) }
        case .started, .preflight, .preflightLate, .historyRead, .answered, .appliedLate, .passed, .ticked, .commanded,
            .stranger:
            break
        }
        if case .watching(_, false) = machine.state { isWatchOver = false }
        if machine.retreat != nil { mayNotRise = true }
    }

    /// What was read of the weight, kept apart from what the machine makes of it.
    private mutating func rememberRead(_ before: World, _ move: Move) {
        let found: ReadBack
        switch move {
        case .polled(_, let read): found = before.readBack(read)
        case .crashed(let read, _, _): found = readBack(read)
        case .answered(_, .confirmed), .answered(_, .refused):
            // What is in force after the answer is what was read with it.
            found = .weight(balancer)
        case .preflightLate(let read):
            // Its 0 may be older than what was read since.
            if ![.unreadable, .weight(.zero)].contains(before.readBack(read)) { isReadAboveZero = true }
            return
        case .answered, .started, .preflight, .historyRead, .appliedLate, .passed, .ticked, .commanded, .acted, .backedUp,
            .inspected, .stranger, .doubted:
            return
        }
        if found != .unreadable { isReadAboveZero = found != .weight(.zero) }
    }

    private func isLive(_ before: World) -> Bool {
        switch before.machine.state {
        case .created, .preflight, .zeroing, .finished: false
        case .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp, .baking,
            .watching, .held,
            .promoting,
            .verifying,
            .completing, .lowering, .reverting, .mending, .confirming, .stranded:
            true
        }
    }

    private func checkIntents(_ before: World, _ effects: [MachineEffect]) throws(Violation) {
        var last = before.machine.lastIntent
        for effect in effects {
            let intent: IntentID
            switch effect {
            case .setWeight(let number, _), .lowerWeight(let number, _):
                // Asking again under the same intent is for lowering alone.
                if isAskedAgain(effect, before) { continue }
                intent = number
            case .runAction(let number, _): intent = number
            case .takeBackup(let number):
                // Asking again for the same one makes no other.
                if number == before.machine.openBackup { continue }
                intent = number
            case .inspectSchema(let number): intent = number
            case .preflight, .readHistory, .endBackup, .endMigration, .note: continue
            }
            guard intent.number == last + 1 else { throw Violation(promise: "S3", words: "intent \(intent) after \(last)") }
            last = intent.number
        }
    }

    private func isAskedAgain(_ effect: MachineEffect, _ before: World) -> Bool {
        guard let request = before.machine.request else { return false }
        return effect == .setWeight(request.intent, .zero) || effect == .lowerWeight(request.intent, request.weight)
    }

    private mutating func checkRaise(_ weight: Weight, _ before: World, _ move: Move) throws(Violation) {
        hasRaised = true
        if mayNotRise { throw Violation(promise: "S2", words: "\(weight) asked for after a fail, halt or doubt") }
        try checkBackup("\(weight) asked for")
        if weight == .all {
            guard case .polled(let poll, let read) = move, before.findings(poll, read).allowsPromotion, hasShareFit else {
                throw Violation(promise: "S4", words: "the final step was entered without a pass")
            }
        }
        guard weight > granted else {
            // Within what was granted: lowering what was read, or entering a step again at a poll that allows it.
            guard isLoweringRead(weight, before, move) || isAllowedPoll(before, move) else {
                throw Violation(promise: "S5", words: "\(weight) asked for without a poll that allows it")
            }
            return
        }
        guard isAllowedPoll(before, move) else {
            throw Violation(promise: "S1", words: "raise to \(weight) without a poll that allows it")
        }
        let plan = machine.plan
        guard let step = plan.steps.firstIndex(where: { $0.weight == weight }) else {
            throw Violation(promise: "S1", words: "\(weight) is no step")
        }
        if plan.steps[step].needsApproval, !approved.contains(step) {
            throw Violation(promise: "S1", words: "step \(weight) was entered without approval")
        }
        if step > 0, before.machine.wanted < plan.steps[step - 1].weight {
            throw Violation(promise: "S1", words: "step \(weight) was entered from below the one before it")
        }
        if starters.count < plan.approvalsToStart { throw Violation(promise: "S10", words: "raised without the people needed") }
        if !plan.isFinalStep(step), step > 0 {
            guard plan.steps[step - 1].weight == granted, isStepProven else {
                throw Violation(promise: "S1", words: "step \(weight) was entered before the one before it was done")
            }
        }
        granted = weight
        isStepProven = false
        hasShareFit = false
    }

    private func isLoweringRead(_ weight: Weight, _ before: World, _ move: Move) -> Bool {
        switch move {
        case .polled(_, let read): before.readBack(read).weight.map { $0 > weight } ?? false
        case .crashed(let read, _, _): readBack(read).weight.map { $0 > weight } ?? false
        case .answered(let index, .confirmed): before.calls[index].weight > weight
        case .started, .preflight, .preflightLate, .historyRead, .answered, .appliedLate, .passed, .ticked, .commanded, .acted,
            .backedUp, .inspected, .stranger, .doubted:
            false
        }
    }

    private func isAllowedPoll(_ before: World, _ move: Move) -> Bool {
        guard case .polled(let poll, let read) = move, before.readBack(read).weight != nil else { return false }
        switch poll {
        case .fail, .hardLimit, .security, .alert, .databaseBeyond, .databaseUnsure, .telemetryLost, .shareLow, .shareHigh:
            return false
        case .nodata, .inconclusive, .stepDone, .passWithoutBake, .pass, .passUnseen, .passUncounted: return true
        }
    }

    private func checkBackup(_ deed: String) throws(Violation) {
        let plan = machine.plan
        guard plan.backup == nil || plan.isBackupForMigrations && need == nil || isBackedUp else {
            throw Violation(promise: "S13", words: "\(deed) without a verified backup")
        }
    }

    private mutating func checkAction(_ kind: ActionKind, _ before: World, _ move: Move) throws(Violation) {
        try checkSchema(kind)
        isActionRunning = true
        switch kind {
        case .migrate, .downgrade, .fence, .unfence, .restore: break
        case .deploy:
            try checkBackup("deployed")
            deploys += 1
            if deploys > 1 { throw Violation(promise: "S3", words: "deployed twice") }
            if starters.count < machine.plan.approvalsToStart {
                throw Violation(promise: "S10", words: "deployed without the people needed")
            }
        case .promote:
            promotes += 1
            if promotes > 1 { throw Violation(promise: "S3", words: "promoted twice") }
        case .rollback:
            if case .commanded(.rollback, _) = move { return }
            // Cut off, known not to be done, and nothing of it left.
            if case .crashed(_, _, .failed) = move { return }
            if hasReverted { throw Violation(promise: "S3", words: "the rollback action was run again without a person") }
            hasReverted = true
            if balancer > .zero, before.faults.strangers == faults.strangers, before.faults.strangers == strangersAtFirst {
                throw Violation(promise: "S2", words: "code is taken back while the canary has \(balancer)")
            }
        }
    }

    private func checkLowering(_ before: World, _ move: Move, _ effects: [MachineEffect]) throws(Violation) {
        let isZeroUnderWay = calls.contains { $0.weight == .zero && $0.intent == machine.request?.intent }
        let isZeroRead = machine.request.map { $0.weight == .zero && $0.progress == .confirmed } ?? false
        if case .finished = before.machine.state { return }
        switch move {
        case .commanded(.halt, _), .commanded(.haltForSecurity, _):
            guard machine.retreat != nil, isZeroUnderWay || isZeroRead else {
                throw Violation(promise: "S7", words: "a halt did not lead to weight 0 at once")
            }
        case .doubted:
            guard machine.retreat != nil, isZeroUnderWay || isZeroRead else {
                throw Violation(promise: "S15", words: "a doubt did not lead to weight 0 at once")
            }
        case .polled(let poll, let read):
            try checkHold(before)
            if mayNotRise, machine.retreat != nil, before.readBack(read) != .weight(.zero), read != .unreadable, !isZeroUnderWay {
                throw Violation(promise: "S2", words: "a poll shows a weight after a fail or halt, and nothing lowers it")
            }
            if read == .meaningless, isLive(before), !isZeroUnderWay {
                throw Violation(promise: "S16", words: "neither cohort has a weight, and nothing is asked for")
            }
            try checkCall(before, before.readBack(read))
            let isVeto =
                [.hardLimit, .security, .alert, .databaseBeyond].contains(poll)
                || poll == .fail && !before.machine.isPromotionStarted
            if isVeto, isLive(before), machine.retreat == nil {
                throw Violation(promise: "L2", words: "\(poll.rawValue) does not lead back")
            }
        case .ticked:
            if machine.retreat != nil, !isZeroUnderWay, !isZeroRead {
                throw Violation(promise: "L1", words: "weight 0 is neither read nor asked for again")
            }
        case .crashed:
            if machine.retreat != nil, !isStranded, !isZeroUnderWay {
                throw Violation(promise: "L4", words: "after a restart nobody asks for weight 0")
            }
        case .started, .preflight, .preflightLate, .historyRead, .answered, .appliedLate, .passed, .commanded, .acted, .backedUp,
            .inspected, .stranger:
            break
        }
    }

    /// A weight above the wanted one is lowered until it is gone, with a deadline after which a person is called; the step whose gate
    /// is being passed again is not above it.
    private func checkCall(_ before: World, _ read: ReadBack) throws(Violation) {
        guard let found = read.weight, found > before.machine.wanted, found > machine.wanted, isLive(before),
            machine.retreat == nil, machine.ending == nil
        else { return }
        if case .gate(let step) = before.machine.state, found == machine.plan.steps[step].weight { return }
        guard machine.deadlines.due(.lowering) == nil else { return }
        throw Violation(
            promise: "L1", words: "\(found) is being lowered to \(machine.wanted), and nobody is called when it is not")
    }

    /// Only a person ends a hold that a person has to end, except by going back.
    private func checkHold(_ before: World) throws(Violation) {
        guard case .held(let held) = before.machine.state, !held.reason.endsByItself, machine.retreat == nil else { return }
        guard case .held = machine.state else { throw Violation(promise: "S10", words: "a hold ended without a person") }
    }

    private var isStranded: Bool {
        if case .stranded = machine.state { return true }
        return false
    }

    private mutating func checkPromotion(_ before: World, _ move: Move) throws(Violation) {
        if promotes > 0, machine.state == .completing, before.machine.state != .completing {
            guard case .polled(let poll, let read) = move, before.findings(poll, read).isControlRenewed, poll != .telemetryLost,
                poll != .databaseUnsure
            else { throw Violation(promise: "S4", words: "promoted without having seen the new version on control") }
        }
        guard machine.isPromotionStarted, !before.machine.isPromotionStarted else {
            if case .finished(.promoted) = machine.state, !isPromotionProven {
                throw Violation(promise: "S4", words: "promoted without proof")
            }
            return
        }
        guard case .polled(let poll, let read) = move else { throw Violation(promise: "S4", words: "promotion without a poll") }
        let found = before.findings(poll, read)
        if machine.plan.hasFinalStep {
            guard isAllowedPoll(before, move), isWatchOver, granted == .all, found.readBack == .weight(.all) else {
                throw Violation(promise: "S4", words: "promotion before the final step was watched")
            }
        } else {
            guard found.allowsPromotion, hasShareFit else { throw Violation(promise: "S4", words: "promotion without a pass") }
        }
        isPromotionProven = true
    }

    private func checkEnd(_ before: World, _ move: Move) throws(Violation) {
        guard case .finished(let ending) = machine.state else { return }
        if case .finished = before.machine.state {
            guard balancer <= before.balancer else {
                throw Violation(promise: "S2", words: "the weight rose to \(balancer) after the end")
            }
            return
        }
        if isBackupRunning { throw Violation(promise: "S3", words: "ended before the outcome of a backup was known") }
        if isActionRunning { throw Violation(promise: "S3", words: "ended before the outcome of an action was known") }
        if schema.isChanged, ending != .promoted {
            throw Violation(promise: "S13", words: "ended with a changed schema that nobody has seen to")
        }
        if schema.mayBeFenced { throw Violation(promise: "L2", words: "ended with writes fenced") }
        let mayRise = calls.contains { $0.weight > .zero } || late.contains { $0 > .zero }
        if mayRise { throw Violation(promise: "S2", words: "ended while a raise may still apply") }
        // A refusal writes nothing or finds that 0 cannot be written; anyone else's weight is theirs.
        if ending == .refused { return }
        if case .answered(let index, .confirmed) = move, before.calls[index].weight == .zero {
            if balancer > .zero { throw Violation(promise: "S2", words: "ended with the canary at \(balancer)") }
        } else {
            try checkUnreadEnd(ending, before)
        }
    }

    /// Without a fresh read-back of 0 only a rollout ends that is taken back, never asked for a weight above 0, and has nothing else to
    /// take back; not while it is known that someone else gave the canary a weight.
    private func checkUnreadEnd(_ ending: Ending, _ before: World) throws(Violation) {
        guard ending != .promoted, before.machine.retreat != nil, !hasRaised else {
            throw Violation(promise: "S2", words: "ended without a read-back of 0")
        }
        if deploys > 0 || schema.migrations > 0 {
            throw Violation(promise: "S2", words: "ended without a read-back of 0 after a deploy or a migration")
        }
        if machine.plan.rollback != nil, machine.isCodeTouched, machine.plan.onFailure == .rollback {
            throw Violation(promise: "S13", words: "ended before the code was brought back")
        }
        if isReadAboveZero {
            throw Violation(promise: "S2", words: "ended although no 0 was read since something else was")
        }
    }

    /// Something is always expected: an answer, a deadline or a person.
    private func checkProgress() throws(Violation) {
        if case .finished = machine.state { return }
        if case .created = machine.state { return }
        if machine.deadlines.armed.isEmpty { throw Violation(promise: "L3", words: "no deadline is running in \(machine.state)") }
        guard machine.mayStillRise || !(late.contains { $0 > .zero } || calls.contains { $0.weight > .zero }) else {
            throw Violation(promise: "L7", words: "a raise may still apply and the machine has forgotten it")
        }
        if machine.mayStillRise, machine.deadlines.due(.flight) == nil {
            throw Violation(promise: "L2", words: "a raise is waited for without a deadline")
        }
    }
}
