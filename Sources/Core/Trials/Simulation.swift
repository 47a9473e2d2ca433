public import SerinModel
public import SerinPolicies
public import SerinRecords
internal import SerinRollouts
internal import SerinVerdicts

/// What a policy does with traffic that is drawn: rollouts of the machine that decides real ones, on readings from a seed.
///
/// Only evidence is simulated. Weights, actions and approvals succeed at once; the database, alerts, backups and migrations are left
/// out. A rollout is over when everything is taken back, when the promotion begins, or when it waits for a person.
public struct Simulation: Sendable {
    /// How one rollout came out.
    public struct Run: Sendable, Hashable {
        /// What was decided.
        public enum Outcome: String, Sendable, Hashable, CaseIterable {
            /// The promotion began.
            case promoted
            /// A signal failed.
            case rolledBack = "rolled back"
            /// The evidence told neither in time.
            case undecided
        }

        /// What was decided.
        public var outcome: Outcome
        /// The time until then.
        public var time: Duration
        /// The canary's requests until then.
        public var requests: Double
        /// How many of them had what the signal in question counts.
        public var faults: Double
        /// The signals that failed.
        public var failing: [String]
    }

    private static let start = Instant(millisecondsSince1970: 1_700_000_000_000)

    private let charter: Charter
    private let readings: DrawnReadings
    private let seed: UInt64
    /// How many polls a run has at most.
    public let polls: Int

    /// A simulation, of which nothing is computed yet.
    public init(_ policy: Policy, _ load: SimulatedLoad, seed: UInt64) throws(TrialError) {
        guard let id = RolloutID("\(policy.service)-simulated") ?? RolloutID("simulated-1") else {
            throw TrialError("the service's name is too long")
        }
        var policy = policy
        policy.traffic.steps = policy.traffic.steps.map { StepPolicy(weight: $0.weight) }
        policy.alerts = nil
        policy.postgres = nil
        policy.backup = nil
        policy.migrations = nil
        policy.deploy = nil
        policy.promote = nil
        policy.rollback = nil
        charter = Charter(
            id: id, policy: policy, policyHash: "", version: "", previous: "", author: .serin, overrides: [])
        self.seed = seed
        let timing = policy.timing
        let longest =
            timing.effectiveMaxBake + timing.warmup * Int64(policy.traffic.steps.count) + timing.watch + timing.lossFor * 2
        polls = Int(clamping: longest.milliseconds / max(1, timing.poll.milliseconds)) + 10
        let rollout = Rollout(charter: charter, createdAt: Self.start)
        readings = try DrawnReadings(charter.policy, rollout.telemetryRequest.queries, rollout.telemetryReads, load)
    }

    /// One rollout. The same number gives the same rollout.
    ///
    /// - Parameter note: Told what a controller would have journaled.
    public func run(_ number: Int, note: (Draft) -> Void = { _ in }) -> Run {
        var now = Self.start
        var rollout = Rollout(charter: charter, createdAt: now)
        var readings = self.readings
        readings.begin(seed: seed &+ UInt64(number) &* 1_000_003)
        let history = readings.history(to: now)
        var weight = Weight.zero
        func give(_ event: RolloutEvent) {
            var events = [event]
            while !events.isEmpty {
                let event = events.removeFirst()
                note(Draft(rollout: charter.id, at: now, record: .event(event)))
                for effect in rollout.handle(event, at: now) {
                    note(Draft(rollout: charter.id, at: now, record: .effect(effect)))
                    events += Self.answer(to: effect, history: history, weight: &weight).map { [$0] } ?? []
                }
            }
        }
        note(Draft(rollout: charter.id, at: now, record: .created(charter)))
        give(.started)
        for _ in 0..<polls where Self.outcome(of: rollout) == nil {
            now = now + charter.policy.timing.poll
            let telemetry = readings.reading(at: now, after: charter.policy.timing.poll, weight: weight)
            give(
                .observed(
                    Observation(
                        at: now, telemetry: telemetry, database: nil,
                        traffic: TrafficReading(reading: WeightReading(weight: weight, raw: "")))))
        }
        return Run(
            outcome: Self.outcome(of: rollout) ?? .undecided, time: now - Self.start, requests: readings.requests,
            faults: readings.faults, failing: rollout.failingSignals)
    }

    /// The event that answers an effect, when everything succeeds at once.
    private static func answer(to effect: Effect, history: HistoryReading, weight: inout Weight) -> RolloutEvent? {
        switch effect {
        case .preflight:
            return .preflightFinished(
                PreflightReport(problems: [], warnings: [], weight: WeightReading(weight: .zero, raw: ""), database: nil))
        case .readHistory: return .historyRead(history)
        case .setWeight(let intent, let asked), .lowerWeight(let intent, let asked):
            weight = asked
            return .weightReported(intent, .confirmed(WeightReading(weight: asked, raw: "")))
        case .takeBackup, .endBackup, .releaseBackup, .runAction, .migrate, .endMigration, .inspectSchema, .restore, .record,
            .notify:
            return nil
        }
    }

    /// What was decided; nil while nothing was.
    private static func outcome(of rollout: Rollout) -> Run.Outcome? {
        let machine = rollout.machine
        if machine.isPromotionStarted { return .promoted }
        if let ending = machine.retreat?.ending ?? machine.ending {
            switch ending {
            case .failed, .halted: return .rolledBack
            case .promoted: return .promoted
            case .inconclusive, .refused: return .undecided
            }
        }
        if case .held(let hold) = machine.state, !hold.reason.endsByItself { return .undecided }
        return nil
    }
}

/// What many simulated rollouts came to.
public struct SimulationSummary: Sendable, Hashable {
    /// The middle and the far end of a quantity.
    public struct Spread: Sendable, Hashable {
        /// Half of the rollouts have no more.
        public var median: Double
        /// 95 % of the rollouts have no more.
        public var p95: Double

        init?(_ values: [Double]) {
            guard !values.isEmpty else { return nil }
            let sorted = values.sorted()
            median = sorted[(sorted.count - 1) / 2]
            p95 = sorted[(sorted.count * 95 + 99) / 100 - 1]
        }
    }

    /// How many rollouts there were.
    public let runs: Int
    /// How many of them came out each way.
    public let counts: [Simulation.Run.Outcome: Int]
    /// How long it took to decide, in seconds; nil when nothing was decided.
    public let seconds: Spread?
    /// Requests that the canary served.
    public let requests: Spread?
    /// Requests of the canary that met a fault.
    public let faults: Spread?
    /// How many rollouts were taken back for each signal, the most first.
    public let failing: [Failing]

    /// Rollouts that were taken back for one signal.
    public struct Failing: Sendable, Hashable {
        /// The signal.
        public var signal: String
        /// How many rollouts.
        public var runs: Int
    }

    /// The summary of some runs.
    public init(_ runs: [Simulation.Run]) {
        self.runs = runs.count
        counts = Dictionary(grouping: runs, by: \.outcome).mapValues(\.count)
        seconds = Spread(runs.filter { $0.outcome != .undecided }.map(\.time.seconds))
        requests = Spread(runs.map(\.requests))
        faults = Spread(runs.map(\.faults))
        let names = runs.filter { $0.outcome == .rolledBack }.flatMap(\.failing)
        failing = Dictionary(grouping: names) { $0 }.map { Failing(signal: $0.key, runs: $0.value.count) }
            .sorted { ($1.runs, $0.signal) < ($0.runs, $1.signal) }
    }

    /// How many rollouts came out this way.
    public func count(_ outcome: Simulation.Run.Outcome) -> Int { counts[outcome] ?? 0 }
}
