import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testing

@Suite struct PreflightTests {
    private func report(of readings: [SeriesReading], ahead: Duration = .zero, change: (inout SignalPolicy) -> Void = { _ in })
        async throws
        -> PreflightReport
    {
        var policy = SimulatedService.policy()
        var second = SignalPolicy(name: "auth", source: .per(counter: "auth_failures_total", exposure: "http_requestz_total"))
        change(&second)
        policy.signals.append(second)
        let charter = Charter(
            id: try #require(RolloutID("checkout-1")), policy: policy, policyHash: "00", version: "2", previous: "1",
            author: .uid(1), overrides: [])
        let rollout = Rollout(charter: charter, createdAt: Instant(millisecondsSince1970: 0))
        let clock = VirtualClock()
        let world = World(
            traffic: FakeBalancer(), telemetry: FixedTelemetry(readings: readings, now: clock.now() + ahead), database: nil,
            actions: FakeActions())
        return await Preflight(
            charter: charter, world: world, clock: clock, retries: RetryBudget(clock: clock) { 0.5 }, deadline: .zero,
            writes: false
        ).run(request: rollout.telemetryRequest)
    }

    private let control = SeriesReading(rows: [
        SeriesRow(labels: [Label("instance", "i1"), Label("version", "1")], value: 1000, sampledAt: nil)
    ])
    private let nothing = SeriesReading(rows: [])

    /// A preflight of the simulated service on virtual time whose telemetry first answers with failures, and how long it took.
    private func preflight(
        after failures: [Failure], budget: Int = 20
    ) async throws -> (report: PreflightReport, took: SerinModel.Duration) {
        let clock = VirtualClock()
        let executor = StepExecutor()
        let balancer = FakeBalancer()
        let telemetry = FakeTelemetry(balancer: balancer)
        telemetry.state.withLock { $0.nextFailures = failures }
        let policy = SimulatedService.policy()
        let charter = Charter(
            id: try #require(RolloutID("checkout-1")), policy: policy, policyHash: "00", version: "2", previous: "1",
            author: .uid(1), overrides: [])
        let preflight = Preflight(
            charter: charter,
            world: World(traffic: balancer, telemetry: telemetry, database: nil, actions: FakeActions()), clock: clock,
            retries: RetryBudget(clock: clock, size: budget) { 0.5 }, deadline: policy.timing.preflightDeadline, writes: true)
        let request = Rollout(charter: charter, createdAt: clock.now()).telemetryRequest
        let begun = clock.now()
        let report = Locked<PreflightReport?>(nil)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: executor) {
                let found = await preflight.run(request: request)
                report.withLock { $0 = found }
            }
            for _ in 0..<1000 {
                executor.drain()
                if let found = report.withLock({ $0 }) { return (found, clock.now() - begun) }
                clock.advance(atMost: .milliseconds(500))
            }
            throw Failure(.transient, "the preflight did not end")
        }
    }

    private let timeout = Failure(.transient, "cannot POST http://prometheus: no complete answer within 5s")

    @Test func oneTimeoutOfPrometheusRefusesNothing() async throws {
        let (report, _) = try await preflight(after: [timeout])
        #expect(report.problems.isEmpty)
        #expect(report.weight?.weight == .zero)
    }

    @Test func whatKeepsFailingRefusesWithinTheDeadline() async throws {
        let (report, took) = try await preflight(after: Array(repeating: timeout, count: 10_000))
        #expect(report.problems.contains { $0.contains("no complete answer") })
        #expect(took > .minutes(1) && took < .minutes(2), "\(took)")
    }

    @Test func aUsedUpBudgetRefusesAtOnce() async throws {
        let (report, took) = try await preflight(after: Array(repeating: timeout, count: 10_000), budget: 0)
        #expect(!report.problems.isEmpty)
        #expect(took == .zero)
    }

    @Test func whatDoesNotPassIsNotTriedAgain() async throws {
        let (report, took) = try await preflight(after: [Failure(.denied, "401 Unauthorized")])
        #expect(report.problems.contains { $0.contains("401") })
        #expect(took == .zero)
    }

    @Test(arguments: [nil, TrafficCounts(canary: 0, control: 0)])
    func aRolloutWhoseRequestsNobodyCountsIsRefused(counts: TrafficCounts?) async throws {
        var policy = SimulatedService.policy()
        policy.signals = [SignalPolicy(name: "restarts", source: .rate(counter: "restarts_total"))]
        let charter = Charter(
            id: try #require(RolloutID("checkout-1")), policy: policy, policyHash: "00", version: "2", previous: "1",
            author: .uid(1), overrides: [])
        let balancer = FakeBalancer()
        balancer.state.withLock { $0.counts = counts }
        let clock = VirtualClock()
        let world = World(
            traffic: balancer, telemetry: FixedTelemetry(readings: [control], now: clock.now()), database: nil,
            actions: FakeActions())
        let report = await Preflight(
            charter: charter, world: world, clock: clock, retries: RetryBudget(clock: clock) { 0.5 }, deadline: .zero,
            writes: true
        ).run(request: Rollout(charter: charter, createdAt: clock.now()).telemetryRequest)
        #expect(report.problems.contains { $0.contains("nothing counts the requests") } == (counts == nil))
        #expect(balancer.state.withLock { $0.written.isEmpty } == (counts == nil))
    }

    // The queries are: bad requests, requests, authentication failures, what these are compared with.

    @Test func aMetricThatTheControlDoesNotHaveRefusesThoughAnotherHasSeries() async throws {
        let report = try await report(of: [nothing, control, nothing, nothing])
        #expect(report.problems == ["signal auth: no series of the control: nothing of http_requestz_total has version=\"1\""])
    }

    /// `serin check` may be asked without versions; a rollout never is.
    @Test(arguments: ["{{previous}}", "{{ previous }}"])
    func withoutVersionsOnlyACheckLooksForNoSeries(place: String) async throws {
        var policy = SimulatedService.policy()
        policy.prometheus.control = [Label("version", place)]
        let charter = Charter(
            id: try #require(RolloutID("checkout-1")), policy: policy, policyHash: "00", version: "", previous: "",
            author: .uid(1), overrides: [])
        let clock = VirtualClock()
        for writes in [false, true] {
            let balancer = FakeBalancer()
            let world = World(
                traffic: balancer, telemetry: FixedTelemetry(readings: [nothing, nothing], now: clock.now()), database: nil,
                actions: FakeActions())
            let report = await Preflight(
                charter: charter, world: world, clock: clock, retries: RetryBudget(clock: clock) { 0.5 }, deadline: .zero,
                writes: writes
            ).run(request: Rollout(charter: charter, createdAt: clock.now()).telemetryRequest)
            #expect(report.problems.contains { $0.contains("no series of the control") } == writes, "\(report.problems)")
            #expect(balancer.state.withLock { $0.written.isEmpty })
        }
    }

    @Test(arguments: [(90, "90s ahead of"), (-3600, "1h behind")])
    func clocksMoreThanAScrapeApartAreAWarning(seconds: Int64, words: String) async throws {
        let report = try await report(of: [control, control, control, control], ahead: .seconds(seconds))
        #expect(report.problems.isEmpty)
        #expect(report.warnings == ["the clock of prometheus is \(words) this computer's: one of them is wrong"])
        let near = try await self.report(of: [control, control, control, control], ahead: .seconds(14))
        #expect(near.warnings.isEmpty)
    }

    @Test func eventsThatNobodyHasCountedYetAreAWarning() async throws {
        let report = try await report(of: [nothing, control, nothing, control])
        #expect(report.problems.isEmpty)
        #expect(report.warnings.contains { $0.contains("nobody has auth_failures_total yet") })
    }

    @Test func aMissingMetricOfASignalThatDecidesNothingIsAWarning() async throws {
        let report = try await report(of: [nothing, control, control, nothing]) { $0.isReportOnly = true }
        #expect(report.problems.isEmpty)
        #expect(report.warnings.contains { $0.contains("http_requestz_total") })
    }
}

/// Telemetry that answers each query with the reading at its place.
private struct FixedTelemetry: Telemetry {
    let readings: [SeriesReading]
    let now: Instant

    func read(_ request: TelemetryRequest, at time: Instant, deadline: Duration) async -> TelemetryReading {
        TelemetryReading(
            evaluatedAt: time, series: Array(readings.prefix(request.queries.count)), instances: [], alerts: nil, failures: [])
    }

    func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, deadline: Duration
    ) async -> HistoryReading {
        HistoryReading(start: start, step: .minutes(1), series: [], scrapeInterval: nil, warnings: [])
    }

    func clock(of request: TelemetryRequest, deadline: Duration) async throws(Failure) -> SourceClock {
        SourceClock(now: now, interval: .seconds(15))
    }
}
