internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

// What each event means to the machine.
extension Rollout {
    /// How long after a confirmed raise from 0 a canary may be without series.
    static let seriesGrace = Duration.minutes(2)

    mutating func preflightFinished(_ report: PreflightReport, at now: Instant, into effects: inout [Effect]) {
        guard machine.state == .preflight else { return preflightLate(report, at: now, into: &effects) }
        let problems = check(report)
        for warning in report.warnings { effects.append(.record(Decision(topic: "gate", text: "preflight warns: \(warning)"))) }
        for problem in problems { effects.append(.record(Decision(topic: "gate", text: "preflight refuses: \(problem)"))) }
        reason = problems.isEmpty ? "everything the rollout needs works" : problems.joined(separator: "; ")
        if problems.isEmpty { announceMigrations(report.backupKind, into: &effects) }
        apply(problems.isEmpty ? .preflightPassed(migrating: need) : .preflightRefused, at: now, into: &effects)
    }

    /// A preflight that was under way when the rollout was halted decides nothing any more; a weight that it read stays read.
    private mutating func preflightLate(_ report: PreflightReport, at now: Instant, into effects: inout [Effect]) {
        guard let reading = report.weight else { return }
        if reading.weight != .zero {
            let found = reading.weight.map { "\($0) (\(reading.raw))" } ?? "no weight (\(reading.raw))"
            let text = "the preflight that was under way read \(found) → 0 has to be read back"
            effects.append(.record(Decision(topic: "weight", text: text)))
        }
        apply(.preflightLate(reading.weight.map { .weight($0) } ?? .meaningless), at: now, into: &effects)
    }

    /// Everything that refuses a rollout about which a preflight found this; keeps what it is later compared with.
    public mutating func check(_ report: PreflightReport) -> [String] {
        var problems = report.problems
        let raw = report.weight?.raw ?? ""
        switch report.weight?.weight {
        case nil: problems.append("the weight could not be read\(raw.isEmpty ? "" : ": \(raw)")")
        case .some(let weight) where weight != .zero:
            problems.append("the canary's weight is \(weight) (\(raw)) before the rollout and must be 0%; nothing was written")
        case .some: break
        }
        problems += database.begin(report.database)
        problems += checkMigrations(report)
        if machine.plan.judgedSteps == 0 { problems.append("no step is below 100%, so nothing could be judged") }
        return problems
    }

    /// One poll with what its evidence says; `shown` is the same with the intervals, which are computed only where they are written.
    mutating func take(
        _ observation: Observation, _ assessment: Assessment, shown: () -> Assessment, at now: Instant,
        into effects: inout [Effect]
    ) {
        // On the way back, and once control receives the new version, the comparison decides nothing any more.
        let isComparing = machine.retreat == nil && !machine.isPromotionStarted
        var isHeld = false
        if case .held = machine.state { isHeld = true }
        let isWritten = isComparing && exposedSince != nil && log.isDue(assessment, isHeld: isHeld, at: now)
        self.assessment = isWritten ? shown() : assessment
        if isWritten { keepIntervals(at: now) }
        polledAt = now
        let wasBaking = machine.isBaking
        let step = machine.entered
        var found = summarise(observation, assessment, at: now)
        if !counts(found) { wasUnhealthy = true }
        if assessment.healthyTime > .zero {
            // One unhealthy poll makes the whole block unhealthy, not only the one that completes it.
            if wasBaking, let step, !wasUnhealthy {
                bake.add(assessment.healthyTime, step: step, weight: machine.plan.steps[step].weight)
            }
            wasUnhealthy = false
        }
        // A step's time may have been completed by this very poll.
        found.isStepDone = step.map { bake.isDone(step: $0) } ?? false
        found.isBakeDone = bake.isDone
        if machine.retreat == nil, found.database != findings?.database ?? .within {
            let text = database.sentence.isEmpty ? "postgres is within its limits again" : "postgres: \(database.sentence)"
            effects.append(.record(Decision(topic: "gate", text: text)))
        }
        trouble = Trouble(observation)
        if machine.retreat == nil, let text = doubt.take(trouble.warnings, at: now) {
            effects.append(.record(Decision(topic: "gate", text: text)))
        }
        findings = found
        if found.isSecurityFlagged { wasStoppedForSecurity = true }
        reason = ""
        apply(.polled(found), at: now, into: &effects)
        if machine.ending == nil, isWritten, let written = self.assessment {
            effects += log.record(written, weight: machine.inForce, next: consequence, at: now)
        }
    }

    /// Keeps the intervals that were just computed beside what they were computed from.
    private mutating func keepIntervals(at now: Instant) {
        for signal in assessment?.signals ?? [] {
            guard let interval = signal.interval else { continue }
            intervals.removeAll { $0.signal == signal.name }
            intervals.append(
                ComputedInterval(
                    signal: signal.name, at: now, ratio: signal.ratio, interval: interval, counts: signal.counts))
        }
    }

    /// Whether healthy time counts: nothing is out of its limits and the weight is what was asked for.
    private func counts(_ found: PollFindings) -> Bool {
        found.database == .within && !found.isTelemetryLost && found.share != .low && found.share != .high
            && found.readBack == .weight(machine.wanted)
    }

    mutating func take(_ command: Command, at now: Instant, into effects: inout [Effect]) {
        if let refusal = machine.refusal(of: command.verb, by: command.by) ?? refusalOfPlan(command) {
            let text = "\(command.verb.rawValue) by \(command.by) changes nothing: \(refusal.message)"
            effects.append(.record(Decision(topic: "command", text: text)))
            return
        }
        if command.verb == .haltForSecurity { wasStoppedForSecurity = true }
        let words = command.reason.isEmpty ? "" : ": \(command.reason)"
        reason = "\(command.verb.rawValue) by \(command.by)\(words)"
        if command.verb == .resume, machine.isAskingForRestore { rollbackPlan = rollbackPlan?.kept(by: command.by) }
        // The weight first, the words after it.
        apply(.commanded(command.verb, by: command.by), at: now, into: &effects)
        effects.append(
            .record(Decision(topic: "command", text: "\(command.verb.rawValue) by \(command.by)\(words) → \(next(at: now))")))
    }

    mutating func take(_ outcome: WeightOutcome, of intent: IntentID, at now: Instant, into effects: inout [Effect]) {
        guard intent == machine.request?.intent || intent == machine.openRaise else { return }
        let asked = machine.request?.intent == intent ? machine.request?.weight : nil
        switch outcome {
        case .confirmed(let reading):
            guard let weight = reading.weight else {
                apply(.weightFailed(intent, found: .meaningless), at: now, into: &effects)
                return
            }
            reason = "the balancer shows \(weight) (\(reading.raw))"
            if let asked, weight == asked {
                let tries = loweringTries.failed.map { " after \($0.tries) in vain since \($0.since.timeOfDay)" } ?? ""
                loweringTries = LoweringTries()
                effects.append(.record(Decision(topic: "weight", text: "weight \(weight) confirmed\(tries): \(reading.raw)")))
            }
            apply(.weightConfirmed(intent, weight), at: now, into: &effects)
        case .failed(let failure, let readBack):
            notSet(asked, intent, failure, readBack, at: now, into: &effects)
        case .overtaken(let failure, let readBack):
            notSet(asked, intent, failure, readBack, at: now, into: &effects)
        case .unsettled(let failure):
            reason = failure.message
            writeFailure(of: asked, as: "may still apply", at: now, into: &effects)
            apply(.weightUnsettled(intent), at: now, into: &effects)
        }
    }

    private mutating func notSet(
        _ asked: Weight?, _ intent: IntentID, _ failure: Failure, _ readBack: WeightReading?, at now: Instant,
        into effects: inout [Effect]
    ) {
        let shown = readBack.map { ", it shows \($0.raw)" } ?? ""
        reason = "\(failure.message)\(shown)"
        writeFailure(of: asked, as: "not set", at: now, into: &effects)
        let found = readBack.map { $0.weight.map { .weight($0) } ?? .meaningless } ?? ReadBack.unreadable
        apply(.weightFailed(intent, found: found), at: now, into: &effects)
    }

    /// Writes down that a weight was not confirmed. A lowering is tried until it is, so not every try gets a line.
    private mutating func writeFailure(of asked: Weight?, as words: String, at now: Instant, into effects: inout [Effect]) {
        var text = "weight\(asked.map { " \($0)" } ?? "") \(words): \(reason)"
        if let asked, asked == .zero || asked == machine.wanted && machine.deadlines.due(.lowering) != nil {
            guard loweringTries.fail(reason, at: now) else { return }
            let tries = loweringTries.failed.map(\.tries) ?? 1
            text = "lowering to \(asked) is not confirmed\(tries == 1 ? "" : " after \(tries) tries"): \(reason); tried again"
        }
        effects.append(.record(Decision(topic: "weight", text: text)))
    }

    mutating func take(_ outcome: ActionOutcome, of intent: IntentID, at now: Instant, into effects: inout [Effect]) {
        guard let action = machine.openAction, action.intent == intent else { return }
        actionEndedAt = now
        switch outcome {
        case .done:
            reason = machine.isRefusing ? cause : "\(action.kind.words) done"
            effects.append(.record(Decision(topic: "action", text: "\(action.kind.words) \(intent) done")))
            isRestored = action.kind == .restore
            if isRestored { oweProbes() }
            apply(.actionDone(intent), at: now, into: &effects)
        case .failed(let failure, _):
            reason = "\(action.kind.words) failed: \(failure.message)"
            effects.append(.record(Decision(topic: "action", text: reason)))
            showOutput(of: outcome, kind: action.kind, into: &effects)
            apply(.actionFailed(intent), at: now, into: &effects)
        case .unknown(let failure):
            reason = "nobody knows how the \(action.kind.words) ended: \(failure.message)"
            effects.append(.record(Decision(topic: "action", text: reason)))
            apply(.actionUnknown(intent), at: now, into: &effects)
        }
    }

    /// Writes down the end of what a failed action said: ten lines, one KiB.
    private func showOutput(of outcome: ActionOutcome, kind: ActionKind, into effects: inout [Effect]) {
        guard case .failed(_, let output) = outcome else { return }
        let end = String(decoding: output.utf8.suffix(1024), as: UTF8.self)
        let lines = end.split(whereSeparator: \.isNewline).suffix(10)
        guard !lines.isEmpty else { return }
        let words = lines.joined(separator: " | ")
        effects.append(.record(Decision(topic: "action", text: "the \(kind.words)'s last output: \(words)")))
    }

    mutating func take(_ takeover: Takeover, at now: Instant, into effects: inout [Effect]) {
        let read = readBack(takeover.traffic)
        let words =
            switch read {
            case .weight(let weight): "the weight is \(weight)"
            case .meaningless: "the balancer's values mean no weight"
            case .unreadable: "the weight cannot be read" + (takeover.traffic.failure.map { ": \($0.message)" } ?? "")
            }
        trouble.note(takeover.traffic)
        // Nobody watched the weight meanwhile, so the block under way is evidence and not healthy time.
        wasUnhealthy = true
        reason = "a controller took over after a stop: \(words)"
        effects.append(.record(Decision(topic: "state", text: reason)))
        let open = machine.openAction
        let outcome = open.flatMap { open in takeover.actions.first { $0.intent == open.intent }?.outcome }
        if let open, let outcome {
            let kind = open.kind.words
            switch outcome {
            case .done:
                reason = "the \(kind) was done"
                isRestored = open.kind == .restore
                if isRestored { oweProbes() }
            case .failed(let failure, _):
                reason = "the \(kind) was not done: \(failure.message)" + (open.kind == .rollback ? "; it is begun again" : "")
            case .unknown(let failure): reason = "nobody knows how the \(kind) ended: \(failure.message)"
            }
            effects.append(.record(Decision(topic: "action", text: reason)))
            showOutput(of: outcome, kind: open.kind, into: &effects)
            if machine.isRefusing { reason = cause }
        }
        // Without an outcome it is this controller's own, begun by a command that came before this.
        var action: TakenAction? =
            switch outcome {
            case .done: .done
            case .failed: .failed
            case .unknown: .unknown
            case nil: nil
            }
        if machine.openBackup != nil, let outcome = takeover.backup {
            switch learn(outcome, into: &effects) {
            case .verified: action = .done
            case .unverified, .failed: action = .failed
            case .unknown: action = .unknown
            }
        }
        if let outcome = takeover.migration, let kind = open?.kind {
            switch kind {
            case .migrate: action = learn(outcome, of: .migrate, into: &effects)
            // What it came to is read again.
            case .downgrade: action = .unknown
            case .deploy, .promote, .rollback, .fence, .unfence, .restore: break
            }
        }
        // At most one poll more than nobody looked for: the longest bake is lengthened, never shortened by it.
        let away = max(.zero, polledAt.map { now - $0 } ?? .zero)
        apply(
            .takenOver(read, watchdogLowered: takeover.watchdogLowered, action: action, away: away), at: now, into: &effects)
    }
}
