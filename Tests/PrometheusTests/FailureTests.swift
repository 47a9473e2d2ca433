import SerinModel
import SerinPrometheus
import Testbed
import Testing

/// What one way of answering makes of a reading.
struct FailureCase: Sendable, CustomStringConvertible {
    var description: String
    var steps: [ScriptedServer.Step]
    var kind: FailureClass
    var words: String

    init(_ description: String, _ steps: [ScriptedServer.Step], _ kind: FailureClass, _ words: String) {
        self.description = description
        self.steps = steps
        self.kind = kind
        self.words = words
    }
}

private func json(_ status: Int, _ type: String) -> [ScriptedServer.Step] {
    [.http(status, #"{"status":"error","errorType":"\#(type)","error":"the words"}"#)]
}

@Suite struct FailureTests {
    @Test(arguments: [
        FailureCase("bad query", json(400, "bad_data"), .invalid, "status 400: bad_data: the words"),
        FailureCase("execution", json(422, "execution"), .invalid, "status 422: execution: the words"),
        FailureCase("slow query", json(503, "timeout"), .transient, "status 503: timeout: the words"),
        FailureCase("starting", [.http(503, "Service Unavailable", type: "text/plain")], .transient, "status 503: Service"),
        FailureCase("no password", [.http(401, "Unauthorized", type: "text/plain")], .denied, "status 401: Unauthorized"),
        FailureCase("no right", [.http(403, "", type: "text/plain")], .denied, "status 403"),
        FailureCase("wrong method", [.http(405, "Method Not Allowed", type: "text/plain")], .invalid, "status 405: Method"),
        FailureCase("not found", [.http(404, "404 page not found", type: "text/plain")], .invalid, "status 404: 404 page"),
        FailureCase("redirect", [.http(302, "", headers: ["Location: /login"])], .invalid, "status 302"),
        FailureCase(
            "throttled", [.http(429, "slow down", type: "text/plain", headers: ["Retry-After: 9"])], .throttled, "status 429"),
        FailureCase("bad gateway", [.http(502, "<html>\n bad", type: "text/html")], .transient, "status 502: <html> bad"),
        FailureCase("an error with status 200", json(200, "bad_data"), .invalid, "bad_data: the words"),
        FailureCase("data with status 500", [.http(500, vector(""))], .transient, "status 500"),
        FailureCase("a page", [.http(200, "<html>log in</html>", type: "text/html")], .invalid, "not Prometheus' JSON"),
        FailureCase("half an answer", [.http(200, #"{"status":"success","data":{"resu"#)], .transient, "before it is whole"),
        FailureCase("nothing", [.http(200, "")], .transient, "before it is whole"),
        FailureCase(
            "a cut connection", [.text("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), .close(reset: false)], .unknown,
            "cannot POST"),
        FailureCase("garbage", [.text("\0\u{1}garbage\r\n\r\n"), .close(reset: false)], .unknown, "the answer is not HTTP"),
        FailureCase("silence", [.hang], .unknown, "no complete answer within 1s"),
        FailureCase("too much", [.http(200, String(repeating: " ", count: 5000))], .invalid, "longer than 4000 bytes"),
        FailureCase(
            "too many", [.http(200, vector((0..<6).map { row("1", "\"instance\":\"\($0)\"") }.joined(separator: ",")))], .invalid,
            "more than 5 series"),
        FailureCase(
            "no vector", [.http(200, #"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#)], .invalid,
            "no instant vector"),
    ])
    func everyFailureIsClassifiedAndToldAndLeavesNoRows(_ failure: FailureCase) async throws {
        var limits = AnswerLimits()
        limits.bytes = 4000
        limits.series = 5
        let steps = failure.steps
        let scripted = try ScriptedPrometheus(limits: limits) { _ in steps }
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry(timeout: failure.description == "silence" ? .seconds(1) : .seconds(20))
        let reading = await telemetry.read(request(alerts: []), at: at(0), deadline: .seconds(30))
        let found = try #require(reading.series[0].failure)
        #expect(found.kind == failure.kind)
        #expect(found.message.contains(failure.words), "\(found.message)")
        #expect(reading.series[0].rows.isEmpty)
        #expect(reading.instances.isEmpty || failure.description == "no vector")
        #expect(reading.alerts == nil || failure.description == "no vector")
        if found.kind == .throttled { #expect(found.retryAfter == .seconds(9)) }
    }

    @Test func warningsOfTheServerStandInTheReading() async throws {
        let sample = try #require(CapturedSample.all().first { $0.name == "p2_remote_read_down.body" })
        let scripted = try ScriptedPrometheus { _ in [.http(200, bytes: sample.body)] }
        defer { scripted.server.stop() }
        let reading = await scripted.telemetry().read(request(alerts: []), at: at(0), deadline: .seconds(30))
        #expect(reading.series[0].rows.map(\.value) == [100])
        #expect(reading.series[0].warnings.count == 1)
        #expect(reading.series[0].warnings.first?.hasPrefix("remote_read: error sending request") ?? false)
        #expect(reading.failures.contains { $0.message.hasPrefix("prometheus warned while reading targets") })
    }

    @Test func noAlertsFromAServerThatWarnsIsNotKnown() async throws {
        let body = #"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["partial"]}"#
        let scripted = try ScriptedPrometheus { _ in [.http(200, body)] }
        defer { scripted.server.stop() }
        let reading = await scripted.telemetry().read(request(alerts: []), at: at(0), deadline: .seconds(30))
        #expect(reading.alerts == nil)
    }

    @Test func rowsThatAreNoNumbersAreLeftOutAndNamed() async throws {
        let rows = ["NaN", "+Inf", "-1", "3"].enumerated().map { row($1, "\"instance\":\"\($0)\"") }.joined(separator: ",")
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(rows))] }
        defer { scripted.server.stop() }
        let reading = await scripted.telemetry().read(request(), at: at(0), deadline: .seconds(30))
        #expect(reading.series[0].rows.map { $0.label("instance") } == ["3"])
        #expect(reading.series[0].warnings.first == #"requests_total{instance="0"} is left out: its value is nan"#)
        #expect(reading.series[0].warnings.count == 3)
    }

    @Test func anExpressionWithSeveralSeriesForOneGroupIsRefused() async throws {
        let rows = [row("1", #""instance":"a","x":"1""#), row("2", #""instance":"a","x":"2""#)].joined(separator: ",")
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(rows))] }
        defer { scripted.server.stop() }
        let query = SeriesQuery(kind: .expression, metric: "m", matchers: [], groupedBy: ["instance"])
        let reading = await scripted.telemetry().read(request([query]), at: at(0), deadline: .seconds(30))
        #expect(reading.series[0].failure?.message == #"cannot read m: it has several series for {instance="a"}"#)
    }

    @Test func aHistogramNeedsItsLastBucketAndEqualEdgesAreAdded() async throws {
        func bucket(_ instance: String, _ le: String, _ value: String) -> String {
            row(value, #""instance":"\#(instance)","le":"\#(le)""#)
        }
        let rows = [
            bucket("a", "+Inf", "9"), bucket("a", "1.0", "2"), bucket("a", "0.5", "1"), bucket("a", "1", "3"),
            bucket("b", "1", "3"),
        ].joined(separator: ",")
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(rows))] }
        defer { scripted.server.stop() }
        let query = SeriesQuery(kind: .histogram, metric: "h", matchers: [], groupedBy: ["instance"])
        let reading = await scripted.telemetry().read(request([query]), at: at(0), deadline: .seconds(30))
        #expect(reading.series[0].rows.map { $0.label("instance") } == ["a"])
        #expect(reading.series[0].rows[0].value == 9)
        #expect(
            reading.series[0].rows[0].buckets
                == [Bucket(edge: 0.5, count: 1), Bucket(edge: 1, count: 5), Bucket(edge: .infinity, count: 9)])
        #expect(reading.series[0].warnings == [#"h{instance="b"} is left out: its buckets are not a whole histogram"#])
    }

    @Test(arguments: [
        (#"[{"labels":{"alertname":"A"},"status":{"silencedBy":[]}}]"#, ["alertmanager"], 0),
        (#"[{"labels":{"alertname":"A"},"status":{"silencedBy":["x"]}}]"#, [], 0), ("[]", [], 0),
        ("{}", nil, 1), ("garbage", nil, 1), (#"[{"labels":{}}]"#, nil, 1), ("[1]", nil, 1), ("[{", nil, 1),
        (#"[{"labels":{"a":1},"status":{"silencedBy":[]}}]"#, nil, 1),
    ])
    func alertmanagersAnswersAreAlertsOrFailures(_ body: String, _ sources: [String]?, _ failures: Int) async throws {
        let manager = try ScriptedServer { _ in [.http(200, body)] }
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(""))] }
        defer {
            manager.stop()
            scripted.server.stop()
        }
        let matchers = [LabelMatcher("alertname", .matches, "A|\"B"), LabelMatcher("x", .notEqual, "")]
        let telemetry = scripted.telemetry(timeout: .seconds(20), alertmanager: manager.url)
        let reading = await telemetry.read(request(alerts: matchers), at: at(0), deadline: .seconds(30))
        #expect(reading.alerts?.map(\.source) == sources)
        #expect(reading.failures.count == failures, "\(reading.failures)")
        #expect(
            manager.requests.map(\.target) == [
                "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
                    + "&filter=alertname%3D~%22A%7C%5C%22B%22&filter=x%21%3D%22%22"
            ])
    }

    @Test func anAlertSeenAnywhereCountsEvenWhenTheOtherSourceIsDown() async throws {
        let scripted = try ScriptedPrometheus { request in
            let query = request.field("query") ?? ""
            let alert = row("1", #""__name__":"ALERTS","alertname":"A","alertstate":"firing""#)
            return [.http(200, vector(query.hasPrefix("ALERTS{") ? alert : ""))]
        }
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry(timeout: .seconds(20), alertmanager: "http://127.0.0.1:\(try freePort())")
        let reading = await telemetry.read(request(alerts: []), at: at(0), deadline: .seconds(30))
        #expect(reading.alerts == [AlertReading(source: "prometheus", labels: [Label("alertname", "A")])])
        #expect(reading.failures.map(\.kind) == [.transient])
        #expect(scripted.requests.contains { $0.field("query") == #"ALERTS{alertstate="firing"}"# })
    }

    @Test func valuesWithoutAnAgeAreNamed() async throws {
        let scripted = try ScriptedPrometheus { request in
            let isAge = request.field("query")?.contains("timestamp(") ?? false
            return [.http(200, vector(isAge ? row("1795217000.5") : row("7") + "," + row("8", #""instance":"b:1""#)))]
        }
        defer { scripted.server.stop() }
        let reading = await scripted.telemetry().read(request(), at: at(0), deadline: .seconds(30))
        #expect(reading.series[0].rows.map(\.sampledAt) == [Instant(millisecondsSince1970: 1_795_217_000_500), nil])
        #expect(reading.series[0].warnings == ["the age of 1 of 2 rows of requests_total is not known"])
    }
}
