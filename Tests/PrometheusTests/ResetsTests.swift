import SerinLocks
import SerinModel
import SerinPrometheus
import Testbed
import Testing

@Suite struct ResetsTests {
    /// Answers value queries with rows that the test sets, and `resets()` with 2.
    private func scripted(_ rows: Locked<String>) throws -> ScriptedPrometheus {
        try ScriptedPrometheus { request in
            let query = request.field("query") ?? ""
            if query.contains("resets(") { return [.http(200, vector(row("2")))] }
            return [.http(200, vector(query.hasPrefix("sum by") ? rows.withLock { $0 } : row("1795217000")))]
        }
    }

    private func resetQueries(_ server: ScriptedServer) -> [String] {
        server.requests.compactMap { $0.field("query") }.filter { $0.contains("resets(") }
    }

    @Test func resetsAreAskedOnlyForWhatFellAndOverTheTimeSinceItWasSeen() async throws {
        let rows = Locked(row("100"))
        let scripted = try scripted(rows)
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry()
        func value(_ seconds: Int64) async -> SeriesRow? {
            await telemetry.read(request(), at: at(seconds * 1000), deadline: .seconds(30)).series[0].rows.first
        }
        #expect(await value(0)?.resets == nil)
        #expect(await value(15)?.resets == nil)
        #expect(resetQueries(scripted.server).isEmpty)
        rows.withLock { $0 = row("5") }
        #expect(await value(30)?.resets == 2)
        // 15 s since the last poll, and 30 s because the scrape interval is not known.
        #expect(resetQueries(scripted.server) == ["sum by (instance) (resets(requests_total{}[45s]))"])
        rows.withLock { $0 = row("6") }
        #expect(await value(45)?.resets == nil)
        #expect(resetQueries(scripted.server).count == 1)
    }

    @Test func aFallAcrossPollsWithoutTheSeriesIsCheckedOverTheWholeGap() async throws {
        let rows = Locked(row("100"))
        let scripted = try scripted(rows)
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry()
        for (seconds, next) in [(Int64(0), ""), (15, ""), (30, row("5"))] {
            _ = await telemetry.read(request(), at: at(seconds * 1000), deadline: .seconds(30))
            rows.withLock { $0 = next }
        }
        let reading = await telemetry.read(request(), at: at(45_000), deadline: .seconds(30))
        #expect(reading.series[0].rows.first?.resets == 2)
        #expect(resetQueries(scripted.server) == ["sum by (instance) (resets(requests_total{}[75s]))"])
    }

    @Test func aHistogramFallsWhenAnyBucketFallsAndAGaugeMayFall() async throws {
        func buckets(_ low: Int, _ all: Int) -> String {
            [("0.5", low), ("+Inf", all)].map { row("\($1)", #""instance":"a:1","le":"\#($0)""#) }.joined(separator: ",")
        }
        let rows = Locked(buckets(7, 9))
        let scripted = try scripted(rows)
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry()
        let query = SeriesQuery(kind: .histogram, metric: "h", matchers: [], groupedBy: ["instance"])
        _ = await telemetry.read(request([query]), at: at(0), deadline: .seconds(30))
        rows.withLock { $0 = buckets(6, 20) }
        let reading = await telemetry.read(request([query]), at: at(15_000), deadline: .seconds(30))
        #expect(reading.series[0].rows.first?.resets == 2)
        let gauge = SeriesQuery(kind: .gauge, metric: "g", matchers: [], groupedBy: ["instance"])
        for seconds in [Int64(30), 45] {
            _ = await telemetry.read(request([gauge]), at: at(seconds * 1000), deadline: .seconds(30))
        }
        #expect(resetQueries(scripted.server).count == 1)
    }

    @Test func unknownResetsAreAWarning() async throws {
        let rows = Locked(row("100"))
        let scripted = try ScriptedPrometheus { request in
            let query = request.field("query") ?? ""
            if query.contains("resets(") { return [.http(503, "busy", type: "text/plain")] }
            return [.http(200, vector(query.hasPrefix("sum by") ? rows.withLock { $0 } : row("1795217000")))]
        }
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry()
        _ = await telemetry.read(request(), at: at(0), deadline: .seconds(30))
        rows.withLock { $0 = row("1") }
        let reading = await telemetry.read(request(), at: at(15_000), deadline: .seconds(30))
        #expect(reading.series[0].rows.first?.resets == nil)
        #expect(reading.series[0].warnings.first?.hasPrefix("the resets of requests_total are not known: ") ?? false)
    }

    @Test func instancesThatVanishAreStillReportedForAnHour() async throws {
        let rows = Locked(row("100"))
        let scripted = try ScriptedPrometheus { request in
            let query = request.field("query") ?? ""
            if query.hasPrefix("sum by") || query.hasPrefix("min by (instance) (up)") {
                return [.http(200, vector(rows.withLock { $0 }))]
            }
            return [.http(200, vector(""))]
        }
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry()
        func instances(_ seconds: Int64) async -> [InstanceReading] {
            await telemetry.read(request(), at: at(seconds * 1000), deadline: .seconds(30)).instances
        }
        #expect(await instances(0) == [InstanceReading(instance: "a:1", up: 100, startedAt: nil)])
        rows.withLock { $0 = "" }
        #expect(await instances(60) == [InstanceReading(instance: "a:1", up: nil, startedAt: nil)])
        #expect(await instances(3580).count == 1)
        #expect(await instances(3600).isEmpty)
    }
}
