import SerinModel
import SerinPolicies
import SerinRollouts

let epoch = Instant(millisecondsSince1970: 0)
let author = Principal.uid(1)
let colleague = Principal.uid(2)
let another = Principal.uid(3)

extension World {
    /// Everything that can happen now.
    var moves: [Move] {
        var moves: [Move] = []
        if case .finished = machine.state { return finalMoves }
        switch machine.state {
        case .created: moves.append(.started)
        case .preflight: moves += [.preflight(true), .preflight(false)]
        case .readingHistory: moves.append(.historyRead)
        case .zeroing, .awaitingApproval, .backingUp, .migrating, .deploying, .gate, .raising, .warmingUp, .baking, .watching,
            .held,
            .promoting,
            .verifying,
            .completing, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            break
        }
        if isPreflightOpen, machine.retreat != nil {
            moves += Move.Read.allCases.filter { faults.strangers > 0 || $0 == .truth || $0 == .unreadable }
                .map { .preflightLate($0) }
        }
        for index in calls.indices {
            for answer in Move.Answer.allCases { moves.append(.answered(index, answer)) }
        }
        for (index, weight) in late.enumerated() where index == 0 || late[index - 1] != weight {
            moves.append(.appliedLate(weight))
        }
        if machine.openAction != nil { moves += TakenAction.allCases.map { .acted($0) } }
        if machine.openInspection != nil { moves += ways.map { .inspected($0) } }
        if machine.openBackup != nil { moves += BackupResult.allCases.map { .backedUp($0) } }
        moves += pollMoves
        moves += machine.deadlines.armed.map { .passed($0.kind) }
        moves.append(.ticked)
        for verb in faults.isPlain ? [.halt] : Command.Verb.allCases where verb != .haltForSecurity {
            moves.append(.commanded(verb, author))
            if verb == .approve { moves.append(.commanded(verb, colleague)) }
        }
        if need != nil { moves += schemaCommands }
        if faults.strangers > 0 { moves += weights.filter { $0 != balancer }.map { .stranger($0) } }
        moves.append(.doubted)
        if faults.crashes > 0 { moves += crashMoves }
        return moves
    }

    /// Which way a look at the schema may find: a harmless migration destroys nothing.
    private var ways: [SchemaWay] {
        need == .destructive ? [.keep, .downgrade, .restore(people: 2), .unknown] : [.keep, .downgrade, .unknown]
    }

    /// What people may have to say to a migration where they else only halt.
    private var schemaCommands: [Move] {
        var moves: [Move] = []
        switch machine.state {
        case .stranded: moves = [.commanded(.resume, author), .commanded(.rollback, author)]
        case .awaitingApproval, .mending(_, .awaitingApproval):
            moves = [author, colleague, another].map { .commanded(.approve, $0) }
            if machine.retreat != nil { moves.append(.commanded(.resume, author)) }
        case .created, .preflight, .zeroing, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp,
            .baking, .watching, .held, .promoting, .verifying, .completing, .lowering, .reverting, .mending, .confirming,
            .finished:
            break
        }
        return moves
    }

    /// After the end only the world goes on.
    private var finalMoves: [Move] {
        var moves: [Move] = [
            .ticked, .polled(.pass, .truth), .polled(.fail, .truth), .commanded(.promote, author), .commanded(.halt, author),
        ]
        moves += calls.indices.flatMap { index in Move.Answer.allCases.map { .answered(index, $0) } }
        for (index, weight) in late.enumerated() where index == 0 || late[index - 1] != weight {
            moves.append(.appliedLate(weight))
        }
        return moves
    }

    private var pollMoves: [Move] {
        switch machine.state {
        case .created, .preflight: return []
        case .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp,
            .baking,
            .watching, .held,
            .promoting,
            .verifying, .completing, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            var polls = faults.isPlain ? [.pass, .passUnseen, .fail, .nodata, .telemetryLost] : Move.Poll.allCases
            // Only one state asks for it.
            if !isVerifying { polls.removeAll { $0 == .passUnseen } }
            var moves = polls.map { Move.polled($0, .truth) }
            for read in Move.Read.allCases where read != .truth && (read == .unreadable || faults.strangers > 0) {
                moves += [.polled(.pass, read), .polled(.inconclusive, read)]
            }
            return moves
        }
    }

    private var isVerifying: Bool {
        if case .verifying = machine.state { return true }
        return false
    }

    private var crashMoves: [Move] {
        var moves: [Move] = []
        let settled: [TakenAction?] = machine.openAction == nil && machine.openBackup == nil ? [] : TakenAction.allCases
        for action in settled + [nil] {
            for read in [Move.Read.truth, .unreadable, .meaningless] {
                moves.append(.crashed(read, watchdogLowered: false, action))
            }
            if balancer > .zero { moves.append(.crashed(.truth, watchdogLowered: true, action)) }
        }
        return moves
    }

    /// What a stranger may set: none, and a weight that is no step.
    var weights: [Weight] { [.zero] + [Weight(percent: 70)].compactMap { $0 } }

    /// What the machine is told by a poll.
    func findings(_ poll: Move.Poll, _ read: Move.Read) -> PollFindings {
        var findings = PollFindings(verdict: .inconclusive, readBack: readBack(read), isControlRenewed: true)
        switch poll {
        case .fail: findings.verdict = .fail
        case .hardLimit: findings.isBeyondHardLimit = true
        case .security: findings.isSecurityFlagged = true
        case .alert: findings.isAlertFiring = true
        case .databaseBeyond: findings.database = .beyond
        case .databaseUnsure:
            findings.database = .unsure
            findings.verdict = .pass
            findings.isStepDone = true
            findings.isBakeDone = true
        case .telemetryLost:
            findings.isTelemetryLost = true
            findings.verdict = .nodata
        case .shareLow: findings.share = .low
        case .shareHigh: findings.share = .high
        case .nodata:
            findings.verdict = .nodata
            findings.isStepDone = true
            findings.isBakeDone = true
        case .inconclusive: break
        case .stepDone: findings.isStepDone = true
        case .passWithoutBake:
            findings.verdict = .pass
            findings.isStepDone = true
        case .pass, .passUnseen, .passUncounted:
            findings.verdict = .pass
            findings.isStepDone = true
            findings.isBakeDone = true
            findings.isControlRenewed = poll != .passUnseen
            if poll == .passUncounted { findings.share = .unknown }
        }
        return findings
    }

    func readBack(_ read: Move.Read) -> ReadBack {
        switch read {
        case .truth: .weight(balancer)
        case .unreadable: .unreadable
        case .meaningless: .meaningless
        case .firstStep: .weight(machine.plan.steps[0].weight)
        }
    }

    /// Lets a move happen and returns what the machine asked for in answer to it.
    mutating func make(_ move: Move) -> [MachineEffect] {
        var effects: [MachineEffect] = []
        switch move {
        case .started: effects = tell(.started)
        case .preflight(let passes):
            isPreflightOpen = false
            effects = tell(passes ? .preflightPassed(migrating: need) : .preflightRefused)
        case .preflightLate(let read):
            isPreflightOpen = false
            if read == .meaningless || read == .firstStep { faults.strangers -= 1 }
            effects = tell(.preflightLate(readBack(read)))
        case .historyRead: effects = tell(.historyRead)
        case .answered(let index, let answer): effects = self.answer(calls.remove(at: index), answer)
        case .appliedLate(let weight):
            if let index = late.firstIndex(of: weight) { late.remove(at: index) }
            balancer = weight
        case .polled(let poll, let read):
            // A balancer without weights, and a read that is older than the last change, are a stranger's doing as well.
            if read == .meaningless || read == .firstStep { faults.strangers -= 1 }
            effects = tell(.polled(findings(poll, read)))
        case .passed(let kind):
            // Every raise asked for so far is past its timeout and settle time when its deadline passes.
            if kind == .flight {
                late = []
                calls.removeAll { $0.weight > .zero }
            }
            effects = tell(.deadlinePassed(kind))
        case .ticked: effects = tell(.ticked)
        case .commanded(let verb, let person): effects = tell(.commanded(verb, by: person))
        case .acted(let outcome): effects = act(outcome)
        case .backedUp(let result):
            if let open = machine.openBackup { effects = tell(.backupReported(open, result)) }
        case .inspected(let way):
            if let open = machine.openInspection { effects = tell(.schemaInspected(open, way)) }
        case .stranger(let weight):
            faults.strangers -= 1
            balancer = weight
        case .crashed(let read, let lowered, let action):
            faults.crashes -= 1
            isPreflightOpen = false
            if lowered { balancer = .zero }
            for call in calls where call.weight > .zero && !late.contains(call.weight) { late.append(call.weight) }
            calls = []
            effects = tell(.takenOver(readBack(read), watchdogLowered: lowered, action: action))
        case .doubted:
            effects = tell(.doubted)
        }
        take(effects)
        return effects
    }

    private mutating func tell(_ event: MachineEvent) -> [MachineEffect] { machine.handle(event, at: epoch) }

    private mutating func answer(_ call: Call, _ answer: Move.Answer) -> [MachineEffect] {
        switch answer {
        case .confirmed:
            if call.isAtMost, balancer < call.weight { return tell(.weightFailed(call.intent, found: .weight(balancer))) }
            balancer = call.weight
            return tell(.weightConfirmed(call.intent, call.weight))
        case .refused: return tell(.weightFailed(call.intent, found: .weight(balancer)))
        case .appliedUnanswered:
            if !call.isAtMost || balancer > call.weight { balancer = call.weight }
            return tell(.weightUnsettled(call.intent))
        case .lateUnanswered:
            if call.weight > .zero, !late.contains(call.weight) { late.append(call.weight) }
            return tell(.weightUnsettled(call.intent))
        }
    }

    private mutating func act(_ outcome: TakenAction) -> [MachineEffect] {
        guard let open = machine.openAction else { return [] }
        switch outcome {
        case .done: return tell(.actionDone(open.intent))
        case .failed: return tell(.actionFailed(open.intent))
        case .unknown: return tell(.actionUnknown(open.intent))
        }
    }

    /// The controller begins what was asked for. The same request again, while it is under way, is ignored. At most three are
    /// under way: an older one is given up and may still apply.
    private mutating func take(_ effects: [MachineEffect]) {
        for effect in effects {
            let call: Call
            switch effect {
            case .setWeight(let intent, let weight): call = Call(intent: intent, weight: weight)
            case .lowerWeight(let intent, let weight): call = Call(intent: intent, weight: weight, isAtMost: true)
            case .preflight:
                isPreflightOpen = true
                continue
            case .readHistory, .takeBackup, .endBackup, .runAction, .endMigration, .inspectSchema, .note: continue
            }
            guard !calls.contains(where: { $0.intent == call.intent }) else { continue }
            calls.append(call)
            if calls.count > 2 {
                let given = calls.removeFirst()
                if given.weight > .zero, !late.contains(given.weight) { late.append(given.weight) }
            }
        }
    }
}
