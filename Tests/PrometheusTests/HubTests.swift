import Glibc
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPrometheus
import SerinTransport
import Testbed
import Testing

/// A server that answers every query as a test says, and telemetry that reads from it.
struct ScriptedPrometheus {
    let server: ScriptedServer
    /// What its clock shows when it is asked; nil keeps it from telling, so that it is taken to agree with its reader's.
    let time = Locked<Instant?>(nil)
    let hubs: TelemetryHubs

    init(
        limits: AnswerLimits = AnswerLimits(),
        respond: @escaping @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]
    ) throws {
        server = try ScriptedServer { [time] request in
            guard request.field("query") == "time()" else { return respond(request) }
            guard let time = time.withLock({ $0 }) else { return [.http(404, "")] }
            let text = "\(Double(time.millisecondsSince1970) / 1000)"
            return [.http(200, #"{"status":"success","data":{"resultType":"scalar","result":[\#(text),"\#(text)"]}}"#)]
        }
        hubs = TelemetryHubs(transport: try Transport(), limits: limits) { reference throws(Failure) in
            guard reference == .environment("TOKEN") else { throw Failure(.invalid, "no such secret") }
            return "hush-hush"
        }
    }

    /// Every request so far but those for its time.
    var requests: [ScriptedServer.Request] { server.requests.filter { $0.field("query") != "time()" } }

    func telemetry(
        poll: Duration = .seconds(15), timeout: Duration = .seconds(5), authentication: HTTPAuthentication? = nil,
        alertmanager: String? = nil
    ) -> PrometheusTelemetry {
        let endpoint = HTTPEndpoint(url: server.url, authentication: authentication)
        let policy = PrometheusPolicy(
            endpoint: endpoint, instanceLabel: "instance", canary: [Label("version", "2")], control: [Label("version", "1")],
            staleAfter: nil, timeout: timeout)
        let alerts = alertmanager.map { AlertsPolicy(match: [], alertmanager: HTTPEndpoint(url: $0)) }
        return hubs.telemetry(for: policy, alerts: alerts, poll: poll)
    }
}

/// Holds a scripted server's thread until the test opens it.
final class Gate: Sendable {
    private let isOpen = Locked(false)

    func open() { isOpen.withLock { $0 = true } }

    // sleeps: the server's thread, not the test
    func wait() { while !isOpen.withLock({ $0 }) { usleep(2000) } }
}

let requests = SeriesQuery(kind: .counter, metric: "requests_total", matchers: [], groupedBy: ["instance"])

func request(_ queries: [SeriesQuery] = [requests], alerts: [LabelMatcher]? = nil) -> TelemetryRequest {
    TelemetryRequest(queries: queries, instanceLabel: "instance", alerts: alerts)
}

func at(_ milliseconds: Int64) -> Instant { Instant(millisecondsSince1970: 1_795_217_000_000 + milliseconds) }

func row(_ value: String, _ labels: String = #""instance":"a:1""#) -> String {
    #"{"metric":{\#(labels)},"value":[1795217000,"\#(value)"]}"#
}

@Suite struct HubTests {
    @Test func aHundredRolloutsThatAskTheSameCostOneQueryForEachShapeAndPoll() async throws {
        let scripted = try ScriptedPrometheus { _ in [.pause(.milliseconds(30)), .http(200, vector(row("7")))] }
        defer { scripted.server.stop() }
        let rollouts = (0..<100).map { _ in scripted.telemetry() }
        for poll in 0..<3 {
            let readings = await withTaskGroup(of: TelemetryReading.self) { group in
                for (index, rollout) in rollouts.enumerated() {
                    let time = at(Int64(poll) * 15_000 + Int64(index) * 20)
                    group.addTask { await rollout.read(request(), at: time, deadline: .seconds(30)) }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(readings.allSatisfy { $0.series[0].rows.map(\.value) == [7] && $0.failures.isEmpty })
            #expect(Set(readings.map(\.evaluatedAt)).count == 1, "one evaluation time a poll")
        }
        let values = scripted.requests.filter { $0.field("query")?.hasPrefix("sum by") ?? false }
        #expect(values.count == 3)
        // Value, age, `up` and start time.
        #expect(scripted.requests.count == 12)
    }

    @Test func pollsAtRandomMomentsShareWhatIsYoungerThanHalfAPollAndSayItsTime() async throws {
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(row("7")))] }
        defer { scripted.server.stop() }
        var random = SeededRandom(seed: 3)
        let phases = (0..<40).map { _ in Int64.random(in: 0..<15_000, using: &random) }.sorted()
        let rollouts = phases.map { _ in scripted.telemetry() }
        var last: [Int: Instant] = [:]
        for poll in 0..<10 {
            for (index, phase) in phases.enumerated() {
                let time = at(Int64(poll) * 15_000 + phase)
                let reading = await rollouts[index].read(request(), at: time, deadline: .seconds(30))
                #expect(abs((time - reading.evaluatedAt).milliseconds) < 7500)
                #expect(last[index].map { $0 < reading.evaluatedAt } ?? true, "no poll sees the same moment twice")
                last[index] = reading.evaluatedAt
            }
        }
        let values = scripted.requests.filter { $0.field("query")?.hasPrefix("sum by") ?? false }
        #expect(values.count <= 21, "\(values.count)")
    }

    @Test func aFastReaderOfOtherShapesDoesNotKeepSlowOnesFromSharing() async throws {
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(row("7")))] }
        defer { scripted.server.stop() }
        let fast = scripted.telemetry(poll: .seconds(2))
        let other = SeriesQuery(kind: .counter, metric: "other_total", matchers: [], groupedBy: ["instance"])
        let slow = (0..<10).map { _ in scripted.telemetry() }
        for second in Int64(0)..<15 {
            if second % 2 == 0 { _ = await fast.read(request([other]), at: at(second * 1000), deadline: .seconds(30)) }
            if second < 10 { _ = await slow[Int(second)].read(request(), at: at(second * 1000 + 500), deadline: .seconds(30)) }
        }
        let values = scripted.requests.filter { $0.field("query")?.hasPrefix("sum by (instance) (requests") ?? false }
        #expect(values.count <= 2, "\(values.count)")
    }

    @Test func everyQueryOfAPollHasTheSameEvaluationTimeAndAServerSideTimeout() async throws {
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(row("7")))] }
        defer { scripted.server.stop() }
        let reading = await scripted.telemetry(timeout: .milliseconds(2500)).read(
            request(alerts: []), at: at(7), deadline: .seconds(30))
        #expect(reading.evaluatedAt == at(7))
        #expect(scripted.requests.count == 5)
        for request in scripted.requests {
            #expect(request.method == "POST")
            #expect(request.target == "/api/v1/query")
            #expect(request.field("time") == "1795217000.007")
            #expect(request.field("timeout") == "2500ms")
        }
    }

    /// A server that answers only once the gate is open.
    private func gated(_ gate: Gate) throws -> ScriptedPrometheus {
        try ScriptedPrometheus { _ in
            gate.wait()
            return [.http(200, vector(row("7")))]
        }
    }

    @Test func nobodyWaitsBeyondItsDeadlineForAnAnswerAndWhoCanWaitStillGetsIt() async throws {
        let gate = Gate()
        let scripted = try gated(gate)
        defer { scripted.server.stop() }
        let hasty = scripted.telemetry(timeout: .seconds(60))
        let patient = scripted.telemetry(timeout: .seconds(60))
        async let late = patient.read(request(), at: at(0), deadline: .seconds(60))
        // The gate is still closed when this returns: it cannot have waited for the answer.
        let early = await hasty.read(request(), at: at(0), deadline: .milliseconds(100))
        #expect(early.series[0].failure?.kind == .transient)
        #expect(early.series[0].failure?.message.hasSuffix("no answer within 100ms") ?? false)
        #expect(early.instances.isEmpty && !early.failures.isEmpty)
        gate.open()
        #expect(await late.series[0].rows.map(\.value) == [7])
        // Who comes after giving up finds the answer that arrived meanwhile.
        let again = await hasty.read(request(), at: at(1), deadline: .seconds(60))
        #expect(again.series[0].rows.map(\.value) == [7])
        #expect(scripted.requests.count == 4)
    }

    @Test func anAnswerThatNobodyWaitedForIsThereForWhoComesNext() async throws {
        let gate = Gate()
        let scripted = try gated(gate)
        defer { scripted.server.stop() }
        let telemetry = scripted.telemetry(timeout: .seconds(60))
        let early = await telemetry.read(request(), at: at(0), deadline: .milliseconds(50))
        #expect(early.series[0].failure != nil)
        try await waitUntil("the queries arriving") { scripted.requests.count == 4 }
        gate.open()
        let again = await telemetry.read(request(), at: at(1), deadline: .seconds(60))
        #expect(again.series[0].rows.map(\.value) == [7])
        #expect(scripted.requests.count == 4)
    }

    @Test func aCancelledReaderLeavesTheQueryToTheOthers() async throws {
        let gate = Gate()
        let scripted = try gated(gate)
        defer { scripted.server.stop() }
        let first = scripted.telemetry(timeout: .seconds(60))
        let second = scripted.telemetry(timeout: .seconds(60))
        let cancelled = Task { await first.read(request(), at: at(0), deadline: .seconds(60)) }
        try await waitUntil("the queries arriving") { scripted.requests.count == 4 }
        async let kept = second.read(request(), at: at(0), deadline: .seconds(60))
        cancelled.cancel()
        #expect(await cancelled.value.series[0].failure != nil)
        gate.open()
        #expect(await kept.series[0].rows.map(\.value) == [7])
        #expect(scripted.requests.count == 4)
    }

    @Test func aSecretThatAnErrorEchoesIsTakenOut() async throws {
        for type in ["bearer", "basic"] {
            for answer in ["html", "json"] {
                let scripted = try ScriptedPrometheus { request in
                    let echo = "you sent \(request.header("authorization") ?? "") that is hush-hush"
                    let page = "<p>\(String(repeating: "x", count: 150)) \(echo)</p>"
                    return [
                        .http(400, answer == "html" ? page : #"{"status":"error","errorType":"bad_data","error":"\#(echo)"}"#)
                    ]
                }
                defer { scripted.server.stop() }
                let authentication: HTTPAuthentication =
                    type == "bearer"
                    ? .bearer(.environment("TOKEN")) : .basic(username: "me", password: .environment("TOKEN"))
                let telemetry = scripted.telemetry(authentication: authentication)
                let reading = await telemetry.read(request(), at: at(0), deadline: .seconds(30))
                let told = reading.series[0].failure?.message ?? ""
                #expect(told.contains("[redacted]"), "\(told)")
                #expect(!told.contains("hush") && !told.contains("bWU6"), "\(told)")
            }
        }
        let manager = try ScriptedServer { _ in [.http(500, "you sent Bearer hush-hush")] }
        defer { manager.stop() }
        let hub = AlertmanagerHub(
            endpoint: HTTPEndpoint(url: manager.url, authentication: .bearer(.environment("TOKEN"))), timeout: .seconds(5),
            transport: try Transport()
        ) { _ throws(Failure) in "hush-hush" }
        let scripted = try ScriptedPrometheus { _ in [.http(200, vector(""))] }
        defer { scripted.server.stop() }
        let telemetry = PrometheusTelemetry(
            hub: TelemetryHub(
                endpoint: HTTPEndpoint(url: scripted.server.url, authentication: nil), timeout: .seconds(5),
                transport: try Transport()
            ) { _ throws(Failure) in "" }, poll: .seconds(15), alertmanager: hub)
        let reading = await telemetry.read(request(alerts: []), at: at(0), deadline: .seconds(30))
        #expect(reading.failures.contains { $0.message.contains("status 500: you sent") }, "\(reading.failures)")
        #expect(!"\(reading.failures)".contains("hush"))
    }

    @Test func secretsAreSentAndNeverTold() async throws {
        let scripted = try ScriptedPrometheus { request in
            request.header("authorization") == "Bearer hush-hush" || request.header("authorization") == "Basic bWU6aHVzaC1odXNo"
                ? [.http(200, vector(row("7")))] : [.http(401, "Unauthorized", type: "text/plain")]
        }
        defer { scripted.server.stop() }
        let bearer = scripted.telemetry(authentication: .bearer(.environment("TOKEN")))
        #expect(await bearer.read(request(), at: at(0), deadline: .seconds(30)).failures.isEmpty)
        let basic = scripted.telemetry(authentication: .basic(username: "me", password: .environment("TOKEN")))
        #expect(await basic.read(request(), at: at(0), deadline: .seconds(30)).failures.isEmpty)
        let none = await scripted.telemetry().read(request(), at: at(0), deadline: .seconds(30))
        #expect(none.series[0].failure?.kind == .denied)
        let missing = scripted.telemetry(authentication: .bearer(.environment("OTHER")))
        let reading = await missing.read(request(), at: at(0), deadline: .seconds(30))
        #expect(reading.series[0].failure?.message == "prometheus: no such secret")
        scripted.server.stop()
        let down = await bearer.read(request(), at: at(20_000), deadline: .seconds(30))
        #expect(down.series[0].failure != nil)
        #expect(!"\(none)\(down)".contains("hush"))
    }
}
