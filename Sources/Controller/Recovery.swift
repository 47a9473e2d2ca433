internal import SerinModel
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts

/// Takes over what an earlier controller left: replays the journal and settles open effects by reading the world.
struct Recovery: Sendable {
    /// What the journal held.
    struct Past: Sendable {
        /// The last finished rollout, when none is live.
        var finished: [RolloutStatus] = []
        /// A driver for the live rollout.
        var driver: RolloutDriver?
    }

    let parts: ServiceController.Parts

    func run() async throws(OperationError) -> Past {
        guard let replayed = try await JournalReader(parts.store).lastRollout() else { return Past() }
        let now = max(parts.clock.now(), replayed.lastAt)
        let status = replayed.machine.status(at: now)
        guard !status.isFinal else { return Past(finished: [status]) }
        let world: World
        do throws(Failure) {
            world = try parts.makeWorld(replayed.charter)
        } catch {
            throw .unavailable("rollout \(replayed.charter.id) is live and cannot be taken over: \(error)")
        }
        return Past(driver: takeOver(replayed, world: world))
    }

    private func takeOver(_ replayed: Replayed<Rollout>, world: World) -> RolloutDriver {
        func driver(open: [Effect], opening: @escaping @Sendable () async -> [RolloutEvent]) -> RolloutDriver {
            RolloutDriver(
                rollout: replayed.machine, opening: opening, openEffects: open, world: world, parts: parts)
        }
        guard replayed.hasBegun else { return driver(open: []) { [.started] } }
        let runner = EffectRunner(
            charter: replayed.charter, world: world, parts: parts)
        let watchdog = parts.watchdog
        let effects = replayed.openEffects
        let again = effects.filter { effect in
            switch effect {
            case .preflight, .readHistory: true
            // Weights are settled by the reading, actions by their checks; lines and notices wait for nobody.
            case .setWeight, .runAction, .record, .notify: false
            }
        }
        return driver(open: again) {
            var actions: [Takeover.OpenAction] = []
            for case .runAction(let intent, let kind) in effects {
                actions.append(Takeover.OpenAction(intent: intent, outcome: await runner.settle(intent, kind)))
            }
            return [
                .takenOver(
                    Takeover(traffic: await runner.trafficReading(), watchdogLowered: watchdog.hasMark(), actions: actions))
            ]
        }
    }
}
