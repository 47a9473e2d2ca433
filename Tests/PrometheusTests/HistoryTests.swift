import SerinModel
import SerinPrometheus
import Testbed
import Testing

@Suite struct HistoryTests {
    /// Answers range queries with the minute's number at each minute asked for; every `failing`-th part fails.
    private func scripted(failing: Int64? = nil) throws -> ScriptedPrometheus {
        try ScriptedPrometheus { request in
            guard request.target == "/api/v1/query_range" else { return [.http(200, vector(""))] }
            let start = Int64(request.field("start")?.split(separator: ".").first ?? "") ?? 0
            let end = Int64(request.field("end")?.split(separator: ".").first ?? "") ?? 0
            let origin = at(0).millisecondsSince1970 / 1000
            if let failing, (start - origin) / 60 == failing { return [.http(503, "busy", type: "text/plain")] }
            let values = stride(from: start, through: end, by: 60).map { "[\($0),\"\(($0 - origin) / 60)\"]" }
            let series = #"{"metric":{"instance":"a","version":"1"},"values":[\#(values.joined(separator: ","))]}"#
            return [.http(200, #"{"status":"success","data":{"resultType":"matrix","result":[\#(series)]}}"#)]
        }
    }

    @Test func aLongHistoryIsReadInPartsAndPutTogether() async throws {
        let scripted = try scripted()
        defer { scripted.server.stop() }
        let history = await scripted.telemetry().history(
            request(), of: [Label("version", "1")], from: at(0), to: at(2500 * 60_000 + 59_999), deadline: .seconds(30))
        #expect(history.series[0].map(\.values) == [(0...2500).map { Double($0) }])
        #expect(history.warnings.isEmpty)
        let parts = scripted.requests.filter { $0.target == "/api/v1/query_range" }
        #expect(parts.count == 3)
        #expect(
            parts.allSatisfy {
                $0.field("query") == #"sum by (instance) (requests_total{version="1"})"# && $0.field("step") == "60"
            })
    }

    @Test func aPartThatCannotBeReadIsAbsentAndNamed() async throws {
        let scripted = try scripted(failing: 1000)
        defer { scripted.server.stop() }
        let history = await scripted.telemetry().history(
            request(), of: [], from: at(0), to: at(2500 * 60_000), deadline: .seconds(30))
        let values = try #require(history.series[0].first?.values)
        #expect(values[999] == 999 && values[2000] == 2000)
        #expect(values[1000..<2000].allSatisfy { $0 == nil })
        #expect(history.warnings.count == 1 && history.warnings[0].contains("status 503"), "\(history.warnings)")
    }

    @Test func historyEndsAtItsDeadlineAndSaysSo() async throws {
        let server = try ScriptedPrometheus { _ in [.hang] }
        defer { server.server.stop() }
        let history = await server.telemetry(timeout: .seconds(30)).history(
            request(), of: [], from: at(0), to: at(600_000), deadline: .milliseconds(200))
        #expect(history.series == [[]])
        #expect(history.scrapeInterval == nil)
        #expect(!history.warnings.isEmpty)
    }

    @Test func historyThatEndsBeforeItStartsIsEmpty() async throws {
        let scripted = try scripted()
        defer { scripted.server.stop() }
        let history = await scripted.telemetry().history(request(), of: [], from: at(60_000), to: at(0), deadline: .seconds(30))
        #expect(history.series == [[]])
    }

    @Test(arguments: [("-9.1e15", "9.1e15"), ("0", "253402300799"), ("1795217000", "253402300800")])
    func samplesAtTimesThatCannotBeTellNoInterval(first: String, last: String) async throws {
        let scripted = try ScriptedPrometheus { request in
            func matrix(_ series: String) -> String {
                #"{"status":"success","data":{"resultType":"matrix","result":[\#(series)]}}"#
            }
            if request.target == "/api/v1/query_range" { return [.http(200, matrix(""))] }
            guard request.field("query")?.hasSuffix("[5m]") == true else { return [.http(200, vector(row("1")))] }
            return [.http(200, matrix(#"{"metric":{"instance":"a:1"},"values":[[\#(first),"1"],[\#(last),"1"]]}"#))]
        }
        defer { scripted.server.stop() }
        let history = await scripted.telemetry().history(request(), of: [], from: at(0), to: at(60_000), deadline: .seconds(30))
        #expect(history.scrapeInterval == nil)
        #expect(scripted.requests.contains { $0.field("query")?.hasSuffix("[5m]") == true })
    }

    @Test func anExpressionsSeriesAreToldApartByTheCohortsLabels() async throws {
        let scripted = try scripted()
        defer { scripted.server.stop() }
        let query = SeriesQuery(kind: .expression, metric: "x", matchers: [], groupedBy: ["instance"])
        let telemetry = scripted.telemetry()
        let own = await telemetry.history(
            request([query]), of: [Label("version", "1")], from: at(0), to: at(60_000), deadline: .seconds(30))
        #expect(own.series[0].map(\.values) == [[0, 1]])
        let other = await telemetry.history(
            request([query]), of: [Label("version", "2")], from: at(0), to: at(60_000), deadline: .seconds(30))
        #expect(other.series == [[]])
    }
}
