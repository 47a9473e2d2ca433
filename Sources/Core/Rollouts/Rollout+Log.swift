internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

// What is written down, and whom it is told.
extension Rollout {
    mutating func changed(from old: RolloutMachine.State, at now: Instant, into effects: inout [Effect]) {
        // A watch that is over, or a retreat that is late, is the same state with a mark; notes tell of those.
        if old.word == machine.state.word, old.holdReason == machine.state.holdReason { return }
        since = now
        cause = explanation
        if case .lowering = machine.state { causeOfRetreat = cause }
        // On the way back the first cause stays; what became of the schema is said where it happens.
        let words = machine.state.isMending && !reason.isEmpty ? reason : cause
        let new = machine.ending == .promoted ? success : machine.state.word
        let text = "\(old.word) → \(new)" + (words.isEmpty ? "" : ": \(words)") + "; \(next(at: now))"
        effects.append(.record(Decision(topic: "state", text: text, signals: deciding)))
        if let isCall = machine.state.notice { effects.append(.notify(Notice(isCall: isCall, text: headline + text))) }
    }

    /// The rollout in front of a notice.
    var headline: String { "\(charter.policy.service) \(charter.version): " }

    /// The signals that a change of state rests on.
    private var deciding: [SignalAssessment] {
        guard let retreat = machine.retreat, case .lowering = machine.state else { return [] }
        let signals = assessment?.signals ?? []
        switch retreat.cause {
        case .verdict: return signals.filter { $0.verdict == .fail && !$0.isReportOnly }
        case .hardLimit: return signals.filter { $0.isBeyondHardLimit && !$0.isReportOnly }
        case .security: return signals.filter { $0.isSecurity && $0.verdict == .fail }
        case .alert, .database, .share, .drift, .actionFailed, .actionUnknown, .unseenPromotion, .command, .inconclusive,
            .telemetry, .unreadable, .deadline, .doubt:
            return []
        }
    }

    /// Why the state is what it is now; what led back stays the reason until the end.
    private var explanation: String {
        switch machine.state {
        case .lowering(let retreat): words(for: retreat.cause)
        case .held(let held): words(for: held.reason)
        case .stranded: "\(cause); \(reason)"
        case .reverting, .mending, .confirming: cause
        case .finished(.refused): reason.isEmpty ? "weight 0 was not read back in time" : reason
        case .finished where machine.hasEndedUnread:
            "\(cause); weight 0 could not be read back (\(loweringTries.failed?.words ?? "no answer")), and this rollout never raised it"
        case .finished: cause
        case .watching, .promoting: "every judged signal passes and the bake is done"
        case .completing:
            machine.plan.promote == nil
                ? "every judged signal passes and the bake is done"
                : assessment?.newVersion == .seen
                    ? "the new version is seen healthy on control"
                    : "the promote action is done and nothing speaks against it (the series do not tell what control runs)"
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising,
            .warmingUp, .baking,
            .verifying:
            reason.isEmpty ? ownWords : reason
        }
    }

    /// Why the state is what it is where the event that led to it, a poll or a deadline, says nothing of its own.
    private var ownWords: String {
        switch machine.state {
        case .awaitingApproval(.step(let step)): "step \(machine.plan.steps[step].weight) needs approval"
        case .gate(let step): step == 0 ? "the first step comes next" : "step \(machine.plan.steps[step].weight) comes next"
        case .raising: "nothing speaks against it"
        case .warmingUp, .baking:
            "weight \(machine.inForce) is in force and nothing speaks against it"
        case .created, .preflight, .zeroing, .awaitingApproval(.start), .backingUp, .migrating, .readingHistory, .deploying,
            .verifying,
            .watching,
            .promoting, .completing, .held, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            ""
        }
    }

    func words(for cause: Cause) -> String {
        switch cause {
        case .verdict, .hardLimit, .security: return failingSignals(cause)
        case .alert: return "an alert that matches the policy fires" + clause(trouble.alerts)
        case .database: return "postgres: \(database.sentence)"
        case .share: return "the canary \(share.sentence)"
        case .drift: return "someone else lowered the weight"
        case .actionFailed(let kind): return reason.isEmpty ? "the \(kind.words) failed" : reason
        case .actionUnknown(.migrate): return reason.isEmpty ? "nobody knows how the migration ended" : reason
        case .actionUnknown(let kind): return "nobody settled how the \(kind.words) ended"
        case .unseenPromotion:
            return "the promote action was done, but \(charter.version) was not seen healthy on control within "
                + Numbers.time(machine.plan.timing.lossFor)
        case .command(let verb): return reason.isEmpty ? verb.rawValue : reason
        case .inconclusive: return "the longest bake (\(Numbers.time(machine.plan.maxBake))) is over without a verdict"
        case .telemetry: return "telemetry is lost" + lostSignals + clause(trouble.telemetry)
        case .unreadable: return "the weight cannot be read" + clause(trouble.weight)
        case .deadline(let kind): return "\(kind.words) took too long"
        case .doubt: return reason.isEmpty ? "the controller doubts itself" : "the controller doubts itself: \(reason)"
        }
    }

    func words(for reason: HoldReason) -> String {
        switch reason {
        case .command: return self.reason
        case .inconclusive: return words(for: Cause.inconclusive)
        case .drift: return words(for: Cause.drift)
        case .actionUnknown(let kind):
            return self.reason.isEmpty ? "nobody knows how the \(kind.words) ended" : self.reason
        case .telemetry: return words(for: Cause.telemetry)
        case .share: return words(for: Cause.share)
        case .unreadable: return words(for: Cause.unreadable)
        }
    }

    private func failingSignals(_ cause: Cause) -> String {
        let isDeciding: (SignalAssessment) -> Bool = { signal in
            switch cause {
            case .hardLimit: signal.isBeyondHardLimit
            case .security: signal.isSecurity && signal.verdict == .fail
            case .verdict, .alert, .database, .share, .drift, .actionFailed, .actionUnknown, .unseenPromotion, .command,
                .inconclusive, .telemetry, .unreadable, .deadline, .doubt:
                signal.verdict == .fail
            }
        }
        let signals = (assessment?.signals ?? []).filter { !$0.isReportOnly && isDeciding($0) }
        if signals.isEmpty { return "the signals together fail" + (assessment?.failing.map { ", most of all \($0)" } ?? "") }
        return signals.map { signal in
            "\(signal.name) \(VerdictSentence(weight: machine.inForce, signal: signal, source: source(of: signal), next: "").clause)"
        }.joined(separator: "; ")
    }

    private func clause(_ words: String) -> String { words.isEmpty ? "" : ": " + words }

    private var lostSignals: String {
        let lost = (assessment?.signals ?? []).filter { !$0.isReportOnly && $0.absence != nil }
        let words = lost.compactMap { signal in
            signal.absence.map { "\(signal.name): \($0.words)\(signal.absentCohort.map { " for \($0.rawValue)" } ?? "")" }
        }
        return words.isEmpty ? "" : " (" + words.joined(separator: ", ") + ")"
    }

    func source(of signal: SignalAssessment) -> SignalPolicy.Source? {
        charter.policy.signals.first { $0.name == signal.name }?.source
    }

    /// What follows from the verdicts of this poll.
    var consequence: String {
        switch machine.state {
        case .lowering, .reverting, .mending, .confirming, .stranded: "rollback"
        case .held: "held"
        case .gate(let step), .raising(let step): "step \(machine.plan.steps[step].weight)"
        case .promoting, .verifying, .completing, .watching: "promotion"
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .warmingUp,
            .baking,
            .finished:
            "step goes on"
        }
    }

    /// What follows from a lowering that was Serin's own.
    private var consequenceOfLowering: String {
        switch machine.state {
        case .gate: "the step is entered again through every gate"
        case .awaitingApproval, .held: "\(machine.state.word) as before, then the step is entered again through every gate"
        case .created, .preflight, .zeroing, .backingUp, .migrating, .readingHistory, .deploying, .raising, .warmingUp, .baking,
            .promoting, .verifying, .completing, .watching, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            "\(machine.state.word) as before"
        }
    }

    mutating func write(_ note: Note, into effects: inout [Effect]) {
        let topic: String
        let text: String
        var isCall: Bool?
        switch note {
        case .weightAbove(let found, let wanted):
            (topic, text, isCall) = (
                "drift", "the balancer shows \(found) where \(wanted) is wanted: someone else raised it → is being lowered", false
            )
        case .raiseAppliedLate(let found):
            (topic, text) = ("weight", "a raise to \(found) that was taken back has applied late → is being lowered")
        case .weightBelow(let found, let wanted):
            (topic, text, isCall) = (
                "drift",
                "the balancer shows \(found) where \(wanted) is wanted: someone else lowered it → on_drift: \(machine.plan.onDrift.rawValue)",
                false
            )
        case .watchdogLowered(let found):
            (topic, text, isCall) = (
                "weight",
                "no controller was in charge, so the watchdog had lowered the weight to \(found) → \(consequenceOfLowering)",
                false
            )
        case .zeroOverdue:
            (topic, text, isCall) = (
                "weight",
                "weight 0 is not confirmed after \(Numbers.time(machine.plan.timing.haltDeadline))"
                    + (loweringTries.failed.map { " (\($0.words))" } ?? "") + " → asked for again until it is",
                true
            )
        case .loweringOverdue:
            (topic, text, isCall) = (
                "weight", "\(lowering ?? "the weight is being lowered") and is not confirmed → asked for again until it is", true
            )
        case .rollbackOverdue:
            (topic, text, isCall) = (
                "state",
                "the way back takes longer than \(Numbers.time(machine.plan.timing.rollbackDeadline)) → goes on; a person has to look",
                true
            )
        case .fenceStuck:
            (topic, text, isCall) = (
                "schema", "\(fenceWords)they cannot be let in (\(reason)) → asked for again until they are", true
            )
        case .reminded: (topic, text, isCall) = ("state", "still waiting for a person: \(cause)", true)
        case .haltedAgain(let verb):
            (topic, text) = (
                "command",
                "\(verb.rawValue) while everything is taken back already → "
                    + (machine.isAskingForRestore ? "\(fenceWords)people decide about the data" : "goes on")
            )
        case .brokenPromise(let words):
            reason = words
            (topic, text, isCall) = ("doubt", "broken promise: \(words) → weight 0", true)
        case .agreementOver:
            (topic, text) = (
                "command",
                "what was agreed to \(Numbers.time(machine.plan.timing.approvalFor ?? .zero)) ago was not begun and no longer counts → "
                    + "people are asked again"
            )
        case .promotionWithdrawn:
            (topic, text) = (
                "verdict",
                "the evidence no longer allows the promotion: \(lackingForPromotion.joined(separator: "; ")) → step goes on"
            )
        }
        effects.append(.record(Decision(topic: topic, text: text)))
        if let isCall { effects.append(.notify(Notice(isCall: isCall, text: headline + text))) }
    }
}

extension RolloutMachine.State {
    fileprivate var isMending: Bool {
        if case .mending = self { return true }
        return false
    }

    /// Why it is held; nil when it is not.
    fileprivate var holdReason: HoldReason? {
        if case .held(let held) = self { return held.reason }
        return nil
    }
}
