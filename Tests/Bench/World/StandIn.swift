internal import Glibc
internal import SerinLocks
internal import SerinModel
internal import Testbed

/// A stand-in for a Prometheus and a load balancer of many services on one loopback port, which answers at once and cheaply.
///
/// Every service has one canary instance and four control instances at 500 requests a second; the canary's counters move from the
/// first raise on.
final class StandIn: Sendable {
    private struct State: Sendable {
        /// The canary's basis points, by service.
        var weights: [String: Int] = [:]
        /// When a service's canary first got traffic, in seconds since 1970.
        var raisedAt: [String: Double] = [:]
        /// When 0 was first read back after a service was raised.
        var zeroReadAt: [String: ContinuousClock.Instant] = [:]
        var queries = 0
        var firstQueryAt: ContinuousClock.Instant?
    }

    private let state: Locked<State>
    private let server: ScriptedServer
    private let started: Double

    /// Starts listening. With `refusing`, every query is answered as one that no retry would help (`bad_data`).
    init(refusing: Bool = false) throws(Failure) {
        let state = Locked(State())
        self.state = state
        let started = wallSeconds()
        self.started = started
        server = try ScriptedServer { request in
            if request.target.hasPrefix("/balancer/") { return [StandIn.balance(request, state)] }
            let arrived = ContinuousClock().now
            state.withLock { state in
                state.queries += 1
                if state.firstQueryAt == nil { state.firstQueryAt = arrived }
            }
            if refusing { return [.http(400, #"{"status":"error","errorType":"bad_data","error":"refused"}"#)] }
            return [.http(200, StandIn.answer(request, state, started))]
        }
    }

    var url: String { server.url }
    func stop() { server.stop() }

    /// Queries answered so far.
    var queries: Int { state.withLock { $0.queries } }
    /// When the first query since `forget` arrived.
    var firstQueryAt: ContinuousClock.Instant? { state.withLock { $0.firstQueryAt } }
    func forget() { state.withLock { $0.firstQueryAt = nil } }
    /// How many services have canary traffic.
    var raised: Int { state.withLock { state in state.weights.values.count { $0 > 0 } } }

    /// Whether a service has canary traffic.
    func isRaised(_ service: String) -> Bool { state.withLock { ($0.weights[service] ?? 0) > 0 } }
    /// When the controller of a service first read 0 back after it was raised.
    func zeroReadAt(_ service: String) -> ContinuousClock.Instant? { state.withLock { $0.zeroReadAt[service] } }

    /// The policy of a service that lives here.
    func policy(service: String, poll: SerinModel.Duration) -> String {
        """
        version: 1
        service: \(service)
        traffic:
          http:
            read_url: \(url)/balancer/\(service)
            canary_pointer: /canary
            scale: 10000
            write_body: '{"canary": {{canary_bp}}}'
          steps: [5, 25, 50]
        prometheus:
          url: \(url)
          canary: {job: \(service), version: "{{version}}"}
          control: {job: \(service), version: "{{previous}}"}
          timeout: 2s
        poll: \(poll)
        signals:
          errors: {counter: http_requests_total, bad: {code: "5.."}}
          rate_limits: {counter: http_requests_total, bad: {code: "429"}}
          latency_p95: {histogram: http_request_duration_seconds, quantile: 0.95}
          latency_p99: {histogram: http_request_duration_seconds, quantile: 0.99}
          auth_fail: {counter: auth_failures_total, per: http_requests_total, security: true}

        """
    }

    // MARK: The balancer

    private static func balance(_ request: ScriptedServer.Request, _ state: Locked<State>) -> ScriptedServer.Step {
        let service = String(request.target.dropFirst("/balancer/".count))
        if request.method != "GET" {
            let points = Int(request.text.filter { ("0"..."9").contains($0) }) ?? 0
            let now = wallSeconds()
            state.withLock { state in
                state.weights[service] = points
                if points > 0, state.raisedAt[service] == nil { state.raisedAt[service] = now }
            }
        }
        let points = state.withLock { state in
            let points = state.weights[service] ?? 0
            let isBack = request.method == "GET" && points == 0 && state.raisedAt[service] != nil
            if isBack, state.zeroReadAt[service] == nil { state.zeroReadAt[service] = ContinuousClock().now }
            return points
        }
        return .http(200, #"{"canary": \#(points)}"#)
    }

    // MARK: Prometheus

    private static func answer(_ request: ScriptedServer.Request, _ state: Locked<State>, _ started: Double) -> String {
        let query = request.field("query") ?? ""
        let service = query.split(separator: "job=\"").dropFirst().first?.split(separator: "\"").first.map(String.init)
        let raised = service.flatMap { name in state.withLock { $0.raisedAt[name] } }
        let world = Answers(query: query, started: started, raised: raised)
        if request.target.hasPrefix("/api/v1/query_range"), let from = request.field("start").flatMap(Double.init),
            let to = request.field("end").flatMap(Double.init)
        {
            return world.matrix(from: from, to: to)
        }
        return world.instant(request.field("time").flatMap(Double.init) ?? wallSeconds())
    }

    /// The answers to one query.
    private struct Answers {
        static let shares = [0.001, 0.012, 0.10, 0.33, 0.62, 0.905, 0.977, 0.9964, 0.99975, 0.99998, 1, 1]
        static let edges = SteadyService.edges.map { "\($0)" } + ["+Inf"]

        let query: String
        let started: Double
        let raised: Double?

        private var isHistogram: Bool { query.contains("_bucket") }
        private var isByEdge: Bool { query.contains("le, ") || query.contains(", le") }

        /// Requests of an instance until a moment.
        private func requests(_ instance: Int, _ time: Double) -> Double {
            if instance > 0 { return 1e6 + (118.75 * (time - started)).rounded() }
            return raised.map { max(0, (25 * (time - $0)).rounded()) } ?? 0
        }

        private func value(_ instance: Int, _ edge: Int?, _ time: Double) -> Double {
            let all = requests(instance, time)
            if let edge { return (all * Answers.shares[edge]).rounded() }
            return query.contains("code=") || query.contains("auth_failures") ? (all * 0.01).rounded(.down) : all
        }

        private func series(_ instance: Int, _ edge: Int?) -> String {
            let version = instance == 0 ? "2" : "1"
            let le = edge.map { #""le":"\#(Answers.edges[$0])","# } ?? ""
            return #"{"instance":"\#(SteadyService.instances[instance])",\#(le)"version":"\#(version)"}"#
        }

        private func wrapped(_ type: String, _ series: [String]) -> String {
            #"{"status":"success","data":{"resultType":"\#(type)","result":[\#(series.joined(separator: ","))]}}"#
        }

        func instant(_ time: Double) -> String {
            let names = SteadyService.instances
            if query.hasPrefix("up{") {
                // The samples of five minutes, each five seconds.
                let values = stride(from: time - 300, to: time, by: 5).map { "[\($0),\"1\"]" }.joined(separator: ",")
                return wrapped("matrix", [#"{"metric":{"instance":"\#(names[1])"},"values":[\#(values)]}"#])
            }
            if query.contains("(up)") || query.contains("process_start") || query.contains("count by") {
                let value = query.contains("process_start") ? "\(started - 86_400)" : "1"
                return wrapped(
                    "vector",
                    names.map { #"{"metric":{"instance":"\#($0)","job":"bench"},"value":[\#(time),"\#(value)"]}"# })
            }
            let hasAges = query.contains("timestamp(")
            var result: [String] = []
            for instance in names.indices where instance > 0 || raised != nil {
                for edge in isHistogram && isByEdge ? Answers.edges.indices.map(Optional.init) : [nil] {
                    let value = hasAges ? "\(time - 2)" : "\(Int(value(instance, edge, time)))"
                    result.append(#"{"metric":\#(series(instance, edge)),"value":[\#(time),"\#(value)"]}"#)
                }
            }
            return wrapped("vector", result)
        }

        func matrix(from: Double, to: Double) -> String {
            var result: [String] = []
            for instance in SteadyService.instances.indices.dropFirst() {
                for edge in isHistogram ? Answers.edges.indices.map(Optional.init) : [nil] {
                    let values = stride(from: from, through: to, by: 60).map { time in
                        // Counted from long before, so that nothing is below zero.
                        "[\(time),\"\(Int(value(instance, edge, time + 100_000)))\"]"
                    }
                    result.append(
                        #"{"metric":\#(series(instance, edge)),"values":[\#(values.joined(separator: ","))]}"#)
                }
            }
            return wrapped("matrix", result)
        }
    }
}

/// Seconds since 1970.
func wallSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
