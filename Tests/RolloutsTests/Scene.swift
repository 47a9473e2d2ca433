import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts
@testable import SerinVerdicts

/// Plays a rollout: a clock, a policy, and short words for what happens.
struct Scene {
    var rollout: Rollout
    var now = Instant(millisecondsSince1970: 1_700_000_000_000)
    /// Everything asked for so far.
    var effects: [Effect] = []
    /// What telemetry has counted since the weight was last confirmed.
    private var seen = TrafficCounts(canary: 0, control: 0)
    private var seenSince: Instant?

    static let author = Principal.uid(1)
    static let ann = Principal.uid(2)
    static let bob = Principal.uid(3)

    init(overrides: [Override] = [], requiredApprovals: Int = 0, change: (inout Policy) -> Void = { _ in }) throws {
        var timing = TimingPolicy()
        timing.bake = .minutes(6)
        timing.warmup = .minutes(1)
        let action = ActionPolicy(call: .run(["true"]), check: nil, deadline: .minutes(1))
        var policy = Policy(
            service: try #require(ServiceName("checkout")), environment: .production,
            traffic: TrafficPolicy(driver: DriverSettings(driver: "fake", settings: [:]), steps: try Self.steps(5, 25)),
            prometheus: PrometheusPolicy(
                endpoint: HTTPEndpoint(url: "http://127.0.0.1:1"), instanceLabel: "instance", canary: [Label("version", "2")],
                control: [Label("version", "1")], staleAfter: nil, timeout: .seconds(5)),
            signals: [SignalPolicy(name: "errors", source: .ratio(counter: "http_requests_total", bad: []))], alerts: nil,
            postgres: nil, deploy: action, promote: action, rollback: action, onFailure: .rollback, onInconclusive: .hold,
            onTelemetryLoss: .hold, onDrift: .hold, timing: timing)
        change(&policy)
        let charter = Charter(
            id: try #require(RolloutID("checkout-1")), policy: policy, policyHash: "00", version: "2", previous: "1",
            author: Self.author, overrides: overrides, requiredApprovals: requiredApprovals)
        rollout = Rollout(charter: charter, createdAt: now)
    }

    static func steps(_ percents: Int..., approved: [Int] = []) throws -> [StepPolicy] {
        try percents.map { StepPolicy(weight: try #require(Weight(percent: $0)), needsApproval: approved.contains($0)) }
    }

    static func weight(_ percent: Int) throws -> Weight { try #require(Weight(percent: percent)) }

    // What happens.

    @discardableResult mutating func happens(_ event: RolloutEvent) -> [Effect] {
        let asked = rollout.handle(event, at: now)
        effects += asked
        return asked
    }

    mutating func passes(_ duration: Duration) {
        now = now + duration
        happens(.ticked)
    }

    @discardableResult mutating func command(_ verb: Command.Verb, by person: Principal = Scene.ann) -> [Effect] {
        let plan = verb == .approve ? status.approvalPlan : nil
        return happens(.commanded(Command(verb, by: person, reason: "", plan: plan)))
    }

    /// One poll of a signal with a verdict. The weight read is the one in force and a thousand requests follow it, unless said
    /// otherwise.
    @discardableResult mutating func poll(
        _ verdict: Verdict = .inconclusive, healthy: Duration = .zero, read: ReadBack? = nil, database: DatabaseReading? = nil,
        requests: TrafficCounts? = nil, isLost: Bool = false, lasting: Duration = .zero, alerts: [AlertReading]? = nil,
        change: (inout Assessment) -> Void = { _ in }
    ) -> [Effect] {
        now = now + .seconds(15)
        count(requests)
        var signal = SignalAssessment(name: "errors")
        signal.verdict = verdict
        signal.counts.canaryEvents = 84
        signal.counts.canaryExposure = 4003
        signal.counts.controlEvents = 122
        signal.counts.controlExposure = 11_980
        signal.ratio = 2.06
        signal.interval = Interval(low: 1.56, high: 2.72)
        var assessment = Assessment(
            signals: [signal], healthyTime: healthy, observedRequests: seen, isDegraded: false, failing: nil)
        change(&assessment)
        let telemetry = TelemetryReading(evaluatedAt: now, series: [], instances: [], alerts: alerts, failures: [])
        let observation = Observation(
            at: now - lasting, telemetry: isLost ? nil : telemetry, database: database,
            traffic: Self.traffic(read ?? .weight(rollout.machine.inForce)))
        var asked: [Effect] = []
        rollout.take(observation, assessment, shown: { assessment }, at: now, into: &asked)
        asked += rollout.handle(.ticked, at: now)
        effects += asked
        return asked
    }

    private mutating func count(_ requests: TrafficCounts?) {
        if rollout.confirmedAt != seenSince {
            seenSince = rollout.confirmedAt
            seen = TrafficCounts(canary: 0, control: 0)
        }
        let share = rollout.machine.inForce.fraction
        seen.canary += requests?.canary ?? 1000 * share
        seen.control += requests?.control ?? 1000 * (1 - share)
    }

    static func traffic(_ read: ReadBack) -> TrafficReading {
        switch read {
        case .weight(let weight): TrafficReading(reading: WeightReading(weight: weight, raw: "\(weight)"))
        case .meaningless: TrafficReading(reading: WeightReading(weight: nil, raw: "0/0"))
        case .unreadable: TrafficReading(reading: nil, failure: Failure(.transient, "no answer"))
        }
    }

    /// The latest request for a weight is read back as asked.
    @discardableResult mutating func confirm() -> [Effect] {
        guard let request = rollout.machine.request else { return [] }
        return happens(.weightReported(request.intent, .confirmed(WeightReading(weight: request.weight, raw: "ok"))))
    }

    @discardableResult mutating func fail() -> [Effect] {
        guard let request = rollout.machine.request else { return [] }
        return happens(.weightReported(request.intent, .failed(Failure(.transient, "503"), readBack: nil)))
    }

    @discardableResult mutating func unsettle() -> [Effect] {
        guard let request = rollout.machine.request else { return [] }
        return happens(.weightReported(request.intent, .unsettled(Failure(.unknown, "timed out"))))
    }

    @discardableResult mutating func act(_ outcome: ActionOutcome = .done(output: "")) -> [Effect] {
        guard let open = rollout.machine.openAction else { return [] }
        return happens(.actionReported(open.intent, outcome))
    }

    // Ways to a place.

    mutating func toPreflight(problems: [String] = [], weight: Weight? = .zero, database: DatabaseReading? = nil) {
        happens(.started)
        happens(
            .preflightFinished(
                PreflightReport(
                    problems: problems, warnings: [], weight: WeightReading(weight: weight, raw: "app 0"), database: database)))
    }

    mutating func toHistory() {
        toPreflight()
        confirm()
    }

    mutating func toFirstGate() {
        toHistory()
        happens(.historyRead(HistoryReading(start: now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        act()
    }

    mutating func toRaise() {
        toFirstGate()
        poll()
    }

    mutating func toWarmup() {
        toRaise()
        confirm()
    }

    mutating func toBake() {
        toWarmup()
        passes(.minutes(1))
    }

    mutating func toLastBake() {
        toBake()
        poll(healthy: .minutes(3))
        confirm()
        passes(.minutes(1))
    }

    mutating func toPromotion() {
        toLastBake()
        poll(.pass, healthy: .minutes(3))
    }

    /// Confirms zeros and finishes actions until nothing more is asked.
    mutating func settle() {
        for _ in 0..<6 where !status.isFinal {
            confirm()
            act()
        }
    }

    // What is seen.

    var status: RolloutStatus { rollout.status(at: now) }
    var state: RolloutMachine.State { rollout.machine.state }
    var log: [String] { effects.compactMap { if case .record(let decision) = $0 { decision.text } else { nil } } }
    var told: [String] { effects.compactMap { if case .notify(let notice) = $0 { notice.text } else { nil } } }
    var calls: [String] { effects.compactMap { if case .notify(let notice) = $0, notice.isCall { notice.text } else { nil } } }
}

/// The weights asked for.
func weights(_ effects: [Effect]) -> [Weight] {
    effects.compactMap { effect in
        switch effect {
        case .setWeight(_, let weight), .lowerWeight(_, let weight): weight
        case .preflight, .readHistory, .takeBackup, .endBackup, .releaseBackup, .runAction, .migrate, .endMigration,
            .inspectSchema, .restore, .record, .notify:
            nil
        }
    }
}

/// The actions asked for.
func actions(_ effects: [Effect]) -> [ActionKind] {
    effects.compactMap { if case .runAction(_, let kind) = $0 { kind } else { nil } }
}
