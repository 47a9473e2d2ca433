internal import SerinModel

// A form that does not grow and in which states that behave alike are equal, so that the reachable states are finite and few.
extension RolloutMachine {
    /// The intents that an answer may still concern, ascending. An answer to any other one changes nothing.
    public var liveIntents: [IntentID] {
        var live: [IntentID] = []
        for intent in [request?.intent, openRaise, openAction?.intent, openBackup, openInspection] {
            if let intent, !live.contains(intent) { live.append(intent) }
        }
        return live.sorted()
    }

    /// The same machine with its live intents numbered 1, 2, … in their order, and without what only people read.
    ///
    /// Intents are compared for equality with live ones and new ones are numbered above all others; nothing else depends on the
    /// numbers. On the way back a cause decides the ending and nothing else, and the observed weight nothing. Whether more
    /// than 0 was read matters before any raise. So this machine does exactly what the original does when answers are renumbered alike.
    public var canonical: RolloutMachine {
        let live = liveIntents
        func renumbered(_ intent: IntentID) -> IntentID { IntentID((live.firstIndex(of: intent) ?? -1) + 1) }
        func typical(_ retreat: Retreat) -> Retreat {
            let cause: Cause =
                switch retreat.ending {
                case .promoted, .failed, .refused: .verdict
                case .halted: .command(.halt)
                case .inconclusive: .inconclusive
                }
            let running = retreat.running.map { RunningAction(intent: renumbered($0.intent), kind: $0.kind) }
            return Retreat(
                cause: cause, isOverdue: retreat.isOverdue, isCodeBack: retreat.isCodeBack, running: running,
                backup: retreat.backup.map(renumbered))
        }
        var machine = self
        machine.lastIntent = live.count
        machine.openRaise = openRaise.map(renumbered)
        if let request { machine.request?.intent = renumbered(request.intent) }
        // Before any raise a weight that is known to be someone else's keeps it from ending.
        machine.isReadAboveZero = entered == nil && isReadAboveZero
        if retreat != nil {
            machine.observed = nil
            machine.inForce = .zero
        }
        // A hold that ends by itself has its own reason; without a deadline there is none.
        var isLossRead = deadlines.due(.loss) != nil
        if case .held(let held) = state, held.reason.endsByItself { isLossRead = false }
        if !isLossRead { machine.loss = nil }
        switch state {
        case .backingUp(let intent): machine.state = .backingUp(renumbered(intent))
        case .migrating(let stage): machine.state = .migrating(stage.renumbered(renumbered))
        case .deploying(let intent): machine.state = .deploying(renumbered(intent))
        case .promoting(let intent): machine.state = .promoting(renumbered(intent))
        case .lowering(let retreat): machine.state = .lowering(typical(retreat))
        case .reverting(let retreat, let intent): machine.state = .reverting(typical(retreat), renumbered(intent))
        case .mending(let retreat, let stage): machine.state = .mending(typical(retreat), stage.renumbered(renumbered))
        case .confirming(let retreat): machine.state = .confirming(typical(retreat))
        case .stranded(let retreat): machine.state = .stranded(typical(retreat))
        case .created, .preflight, .zeroing, .awaitingApproval, .readingHistory, .gate, .raising, .warmingUp, .baking,
            .watching,
            .held, .verifying, .completing, .finished:
            break
        }
        return machine
    }
}
