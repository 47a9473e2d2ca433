import SerinModel
import SerinPolicies
import SerinTrials
import Testing

/// A policy of one or more signals with one step and a short bake.
func trialPolicy(
    _ signals: [SignalPolicy] = [.errors()], steps: [Int] = [25], change: (inout Policy) -> Void = { _ in }
) throws -> Policy {
    var timing = TimingPolicy()
    timing.bake = .minutes(6)
    timing.warmup = .seconds(30)
    timing.poll = .seconds(15)
    var policy = Policy(
        service: try #require(ServiceName("checkout")), environment: .production,
        traffic: TrafficPolicy(
            driver: DriverSettings(driver: "fake", settings: [:]),
            steps: try steps.map { StepPolicy(weight: try #require(Weight(percent: $0)), needsApproval: true) }),
        prometheus: PrometheusPolicy(
            endpoint: HTTPEndpoint(url: "http://127.0.0.1:1"), instanceLabel: "instance",
            canary: [Label("job", "checkout"), Label("version", "2")],
            control: [Label("job", "checkout"), Label("version", "1")],
            staleAfter: nil, timeout: .seconds(5)), signals: signals, alerts: AlertsPolicy(match: [], alertmanager: nil),
        postgres: PostgresPolicy(
            primary: .environment("DSN"), replicas: [], limits: [DatabaseLimit(signal: .blockedSessions, max: 5)]),
        deploy: ActionPolicy(call: .run(["true"]), check: nil, deadline: .minutes(1)), promote: nil, rollback: nil,
        onFailure: .rollback, onInconclusive: .hold, onTelemetryLoss: .hold, onDrift: .hold, timing: timing)
    change(&policy)
    return policy
}

extension SignalPolicy {
    static func errors(tolerance: Double = 0.1) -> SignalPolicy {
        SignalPolicy(
            name: "errors", source: .ratio(counter: "http_requests_total", bad: [LabelMatcher("code", .matches, "5..")]),
            tolerance: tolerance, assureTolerance: max(0.5, tolerance), assureFloor: 0.005)
    }

    static let latency = SignalPolicy(
        name: "latency", source: .latency(histogram: "http_seconds", quantile: 0.99), assureTolerance: 1)
}

@Suite struct SimulationTests {
    private func runs(_ policy: Policy, _ load: SimulatedLoad, count: Int = 5, seed: UInt64 = 7) throws -> [Simulation.Run] {
        let simulation = try Simulation(policy, load, seed: seed)
        return (0..<count).map { simulation.run($0) }
    }

    @Test func theSameSeedDrawsTheSame() throws {
        let load = SimulatedLoad(requestsPerSecond: 500, canary: 2, scenario: .bursty)
        let first = try runs(try trialPolicy(), load, count: 2)
        #expect(try runs(try trialPolicy(), load, count: 2) == first)
        #expect(try runs(try trialPolicy(), load, count: 2, seed: 8) != first)
        #expect(first[0] != first[1])
    }

    @Test func aMuchWorseCanaryIsRolledBackSoonAndAnEqualOneIsPromoted() throws {
        let policy = try trialPolicy()
        let bad = SimulationSummary(try runs(policy, SimulatedLoad(requestsPerSecond: 1000, canary: 5)))
        #expect(bad.count(.rolledBack) == 5)
        #expect(bad.failing.map(\.signal) == ["errors"] && bad.failing.map(\.runs) == [5])
        let good = SimulationSummary(try runs(policy, SimulatedLoad(requestsPerSecond: 1000)))
        #expect(good.count(.promoted) == 5, "\(good)")
        let soon = try #require(bad.seconds)
        let late = try #require(good.seconds)
        #expect(soon.p95 < late.median)
        // Five in a hundred of the canary's requests met a fault.
        let faults = try #require(bad.faults)
        let requests = try #require(bad.requests)
        #expect((0.03...0.07).contains(faults.median / requests.median), "\(bad)")
    }

    @Test func tooLittleTrafficLeavesARolloutUndecided() throws {
        let runs = try runs(try trialPolicy(), SimulatedLoad(requestsPerSecond: 0.05), count: 2)
        #expect(runs.allSatisfy { $0.outcome == .undecided }, "\(runs)")
        #expect(SimulationSummary(runs).seconds == nil)
    }

    @Test func everyKindOfSignalCanBeDrawn() throws {
        let signals = [
            SignalPolicy.errors(), .latency,
            SignalPolicy(
                name: "auth", source: .per(counter: "auth_failures_total", exposure: "http_requests_total"), isSecurity: true),
            SignalPolicy(name: "panics", source: .rate(counter: "panics_total"), assureTolerance: 1, assureFloor: 1),
            SignalPolicy(name: "memory", source: .gauge(metric: "resident_bytes"), tolerance: 0.5, isReportOnly: true),
            SignalPolicy(name: "queue", source: .expression("queue_depth"), isReportOnly: true),
        ]
        let policy = try trialPolicy(signals)
        let equal = try runs(policy, SimulatedLoad(requestsPerSecond: 2000), count: 2)
        #expect(equal.allSatisfy { $0.outcome == .promoted }, "\(equal)")
        for signal in ["latency", "auth", "panics"] {
            let load = SimulatedLoad(requestsPerSecond: 2000, canary: 8, signal: signal)
            let run = try runs(policy, load, count: 1)[0]
            #expect(run.outcome == .rolledBack && run.failing.contains(signal) && run.faults > 0, "\(signal): \(run)")
        }
    }

    @Test func aSignalThatCountsNothingCannotBeTheWorseOne() throws {
        let policy = try trialPolicy([.errors(), SignalPolicy(name: "memory", source: .gauge(metric: "resident_bytes"))])
        for (name, words) in [("memory", "counts nothing"), ("errrors", "has no signal 'errrors'")] {
            let error = #expect(throws: TrialError.self) {
                try Simulation(policy, SimulatedLoad(requestsPerSecond: 10, signal: name), seed: 1)
            }
            #expect(error?.message.contains(words) == true && error?.hint?.hasSuffix("errors") == true)
        }
    }

    @Test func aRunIsBoundedByTheLongestBake() throws {
        let policy = try trialPolicy { $0.timing.maxBake = .minutes(30) }
        let simulation = try Simulation(policy, SimulatedLoad(requestsPerSecond: 10), seed: 1)
        #expect((120...300).contains(simulation.polls))
    }
}
