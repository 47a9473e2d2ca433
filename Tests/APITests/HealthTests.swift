import FakeController
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinRollouts
import SerinVerdicts
import Testing

/// What machines see of the controller's own health.
@Suite struct HealthTests {
    private let fake = FakeOperations()

    private func json(_ response: Response) throws -> JSONValue { try JSONValue(parsing: response.bytes ?? []) }

    private func health(_ checks: [ReadinessCheck] = []) -> Router {
        Router(
            HealthAPI(
                fake, version: "1.2", checks: { checks }, traffic: RequestMetrics(), limiter: RateLimiter()
            ).routes)
    }

    @Test func whatAControllerMeasuresIsWrittenAsPrometheusReadsIt() async throws {
        let service = try #require(ServiceName("checkout"))
        fake.state.withLock { state in
            state.measurements.halts.add(.milliseconds(40))
            state.measurements.halts.add(.seconds(20))
            state.measurements.appends.add(.milliseconds(3))
            state.measurements.failures[.weight] = 2
            state.measurements.verdicts[.init("a\"b", .pass)] = 7
            state.measurements.evidenceAges[service] = .milliseconds(12_500)
            state.measurements.isInCharge[service] = false
        }
        let text = String(
            decoding: await health().respond(to: Request(method: "GET", path: "/metrics")).bytes ?? [], as: UTF8.self)
        for line in [
            "# TYPE serin_halt_to_zero_seconds histogram", "serin_halt_to_zero_seconds_bucket{le=\"0.025\"} 0",
            "serin_halt_to_zero_seconds_bucket{le=\"0.05\"} 1", "serin_halt_to_zero_seconds_bucket{le=\"15\"} 1",
            "serin_halt_to_zero_seconds_bucket{le=\"30\"} 2", "serin_halt_to_zero_seconds_bucket{le=\"+Inf\"} 2",
            "serin_halt_to_zero_seconds_sum 20.04", "serin_halt_to_zero_seconds_count 2",
            "serin_journal_fsync_seconds_count 1", "serin_decision_duration_seconds_count 0",
            "serin_journal_failures_total 0", "serin_effect_failures_total{kind=\"weight\"} 2",
            "serin_effect_failures_total{kind=\"restore\"} 0", "serin_invariant_violations_total 0",
            "serin_verdicts_total{signal=\"a\\\"b\",verdict=\"\(Verdict.pass.rawValue)\"} 7",
            "serin_evidence_age_seconds{service=\"checkout\"} 12.5", "serin_leader{service=\"checkout\"} 0",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }

    @Test func theBoundsOfALiveRolloutsRatioAreThereBetweenTwoComputations() async throws {
        fake.state.withLock { state in
            for index in state.status.signals.indices { state.status.signals[index].interval = nil }
            state.status.intervals = [
                ComputedInterval(
                    signal: "errors", at: state.status.since, ratio: 1.5, interval: Interval(low: 0.5, high: 2.5),
                    counts: CohortCounts())
            ]
        }
        let metrics = Request(method: "GET", path: "/metrics")
        let text = String(decoding: await health().respond(to: metrics).bytes ?? [], as: UTF8.self)
        #expect(text.contains("serin_signal_ratio_lower{service=\"checkout\",signal=\"errors\"} 0.5\n"))
        #expect(text.contains("serin_signal_ratio_upper{service=\"checkout\",signal=\"errors\"} 2.5\n"))
        fake.state.withLock { $0.status.isFinal = true }
        let after = String(decoding: await health().respond(to: metrics).bytes ?? [], as: UTF8.self)
        #expect(!after.contains("serin_signal_ratio_lower{"))
    }

    @Test func whatPeopleWereNotToldIsShownAndKeepsNobodyFromBeingReady() async throws {
        let now = Instant(millisecondsSince1970: 1_772_325_000_000)
        func undelivered(_ waiting: Int, _ oldest: Duration?, hasFailed: Bool = false, givenUp: Int = 0) -> Undelivered {
            Undelivered(
                channel: "team", waiting: waiting, oldest: oldest.map { now - $0 }, hasFailed: hasFailed, givenUp: givenUp,
                at: now)
        }
        #expect(undelivered(0, nil).check.complaint == nil)
        #expect(undelivered(1, .seconds(2)).check.complaint == nil, "it is being sent")
        #expect(
            undelivered(1, .seconds(2), hasFailed: true).check.complaint?.hasPrefix("1 notification waits, the oldest since")
                == true)
        #expect(undelivered(0, nil, givenUp: 2).check.complaint == "2 given up within a day")
        let ready = await health([undelivered(3, .minutes(2)).check]).respond(to: Request(method: "GET", path: "/readyz"))
        #expect(ready.status == 200)
        let check = try #require(try json(ready)["checks"]?.items?.first)
        #expect(check["name"]?.text == "notifications to team")
        #expect(check["complaint"]?.text == "3 notifications wait, the oldest since \(now - .minutes(2))")
        #expect(check["undelivered"]?["channel"]?.text == "team")
        #expect(check["undelivered"]?["waiting"]?.integer == 3)
        #expect(check["undelivered"]?["oldest"]?.text == "\(now - .minutes(2))")
        #expect(check["undelivered"]?["given_up"]?.integer == 0)
    }
}
