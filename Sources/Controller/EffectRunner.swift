internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// Carries effects out through the ports and turns what came of them into events.
struct EffectRunner: Sendable {
    let charter: Charter
    let world: World
    let clock: any Clock
    let limits: CallLimits
    let retries: RetryBudget
    let weights: WeightSetter
    private let actionTurn = ActionTurn<ActionOutcome>()
    private let backup: RolloutBackup
    private let migration: RolloutMigration

    init(charter: Charter, world: World, parts: ServiceController.Parts) {
        self.charter = charter
        self.world = world
        clock = parts.clock
        limits = parts.limits
        retries = parts.retries
        backup = RolloutBackup(of: charter, by: world.backups, limits: limits)
        migration = RolloutMigration(of: charter, in: world, limits: limits)
        weights = WeightSetter(traffic: world.traffic, clock: clock, limits: limits, isHaltAsked: parts.isHaltAsked)
    }

    /// Carries one effect out; nil when nothing is to be reported.
    func perform(_ effect: Effect, decidedAt: Instant, request: TelemetryRequest) async -> RolloutEvent? {
        switch effect {
        case .preflight:
            let preflight = Preflight(
                charter: charter, world: world, clock: clock, retries: retries, limits: limits,
                deadline: charter.policy.timing.preflightDeadline, writes: true)
            return .preflightFinished(await preflight.run(request: request))
        case .readHistory: return .historyRead(await history(request: request))
        case .setWeight(let intent, let weight):
            return .weightReported(intent, await set(weight, intent, atMost: false, decidedAt: decidedAt))
        case .lowerWeight(let intent, let weight):
            return .weightReported(intent, await set(weight, intent, atMost: true, decidedAt: decidedAt))
        case .takeBackup(let intent): return .backupReported(intent, await backup.take())
        case .endBackup:
            backup.stop()
            return nil
        case .releaseBackup: return .backupReleased(await backup.release())
        case .runAction(let intent, let kind): return .actionReported(intent, await run(kind, context(intent)))
        case .migrate(let intent, let step): return .migrationReported(intent, await migration.move(step, intent))
        case .endMigration:
            migration.stop()
            return nil
        case .inspectSchema(let intent): return .schemaInspected(intent, await migration.inspect())
        case .restore(let intent, let backup, let order):
            return .actionReported(intent, await restore(from: backup, order, intent, decidedAt: decidedAt))
        // The driver passes notices on by itself.
        case .record, .notify: return nil
        }
    }

    private func run(_ kind: ActionKind, _ context: ActionContext) async -> ActionOutcome {
        guard let action = charter.policy.action(kind) else { return Self.lacking(kind) }
        return await actionTurn.run(orElse: .unknown(Failure(.unknown, "the action was ended for a newer one"))) {
            await world.actions.run(action, context: context)
        }
    }

    private static func lacking(_ kind: ActionKind) -> ActionOutcome {
        .failed(Failure(.invalid, "the policy has no \(kind.words)"), output: "")
    }

    /// Brings data back, unless the decision is older than a lease: another controller may be in charge. Writes must still be fenced.
    private func restore(
        from backup: CheckpointReference, _ order: RestoreOrder, _ intent: IntentID, decidedAt: Instant
    ) async -> ActionOutcome {
        guard let fence = charter.policy.action(.fence) else { return Self.lacking(.fence) }
        switch await world.actions.check(fence, context: context(intent)) {
        case .done: break
        case .failed(let failure, _), .unknown(let failure):
            return .failed(Failure(failure.kind, "not begun: writes are not known to be fenced: \(failure.message)"), output: "")
        }
        let lease = Duration(milliseconds: charter.policy.timing.watchdogAfter.milliseconds / 2)
        guard clock.now() - decidedAt < lease else {
            return .failed(Failure(.conflict, "not begun: the decision is older than \(lease)"), output: "")
        }
        var context = context(intent)
        context.backup = backup.backup
        context.restore = order
        return await run(.restore, context)
    }

    private func set(_ weight: Weight, _ intent: IntentID, atMost: Bool, decidedAt: Instant) async -> WeightOutcome {
        let lease = limits.raiseLease(charter.policy.timing, settleTime: world.traffic.settleTime)
        return await weights.set(weight, intent: intent, atMost: atMost, decidedAt: decidedAt, lease: lease)
    }

    /// How an action that was under way when a controller stopped turned out, by its check. What is left of it is ended first: a
    /// program that goes on would make any answer old.
    func settle(_ intent: IntentID, _ kind: ActionKind) async -> ActionOutcome {
        guard let action = charter.policy.action(kind) else { return Self.lacking(kind) }
        let context = context(intent)
        do throws(Failure) { try await world.actions.endLeftovers(of: context) } catch { return .unknown(error) }
        return await world.actions.check(action, context: context)
    }

    /// What the catalogue says of a backup that was under way when a controller stopped.
    func settleBackup() async -> BackupOutcome { await backup.check() }

    /// What is read of a migration that was under way when a controller stopped.
    func settle(_ step: MigrationStep, _ intent: IntentID) async -> MigrationOutcome { await migration.settle(step, intent) }

    /// Everything that one poll reads, each part within its own limit, side by side.
    func poll(request: TelemetryRequest, at time: Instant) async -> Observation {
        // A little more than one request may take, for the question that a fallen counter raises; with the policy's own limits it
        // stays below three quarters of a poll.
        let timeout = charter.policy.prometheus.timeout
        let limit = timeout + min(.seconds(1), Duration(milliseconds: timeout.milliseconds / 2))
        async let telemetry = world.telemetry.read(request, at: time, deadline: limit)
        async let database = databaseReading(deadline: limit)
        async let traffic = trafficReading()
        return Observation(at: time, telemetry: await telemetry, database: await database, traffic: await traffic)
    }

    /// The balancer's state, with its failure when it has none to show.
    func trafficReading() async -> TrafficReading {
        do throws(Failure) {
            let reading = try await world.traffic.read(deadline: limits.traffic)
            let counts: TrafficCounts?
            do throws(Failure) {
                counts = try await world.traffic.counts(deadline: limits.traffic)
            } catch {
                return TrafficReading(reading: reading, counts: nil, failure: error)
            }
            return TrafficReading(reading: reading, counts: counts)
        } catch {
            return TrafficReading(reading: nil, failure: error)
        }
    }

    private func databaseReading(deadline: Duration) async -> DatabaseReading? {
        await world.database?.read(deadline: deadline)
    }

    private func history(request: TelemetryRequest) async -> HistoryReading {
        let now = clock.now()
        return await world.telemetry.history(
            request, of: charter.policy.prometheus.control, from: now - .hours(6), to: now, deadline: limits.history)
    }

    private func context(_ intent: IntentID) -> ActionContext {
        ActionContext(
            key: "\(charter.id)-\(intent.number)", service: charter.policy.service, version: charter.version,
            previous: charter.previous)
    }
}

extension Policy {
    /// The action of a kind; nil when the policy has none. Migrations are no actions of a policy.
    func action(_ kind: ActionKind) -> ActionPolicy? {
        switch kind {
        case .deploy: deploy
        case .promote: promote
        case .rollback: rollback
        case .fence: migrations?.maintenance?.on
        case .unfence: migrations?.maintenance?.off
        case .restore: migrations?.restore
        case .migrate, .downgrade: nil
        }
    }
}
