internal import SerinModel
internal import SerinPolicies
internal import SerinTrials
internal import SerinVerdicts

/// A healthy service as telemetry shows it: one canary and four control instances, steady seeded traffic, 1 % errors, log-normal
/// latencies in the default buckets. The same seed gives the same readings.
struct SteadyService: Sendable {
    static let edges = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// The share of requests at or below each edge.
    private static let shares = [0.001, 0.012, 0.10, 0.33, 0.62, 0.905, 0.977, 0.9964, 0.99975, 0.99998, 1]
    static let instances = ["canary-1:9100", "control-1:9100", "control-2:9100", "control-3:9100", "control-4:9100"]

    /// Requests per second of all instances together.
    var requestsPerSecond = 500.0
    /// The canary's share.
    var share = 0.05
    private var generator: SeededGenerator
    /// Cumulative, by instance: requests, and for each query its own events or buckets.
    private var requests = [Double](repeating: 0, count: 5)
    private var values: [[[Double]]] = []

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    static let canaryLabels = [Label("version", "2")]
    static let controlLabels = [Label("version", "1")]

    /// Ten signals: seven shares of bad answers, two quantiles, one security flag.
    static let signals: [(name: String, source: SignalSource, isSecurity: Bool)] =
        ["5..", "500", "502", "503", "504", "429", "408"].map { code in
            (
                "code_\(code.replacing("..", with: "xx"))",
                .ratio(counter: "http_requests_total", bad: [.init("code", .matches, code)]), false
            )
        } + [
            ("latency_p95", .latency(histogram: "http_request_duration_seconds", quantile: 0.95), false),
            ("latency_p99", .latency(histogram: "http_request_duration_seconds", quantile: 0.99), false),
            ("auth_failures", .per(counter: "auth_failures_total", exposure: "http_requests_total"), true),
        ]

    /// Moves on and reads everything.
    mutating func reading(_ queries: [SeriesQuery], at time: Instant, after seconds: Double) -> TelemetryReading {
        advance(queries, seconds: seconds)
        let series = queries.indices.map { index in
            SeriesReading(rows: Self.instances.indices.map { row(queries[index], index, $0, at: time) })
        }
        return TelemetryReading(
            evaluatedAt: time, series: series, instances: Self.instances.map { .init(instance: $0, up: 1, startedAt: nil) },
            alerts: nil, failures: [])
    }

    /// Six hours of the control instances in steps of a minute.
    mutating func history(_ queries: [SeriesQuery], to end: Instant, minutes: Int = 360) -> HistoryReading {
        let start = end - .minutes(Int64(minutes))
        var rows = queries.map { _ in
            Self.instances.dropFirst().map {
                HistoryRow(labels: [Label("instance", $0)] + Self.controlLabels, values: [], buckets: [])
            }
        }
        for minute in 0...minutes {
            advance(queries, seconds: minute == 0 ? 0 : 60)
            for index in queries.indices {
                for instance in 1..<Self.instances.count {
                    let row = row(queries[index], index, instance, at: start)
                    rows[index][instance - 1].values.append(row.value)
                    if queries[index].kind == .histogram { rows[index][instance - 1].buckets.append(row.buckets) }
                }
            }
        }
        return HistoryReading(start: start, step: .minutes(1), series: rows, scrapeInterval: .seconds(5), warnings: [])
    }

    private mutating func advance(_ queries: [SeriesQuery], seconds: Double) {
        if values.count != queries.count {
            values = queries.map { _ in Self.instances.map { _ in [Double](repeating: 0, count: Self.edges.count) } }
        }
        for instance in Self.instances.indices {
            let part = instance == 0 ? share : (1 - share) / Double(Self.instances.count - 1)
            let count = generator.poisson(requestsPerSecond * part * seconds)
            requests[instance] += count
            for (index, query) in queries.enumerated() {
                if query.kind == .histogram {
                    for k in Self.edges.indices { values[index][instance][k] += (count * Self.shares[k]).rounded() }
                } else if isEvents(query) {
                    values[index][instance][0] += min(count, generator.poisson(count * 0.01))
                }
            }
        }
    }

    private func isEvents(_ query: SeriesQuery) -> Bool {
        query.metric.hasPrefix("auth") || query.matchers.contains { $0.name == "code" }
    }

    private func row(_ query: SeriesQuery, _ index: Int, _ instance: Int, at time: Instant) -> SeriesRow {
        let labels = [Label("instance", Self.instances[instance])] + (instance == 0 ? Self.canaryLabels : Self.controlLabels)
        let value = isEvents(query) ? values[index][instance][0] : requests[instance]
        var buckets: [Bucket] = []
        if query.kind == .histogram {
            buckets = zip(Self.edges, values[index][instance]).map { Bucket(edge: $0, count: $1) }
            buckets.append(Bucket(edge: .infinity, count: max(value, buckets.last?.count ?? 0)))
        }
        return SeriesRow(labels: labels, value: buckets.last?.count ?? value, buckets: buckets, sampledAt: time)
    }
}
