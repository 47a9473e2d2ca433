import SerinLocks
import SerinModel
import SerinPrometheus
import Testbed
import Testing

@Suite struct ServerClockTests {
    private func scripted() throws -> ScriptedPrometheus {
        try ScriptedPrometheus { request in
            // The age of what is read: a second before the evaluation.
            let time = Double(request.field("time") ?? "") ?? 0
            return [.http(200, vector(row(request.field("query")?.contains("timestamp") == true ? "\(time - 1)" : "7")))]
        }
    }

    private func times(_ scripted: ScriptedPrometheus) -> [Int64] {
        scripted.requests.map { Int64((Double($0.field("time") ?? "") ?? 0) * 1000 + 0.5) - at(0).millisecondsSince1970 }
    }

    @Test(arguments: [3_600_000, -300_000] as [Int64])
    func aServerIsAskedAtItsOwnTimeAndItsTimesAreToldAtOurs(ahead: Int64) async throws {
        let scripted = try scripted()
        defer { scripted.server.stop() }
        scripted.time.withLock { $0 = at(ahead) }
        let reading = await scripted.telemetry().read(request(), at: at(0), deadline: .seconds(30))
        // As far ahead as it can be told: the answer took a moment.
        #expect(times(scripted).allSatisfy { (ahead - 30_000...ahead).contains($0) }, "\(times(scripted))")
        #expect(Set(times(scripted)).count == 1)
        #expect(reading.evaluatedAt == at(0))
        #expect(reading.series[0].rows.first?.sampledAt == at(-1000))
    }

    @Test func aClockThatShowsWhatIsExpectedIsNotFollowedByTheTimeItsAnswersTake() async throws {
        let scripted = try scripted()
        defer { scripted.server.stop() }
        scripted.time.withLock { $0 = at(0) }
        _ = await scripted.telemetry().read(request(), at: at(0), deadline: .seconds(30))
        #expect(Set(times(scripted)) == [0])
    }

    @Test func aServerWhoseClockIsSetBackHasNoEvidenceUntilItHasCaughtUp() async throws {
        let scripted = try scripted()
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry()
        scripted.time.withLock { $0 = at(0) }
        _ = await telemetry.read(request(), at: at(0), deadline: .seconds(30))
        scripted.time.withLock { $0 = at(-60_000) }
        let back = await telemetry.read(request(alerts: []), at: at(15_000), deadline: .seconds(30))
        #expect(back.series[0].rows.isEmpty && back.instances.isEmpty && back.alerts == nil)
        #expect(back.series[0].failure?.message.contains("set back by 1m") ?? false, "\(back)")
        scripted.time.withLock { $0 = at(1000) }
        let after = await telemetry.read(request(), at: at(76_000), deadline: .seconds(30))
        #expect(after.series[0].rows.map(\.value) == [7])
    }

    @Test(arguments: [9_100_000_000_000_000_000, -9_100_000_000_000_000_000, 253_402_300_800_000, -1] as [Int64])
    func aTimeThatCannotBeIsNotFollowed(milliseconds: Int64) async throws {
        let scripted = try scripted()
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry()
        scripted.time.withLock { $0 = at(0) }
        _ = await telemetry.read(request(), at: at(0), deadline: .seconds(30))
        for shown in [milliseconds, 0 - milliseconds] {
            scripted.time.withLock { $0 = Instant(millisecondsSince1970: shown) }
            let reading = await telemetry.read(request(), at: at(15_000), deadline: .seconds(30))
            if !Instant.plausible.contains(Instant(millisecondsSince1970: shown)) {
                #expect(reading.series[0].rows.map(\.value) == [7], "\(reading)")
            }
        }
    }

    @Test(arguments: ["9150000000000000", "-9150000000000000", "253402300800", "1e300"])
    func startsAndAgesThatCannotBeAreNotKnown(value: String) async throws {
        let scripted = try ScriptedPrometheus { request in
            let query = request.field("query") ?? ""
            return [.http(200, vector(row(query.contains("timestamp") || query.contains("process_start") ? value : "7")))]
        }
        defer { scripted.server.stop() }
        scripted.time.withLock { $0 = at(0) }
        let reading = await scripted.telemetry().read(request(), at: at(0), deadline: .seconds(30))
        #expect(scripted.requests.contains { $0.field("query")?.contains("process_start") == true })
        #expect(reading.instances.allSatisfy { $0.startedAt == nil } && !reading.instances.isEmpty, "\(reading)")
        #expect(reading.series[0].rows.map(\.value) == [7])
        #expect(reading.series[0].rows.allSatisfy { $0.sampledAt == nil })
    }

    @Test func thePastIsReadAtTheServersTimeToo() async throws {
        let scripted = try ScriptedPrometheus { request in
            let start = Double(request.field("start") ?? "") ?? 0
            return request.target == "/api/v1/query_range"
                ? [
                    .http(
                        200,
                        #"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":"a"},"values":[[\#(start),"5"]]}]}}"#
                    )
                ] : [.http(200, vector(""))]
        }
        defer { scripted.server.stop() }
        scripted.time.withLock { $0 = at(3_600_000) }
        let history = await scripted.telemetry().history(
            request(), of: [], from: at(-60_000), to: at(0), deadline: .seconds(30))
        #expect(history.start == at(-60_000))
        #expect(history.series[0].map(\.values) == [[5, nil]])
    }
}
