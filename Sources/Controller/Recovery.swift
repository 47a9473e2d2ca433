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
        /// A driver for a finished rollout whose backup is still to be released.
        var release: RolloutDriver?
    }

    let parts: ServiceController.Parts

    func run() async throws(OperationError) -> Past {
        guard let replayed = try await JournalReader(parts.store).lastRollout() else { return Past() }
        let now = max(parts.clock.now(), replayed.lastAt)
        let status = replayed.machine.status(at: now)
        guard !status.isFinal else {
            guard replayed.openEffects.contains(.releaseBackup), let world = try? parts.makeWorld(replayed.charter, nil) else {
                // Without its surroundings it stays held, which loses nothing; the next controller tries again.
                return Past(finished: [status])
            }
            return Past(
                finished: [status],
                release: RolloutDriver(
                    rollout: replayed.machine, opening: { [] }, openEffects: [.releaseBackup], world: world, parts: parts))
        }
        let world: World
        do throws(Failure) {
            world = try parts.makeWorld(replayed.charter, replayed.machine.databaseStart)
        } catch {
            throw .unavailable("rollout \(replayed.charter.id) is live and cannot be taken over: \(error)")
        }
        return Past(driver: takeOver(replayed, world: world))
    }

    private func takeOver(_ replayed: Replayed<Rollout>, world: World) -> RolloutDriver {
        func driver(opening: @escaping @Sendable () async -> [RolloutEvent]) -> RolloutDriver {
            RolloutDriver(
                rollout: replayed.machine, opening: opening, takesOver: replayed.hasBegun, world: world, parts: parts)
        }
        guard replayed.hasBegun else { return driver { [.started] } }
        let runner = EffectRunner(
            charter: replayed.charter, world: world, parts: parts)
        let watchdog = parts.watchdog
        let isBackingUp = replayed.machine.machine.openBackup != nil
        let effects = replayed.openEffects
        // Weights are settled by the reading, actions by their checks, the backup by the catalogue, the schema by its revisions. Whatever only reads is asked for
        // again by the rollout itself, after the takeover: an answer that came before it would lead to effects that nobody settles.
        return driver {
            var actions: [Takeover.OpenAction] = []
            var migration: MigrationOutcome?
            for effect in effects {
                switch effect {
                case .runAction(let intent, let kind):
                    actions.append(Takeover.OpenAction(intent: intent, outcome: await runner.settle(intent, kind)))
                case .restore(let intent, _, _):
                    actions.append(Takeover.OpenAction(intent: intent, outcome: await runner.settle(intent, .restore)))
                case .migrate(let intent, let step): migration = await runner.settle(step, intent)
                case .preflight, .readHistory, .setWeight, .lowerWeight, .takeBackup, .endBackup, .releaseBackup, .endMigration,
                    .inspectSchema, .record, .notify:
                    break
                }
            }
            return [
                .takenOver(
                    Takeover(
                        traffic: await runner.trafficReading(), watchdogLowered: watchdog.hasMark(), actions: actions,
                        backup: isBackingUp ? await runner.settleBackup() : nil, migration: migration))
            ]
        }
    }
}
