import SerinController
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testing

@Suite struct PreflightTests {
    private func report(of readings: [SeriesReading], change: (inout SignalPolicy) -> Void = { _ in }) async throws
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
        let world = World(
            traffic: FakeBalancer(), telemetry: FixedTelemetry(readings: readings), database: nil, actions: FakeActions())
        return await Preflight(charter: charter, world: world, writes: false).run(
            request: rollout.telemetryRequest, at: Instant(millisecondsSince1970: 0))
    }

    private let control = SeriesReading(rows: [
        SeriesRow(labels: [Label("instance", "i1"), Label("version", "1")], value: 1000, sampledAt: nil)
    ])
    private let nothing = SeriesReading(rows: [])

    // The queries are: bad requests, requests, authentication failures, what these are compared with.

    @Test func aMetricThatTheControlDoesNotHaveRefusesThoughAnotherHasSeries() async throws {
        let report = try await report(of: [nothing, control, nothing, nothing])
        #expect(report.problems == ["signal auth: no series of the control: nothing of http_requestz_total has version=\"1\""])
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

    func read(_ request: TelemetryRequest, at time: Instant, deadline: Duration) async -> TelemetryReading {
        TelemetryReading(
            evaluatedAt: time, series: Array(readings.prefix(request.queries.count)), instances: [], alerts: nil, failures: [])
    }

    func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, deadline: Duration
    ) async -> HistoryReading {
        HistoryReading(start: start, step: .minutes(1), series: [], scrapeInterval: nil, warnings: [])
    }

    func scrapeInterval(of request: TelemetryRequest, at time: Instant, deadline: Duration) async -> Duration? { nil }
}
