import FakeController
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import Testbed
import Testing

@testable import SerinCommandLine

/// `serin backtest` over a range, asked of a real Prometheus: what it kept in blocks, and what it has just scraped.
@Suite(.serialized, .timeLimit(.minutes(3))) struct RangeBacktestTests {
    /// The counters of both cohorts, one canary and four controls, as they were scraped every 15 seconds.
    private struct Past {
        /// When nothing was scraped.
        var gap: ClosedRange<Instant>?
        /// When the canary was scraped for the last time; nil: as long as the others.
        var canaryEnd: Instant?
        /// When the canary was started anew, so that it counted from 0.
        var restart: Instant?
        /// How often the canary's requests failed, in percent; of the controls' it is one.
        var canaryErrors = 1.0

        /// The text for Prometheus, and what each instance counts at the end.
        func text(from start: Instant, to end: Instant) -> (text: String, last: [String: (good: Int, bad: Int)]) {
            var (text, up) = ("# TYPE http_requests counter\n", "# TYPE up gauge\n")
            var last: [String: (good: Int, bad: Int)] = [:]
            for instance in ["canary:1", "control:1", "control:2", "control:3", "control:4"] {
                let isCanary = instance.hasPrefix("canary")
                // The same numbers at every run.
                var random = Draws(seed: UInt64(instance.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
                var (good, bad) = (0, 0)
                var lines: [[String]] = [[], [], []]
                var at = start
                while at <= end {
                    if isCanary, let restart, at >= restart, at - restart < .seconds(15) { (good, bad) = (0, 0) }
                    let rate = isCanary ? canaryErrors / 100 : 0.01
                    let requests = 250 + Int(random.next() * 100)
                    let faults = (0..<requests).reduce(0) { count, _ in count + (random.next() < rate ? 1 : 0) }
                    (good, bad) = (good + requests - faults, bad + faults)
                    let isScraped = gap?.contains(at) != true && (!isCanary || canaryEnd.map { at <= $0 } ?? true)
                    if isScraped {
                        let labels = "instance=\"\(instance)\",job=\"test\",version=\"\(isCanary ? 2 : 1)\""
                        let seconds = at.millisecondsSince1970 / 1000
                        lines[0].append("http_requests_total{code=\"200\",\(labels)} \(good) \(seconds)")
                        lines[1].append("http_requests_total{code=\"500\",\(labels)} \(bad) \(seconds)")
                        lines[2].append("up{\(labels)} 1 \(seconds)")
                    }
                    at = at + .seconds(15)
                }
                text += (lines[0] + lines[1]).joined(separator: "\n") + "\n"
                up += lines[2].joined(separator: "\n") + "\n"
                last[instance] = (good, bad)
            }
            return (text + up + "# EOF\n", last)
        }
    }

    /// Numbers from 0 to 1 that only look random.
    private struct Draws {
        private var state: UInt64
        init(seed: UInt64) { state = seed | 1 }
        mutating func next() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 53)
        }
    }

    private func policy(_ server: PrometheusServer, tolerance: Double = 0.1) -> Policy {
        var policy = Policy.sample()
        policy.prometheus.endpoint = HTTPEndpoint(url: server.url)
        policy.prometheus.canary = [Label("version", "2")]
        policy.prometheus.control = [Label("version", "1")]
        policy.signals = [
            SignalPolicy(
                name: "errors", source: .ratio(counter: "http_requests_total", bad: [LabelMatcher("code", .matches, "5..")]),
                tolerance: tolerance, assureTolerance: max(1, tolerance), assureFloor: 0.005)
        ]
        return policy
    }

    private func backtest(
        _ policy: Policy, from: Instant, to: Instant
    ) async throws -> (code: ExitCode, document: JSONValue, messages: String) {
        let program = try TestProgram()
        program.readsPast.withLock { $0 = true }
        program.tried.withLock { $0 = policy }
        let code = await program.run(
            "backtest", program.policy(), "--from", "\(from)", "--to", "\(to)", "--version", "2", "--previous", "1", "-o", "json")
        let text = program.takeOutput()
        return (code, text.isEmpty ? .null : try JSONValue(parsing: Array(text.utf8)), program.messages.withLock { $0 })
    }

    private func now() -> Instant {
        // Whole seconds, as times are written.
        Instant(millisecondsSince1970: SystemClock().now().millisecondsSince1970 / 1000 * 1000)
    }

    private func server(_ past: String, _ change: (inout PrometheusServer.Settings) -> Void = { _ in }) async throws
        -> PrometheusServer
    {
        var settings = PrometheusServer.Settings()
        settings.past = past
        change(&settings)
        return try await PrometheusServer.start([], settings)
    }

    private func verdicts(_ document: JSONValue) -> [String] {
        document["stretches"]?.items?.compactMap { $0["now"]?.text } ?? []
    }

    @Test func aRangeIsJudgedByWhatWasKeptAndByWhatWasScrapedJustNow() async throws {
        let start = now() - .hours(8)
        var past = Past()
        past.canaryErrors = 2
        let (text, last) = past.text(from: start, to: now() - .seconds(5))
        // The same instances go on counting, and are scraped.
        var exporters: [(exporter: ScriptedExporter, instance: String)] = []
        defer { for one in exporters { one.exporter.stop() } }
        for (instance, counts) in last {
            let bad = counts.bad + (instance.hasPrefix("canary") ? 24 : 12)
            let exporter = try ScriptedExporter(
                "http_requests_total{code=\"200\"} \(counts.good + 1200)\nhttp_requests_total{code=\"500\"} \(bad)\n")
            exporters.append((exporter, instance))
        }
        var settings = PrometheusServer.Settings()
        settings.past = text
        let server = try await PrometheusServer.start(
            exporters.map { one in
                PrometheusServer.Targets(
                    [one.exporter.address],
                    [Label("version", one.instance.hasPrefix("canary") ? "2" : "1"), Label("instance", one.instance)])
            }, settings)
        defer { server.stop() }
        try await waitUntil("a few scrapes") { exporters.allSatisfy { $0.exporter.scrapes >= 3 } }
        let end = now()
        for (tolerance, verdict) in [(0.1, "fail"), (5, "pass")] {
            let tried = try await backtest(policy(server, tolerance: tolerance), from: end - .hours(1), to: end)
            #expect(tried.code == .ok, "\(tried.messages)")
            #expect(tried.document["polls"]?.integer == 61, "\(tried.document.canonicalText)")
            #expect(verdicts(tried.document).last == verdict, "\(tried.document.canonicalText)")
            #expect(tried.document["warnings"]?.items == [], "\(tried.document.canonicalText)")
            let noise = tried.document["signals"]?.items?.first?["noise"]?.text ?? ""
            #expect(noise.contains("6 h of 4 control instances"), "\(noise)")
        }
        // A day is read in parts, and most of it is from before anything was kept.
        let day = try await backtest(policy(server, tolerance: 5), from: end - .hours(24), to: end)
        #expect(day.code == .ok, "\(day.messages)")
        #expect(verdicts(day.document).last == "pass", "\(day.document.canonicalText)")
        #expect(day.messages.contains("nothing was kept of both cohorts before"), "\(day.messages)")
        #expect((478...482).contains(day.document["polls"]?.integer ?? 0), "\(day.document.canonicalText)")
        let before = try await backtest(policy(server), from: end - .hours(30), to: end - .hours(29))
        #expect(before.code == .usage && before.messages.contains("told nothing of the policy's cohorts"), "\(before.messages)")
        var another = policy(server)
        another.prometheus.canary = [Label("version", "3")]
        let none = try await backtest(another, from: end - .hours(1), to: end)
        #expect(none.code == .usage && none.messages.contains("told nothing of the canary"), "\(none.messages)")
    }

    /// Prometheus repeats a value for five minutes after its last sample.
    @Test func whatIsRepeatedAfterTheLastSampleIsNotWithoutTraffic() async throws {
        let end = now()
        var past = Past()
        past.canaryEnd = end - .minutes(4)
        let server = try await server(past.text(from: end - .hours(8), to: end).text)
        defer { server.stop() }
        let tried = try await backtest(policy(server, tolerance: 5), from: end - .hours(1), to: end)
        #expect(tried.code == .ok, "\(tried.messages)")
        let signal = try #require(tried.document["signals"]?.items?.first)
        #expect(verdicts(tried.document).last == "nodata")
        #expect(signal["reason"]?.text?.contains("the newest sample of the canary is too old") == true, "\(signal.canonicalText)")
    }

    @Test func aGapAndARestartCondemnNobody() async throws {
        let end = now()
        let start = end - .hours(2)
        var past = Past()
        past.gap = (start + .minutes(30))...(start + .minutes(40))
        past.restart = start + .minutes(80)
        let server = try await server(past.text(from: end - .hours(8), to: end).text)
        defer { server.stop() }
        // The edges lie between scrapes.
        let tried = try await backtest(policy(server), from: start + .seconds(7), to: end)
        #expect(tried.code == .ok, "\(tried.messages)")
        #expect(!verdicts(tried.document).contains("fail"), "\(tried.document.canonicalText)")
        #expect(verdicts(tried.document).last == "pass", "\(tried.document.canonicalText)")
        let signal = try #require(tried.document["signals"]?.items?.first)
        // 250 to 350 requests every 15 seconds. What came while nothing was scraped is counted where the counters tell it; at the
        // restart, and where the gap began and ended, a minute each is lost at most.
        let canary = try #require(signal["canary"]?["exposure"]?.double)
        #expect((100.0 * 4 * 250...121 * 4 * 350).contains(canary), "\(canary)")
    }

    @Test func whatRetentionTookAwayIsNotJudged() async throws {
        let end = now()
        let (text, _) = Past().text(from: end - .hours(12), to: end)
        let server = try await server(text) { $0.arguments = ["--storage.tsdb.retention.time=3h"] }
        defer { server.stop() }
        let tried = try await backtest(policy(server), from: end - .hours(1), to: end)
        #expect(tried.code == .ok && verdicts(tried.document).last == "pass", "\(tried.document.canonicalText)")
        let gone = try await backtest(policy(server), from: end - .hours(11), to: end - .hours(10))
        #expect(gone.code == .usage && gone.messages.contains("told nothing of the policy's cohorts"), "\(gone.messages)")
    }
}
