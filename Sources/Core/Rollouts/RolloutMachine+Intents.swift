// Intents in a form that does not grow, so that the reachable states are finite.
extension RolloutMachine {
    /// The intents that an answer may still concern, ascending. An answer to any other one changes nothing.
    public var liveIntents: [IntentID] {
        var live: [IntentID] = []
        for intent in [request?.intent, openRaise, openAction?.intent] {
            if let intent, !live.contains(intent) { live.append(intent) }
        }
        return live.sorted()
    }

    /// The same machine with its live intents numbered 1, 2, … in their order.
    ///
    /// Intents are compared for equality with live ones and new ones are numbered above all others; nothing else depends on the
    /// numbers, so this machine does exactly what the original does when answers are renumbered alike.
    public func withIntentsRenumbered() -> RolloutMachine {
        let live = liveIntents
        func renumbered(_ intent: IntentID) -> IntentID { IntentID((live.firstIndex(of: intent) ?? -1) + 1) }
        var machine = self
        machine.lastIntent = live.count
        machine.openRaise = openRaise.map(renumbered)
        if let request { machine.request?.intent = renumbered(request.intent) }
        switch state {
        case .deploying(let intent): machine.state = .deploying(renumbered(intent))
        case .promoting(let intent): machine.state = .promoting(renumbered(intent))
        case .reverting(let retreat, let intent): machine.state = .reverting(retreat, renumbered(intent))
        case .created, .preflight, .zeroing, .awaitingApproval, .readingHistory, .gate, .raising, .warmingUp, .baking, .watching,
            .held, .verifying, .completing, .lowering, .confirming, .stranded, .finished:
            break
        }
        return machine
    }
}
