internal import SerinModel
internal import SerinRollouts

// While a controller takes over, commands are taken and the weight is lowered at once. Whatever else acts waits until the world was read: what a former
// controller left running is ended by then, and nothing that this one begins is taken for it.
extension DriverLoop {
    /// Keeps an effect back while the world is read.
    mutating func holdsBack(_ effect: Effect) -> Bool {
        guard isTakingOver else { return false }
        switch effect {
        case .runAction, .migrate, .restore, .takeBackup, .inspectSchema: heldBack.append(effect)
        case .preflight, .readHistory, .setWeight, .lowerWeight, .endBackup, .endMigration, .releaseBackup, .record, .notify:
            return false
        }
        return true
    }

    /// Lets out what was held back, unless everything is being taken back by now; what is not begun is reported as such.
    mutating func endTakeover(at now: Instant) -> (orders: [Order], notBegun: [RolloutEvent]) {
        defer { heldBack = [] }
        isTakingOver = false
        let machine = rollout.machine
        var orders: [Order] = []
        var notBegun: [RolloutEvent] = []
        for effect in heldBack where effect.intentOfDeed.map({ machine.liveDeeds.contains($0) }) ?? false {
            if case .lowering = machine.state {
                if let event = RolloutEvent.notBegun(effect, because: "everything is being taken back") { notBegun.append(event) }
            } else {
                orders.append(.effect(effect, decidedAt: now, request: rollout.telemetryRequest))
            }
        }
        return (orders, notBegun)
    }
}

extension RolloutMachine {
    /// What it waits for beside weights.
    fileprivate var liveDeeds: [IntentID] { [openAction?.intent, openBackup, openInspection].compactMap { $0 } }
}

extension Effect {
    /// The intent of what is done to code, schema or data.
    fileprivate var intentOfDeed: IntentID? {
        switch self {
        case .runAction(let intent, _), .migrate(let intent, _), .restore(let intent, _, _), .takeBackup(let intent),
            .inspectSchema(let intent):
            intent
        case .preflight, .readHistory, .setWeight, .lowerWeight, .endBackup, .endMigration, .releaseBackup, .record, .notify: nil
        }
    }
}

extension RolloutEvent {
    /// An action or backup that was asked for and held back until it was no longer wanted: the rollout must not wait for it.
    static func notBegun(_ effect: Effect, because reason: String) -> RolloutEvent? {
        let words = "was not begun, because \(reason)"
        switch effect {
        case .runAction(let intent, let kind):
            return .actionReported(intent, .failed(Failure(.transient, "the \(kind.words) \(words)"), output: ""))
        case .restore(let intent, _, _):
            return .actionReported(intent, .failed(Failure(.transient, "the restore \(words)"), output: ""))
        case .migrate(let intent, _): return .migrationReported(intent, .failed(Failure(.transient, "it \(words)"), nil))
        case .inspectSchema(let intent): return .schemaInspected(intent, .unknown(Failure(.transient, "it \(words)")))
        case .takeBackup(let intent): return .backupReported(intent, .failed(Failure(.transient, "it \(words)")))
        case .preflight, .readHistory, .setWeight, .lowerWeight, .endBackup, .endMigration, .releaseBackup, .record, .notify:
            return nil
        }
    }
}
