internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// The migrations of one rollout: one move of the schema at a time, and nobody looks at it before that has ended.
struct RolloutMigration: Sendable {
    private let charter: Charter
    private let migrations: (any Migrations)?
    private let actions: any Actions
    /// How long one direction may take.
    private let longest: Duration
    /// For ending what is left of a move and reading the schema.
    private let limit: Duration
    private let turn = ActionTurn<MigrationOutcome>()
    private let looks = ActionTurn<SchemaInspection>()

    init(of charter: Charter, in world: World, limits: CallLimits) {
        self.charter = charter
        migrations = world.migrations
        actions = world.actions
        longest = charter.policy.migrations?.deadline ?? .zero
        limit = limits.migration
    }

    private static let nobody = Failure(.invalid, "nothing migrates here")
    private static let ended = Failure(.unknown, "the migration was ended")

    /// One key for every move of the rollout: what is left of one is found by any later call.
    private var request: MigrationRequest {
        MigrationRequest(key: "\(charter.id)-schema", service: charter.policy.service, version: charter.version)
    }

    /// Moves the schema, then probes it; until `stop` or another move.
    func move(_ step: MigrationStep, _ intent: IntentID) async -> MigrationOutcome {
        await turn.run(orElse: .unknown(Self.ended)) {
            guard let migrations else { return .failed(Self.nobody, nil) }
            let outcome: MigrationOutcome =
                switch step {
                case .up(let from, let target, let judged):
                    await migrations.up(request, from: from, to: target, judged: judged, deadline: longest)
                case .down(let target, let judged):
                    await migrations.down(request, to: target, judged: judged, deadline: longest)
                }
            return await probed(outcome, intent)
        }
    }

    /// Ends the move under way.
    func stop() { turn.end() }

    /// Ends what is left running, and reads the schema. A newer look ends the one under way, whose answer nobody waits for any more:
    /// two at once would keep the lease from each other, and a schema that can be read would count as unreadable.
    func inspect() async -> SchemaInspection {
        guard let migrations else { return .unknown(Self.nobody) }
        return await looks.run(orElse: .unknown(Failure(.unknown, "the look at the schema was ended for a newer one"))) {
            await turn.endAndWait()
            do throws(Failure) {
                return .found(try await migrations.settle(request, deadline: limit))
            } catch {
                return .unknown(error)
            }
        }
    }

    /// What became of a move that was under way when a controller stopped: done only where it came to its end.
    func settle(_ step: MigrationStep, _ intent: IntentID) async -> MigrationOutcome {
        switch await inspect() {
        case .unknown(let failure): return .unknown(failure)
        case .found(let report):
            let target: RevisionID? =
                switch step {
                case .up(_, let target, _): target
                case .down(let target, _): target
                }
            guard report.state.isAt(target) else {
                return .failed(Failure(.transient, "it was cut off on its way \(step.words)"), report.state)
            }
            return await probed(.done(report.state, note: "found after a restart"), intent)
        }
    }

    /// What would keep the migrations from being done, and what they are.
    func preflight() async -> MigrationPreflight {
        guard let migrations else { return MigrationPreflight(plan: nil, problems: [Self.nobody]) }
        // Half of the time that the whole preflight has, so that its answer is heard.
        let half = Duration(milliseconds: charter.policy.timing.preflightDeadline.milliseconds / 2)
        return await migrations.preflight(request, deadline: half)
    }

    /// A schema that is where it should be is healthy only when every probe says so.
    private func probed(_ outcome: MigrationOutcome, _ intent: IntentID) async -> MigrationOutcome {
        guard case .done(let state, _, _, _) = outcome else { return outcome }
        for (number, probe) in (charter.policy.migrations?.probes ?? []).enumerated() {
            let context = ActionContext(
                key: "\(charter.id)-\(intent.number)-probe-\(number + 1)", service: charter.policy.service,
                version: charter.version, previous: charter.previous)
            switch await actions.run(probe, context: context) {
            case .done: continue
            case .failed(let failure, _):
                return .failed(Failure(failure.kind, "probe \(number + 1) failed: \(failure.message)"), state)
            case .unknown(let failure):
                return .failed(Failure(.unknown, "probe \(number + 1) did not answer: \(failure.message)"), state)
            }
        }
        return outcome
    }
}
