internal import CSerinMath
internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

/// What telemetry would answer to a policy's queries if its service had drawn traffic: one canary instance and some of control.
struct DrawnReadings: Sendable {
    /// What the values of a query are.
    enum Series: Sendable, Hashable {
        /// All requests.
        case requests
        /// The requests that were errors of one kind.
        case errors
        /// Errors for each second that an instance runs, whatever its share of the requests.
        case incidents
        /// How long requests took.
        case latency
        /// A value near 1.
        case gauge
    }

    /// Edges of latencies in seconds, and the share of requests above each.
    private static let edges = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    private static let tails = [0.999, 0.988, 0.90, 0.67, 0.38, 0.095, 0.023, 0.0036, 0.00025, 0.00002, 0]
    private static let bin = Duration.minutes(1)
    /// How much of the past is read, as at the start of a rollout: six hours.
    private static let bins = 360

    private let load: SimulatedLoad
    private let queries: [SeriesQuery]
    private let series: [Series]
    /// The query in which the canary differs.
    private let worse: Int
    /// The edge beyond which a request counts as slow, where that query is of latencies.
    private let slowEdge: Int?
    private let instances: [(name: String, labels: [Label])]
    private var traffic: SimulatedTraffic
    /// By query and instance: cumulative values, and how many requests were above each edge.
    private var values: [[Double]]
    private var above: [[[Double]]]
    /// The canary's requests, and how many of them had what the signal in question counts.
    private(set) var requests = 0.0
    private(set) var faults = 0.0

    init(_ policy: Policy, _ queries: [SeriesQuery], _ reads: [SignalReads], _ load: SimulatedLoad) throws(TrialError) {
        self.load = load
        self.queries = queries
        let signal = try Self.signal(in: policy, load)
        worse = reads[signal].events ?? reads[signal].main
        var series = [Series?](repeating: nil, count: queries.count)
        for (signal, read) in zip(policy.signals, reads) {
            let (main, events): (Series, Series?) =
                switch signal.source {
                case .ratio, .per: (.requests, .errors)
                case .rate: (.incidents, nil)
                case .latency: (.latency, nil)
                case .gauge, .expression: (.gauge, nil)
                }
            // One counter may serve several signals: what counts requests for one does so for all.
            if series[read.main] == nil || main == .requests { series[read.main] = main }
            if let place = read.events, series[place] == nil { series[place] = events }
        }
        self.series = series.map { $0 ?? .requests }
        if case .latency(_, let quantile) = policy.signals[signal].source {
            let distance = { (tail: Double) in abs(serin_log(max(tail, 1e-9) / (1 - quantile))) }
            slowEdge = Self.tails.indices.min { distance(Self.tails[$0]) < distance(Self.tails[$1]) }
        } else {
            slowEdge = nil
        }
        let prometheus = policy.prometheus
        let groups = queries.first?.groupedBy ?? []
        instances = (0...load.controls).map { number in
            let name = number == 0 ? "canary" : "control-\(number)"
            let cohort = number == 0 ? prometheus.canary : prometheus.control
            let own = cohort.filter { groups.contains($0.name) && $0.name != prometheus.instanceLabel }
            return (name, (own + [Label(prometheus.instanceLabel, name)]).sorted())
        }
        traffic = SimulatedTraffic(load.scenario, controls: load.controls, seed: 0)
        values = queries.map { _ in [Double](repeating: 0, count: load.controls + 1) }
        above = queries.map { _ in (0...load.controls).map { _ in [Double](repeating: 0, count: Self.edges.count) } }
    }

    /// The place of the signal in which the canary differs.
    private static func signal(in policy: Policy, _ load: SimulatedLoad) throws(TrialError) -> Int {
        let counted = policy.signals.indices.filter { place in
            switch policy.signals[place].source {
            case .ratio, .per, .rate, .latency: true
            case .gauge, .expression: false
            }
        }
        let names = counted.map { policy.signals[$0].name }.joined(separator: ", ")
        guard let first = counted.first else {
            throw TrialError("the policy has no signal that counts anything: what a gauge shows does not follow from traffic")
        }
        guard let name = load.signal else {
            let ratio = counted.first { if case .ratio = policy.signals[$0].source { true } else { false } }
            return ratio ?? first
        }
        guard let place = counted.first(where: { policy.signals[$0].name == name }) else {
            let known = policy.signals.contains { $0.name == name }
            throw TrialError(
                known
                    ? "signal '\(name)' counts nothing: what a gauge shows does not follow from traffic"
                    : "the policy has no signal '\(name)'", hint: "its signals that count something: \(names)")
        }
        return place
    }

    /// Has everything drawn from this seed.
    mutating func begin(seed: UInt64) { traffic = SimulatedTraffic(load.scenario, controls: load.controls, seed: seed) }

    /// Six hours of control alone, up to now.
    mutating func history(to end: Instant) -> HistoryReading {
        var rows = queries.indices.map { query in
            series[query] == .gauge ? [] : instances.dropFirst().map { HistoryRow(labels: $0.labels, values: []) }
        }
        for edge in 0...Self.bins {
            if edge > 0 { advance(Self.bin.seconds, weight: .zero) }
            for query in queries.indices where series[query] != .gauge {
                for control in rows[query].indices {
                    let row = row(query, control + 1, at: end)
                    rows[query][control].values.append(row.value)
                    if series[query] == .latency { rows[query][control].buckets.append(row.buckets) }
                }
            }
        }
        return HistoryReading(
            start: end - Self.bin * Int64(Self.bins), step: Self.bin, series: rows, scrapeInterval: nil, warnings: [])
    }

    /// What is read after so much more time with the canary at a weight.
    mutating func reading(at time: Instant, after elapsed: Duration, weight: Weight) -> TelemetryReading {
        advance(elapsed.seconds, weight: weight)
        return TelemetryReading(
            evaluatedAt: time,
            series: queries.indices.map { query in SeriesReading(rows: instances.indices.map { row(query, $0, at: time) }) },
            instances: instances.map { InstanceReading(instance: $0.name, up: 1, startedAt: nil) }, alerts: nil, failures: [])
    }

    private mutating func advance(_ seconds: Double, weight: Weight) {
        let each = load.requestsPerSecond * (1 - weight.fraction) / Double(load.controls)
        let offered = [load.requestsPerSecond * weight.fraction] + [Double](repeating: each, count: load.controls)
        let step = traffic.step(seconds: seconds, load: offered, rate: 0, multiple: 1)
        requests += step.exposure[0]
        for query in queries.indices {
            let multiple = query == worse ? load.canary : 1
            for instance in instances.indices {
                var added = step.exposure[instance]
                switch series[query] {
                case .requests: break
                case .errors: added = traffic.events(of: added, instance: instance, rate: load.errors, multiple: multiple)
                case .incidents:
                    let usual = load.requestsPerSecond * seconds / Double(instances.count)
                    added = traffic.events(of: usual, instance: instance, rate: load.errors, multiple: multiple)
                case .latency: slow(query, instance, of: added, multiple: multiple)
                case .gauge: values[query][instance] = 0
                }
                values[query][instance] += series[query] == .gauge ? traffic.gauge() : added
                if query == worse, instance == 0, slowEdge == nil, weight > .zero { faults += added }
            }
        }
    }

    /// Draws how long requests took, from the slowest down. Those of a worse canary are more often among the slow ones.
    private mutating func slow(_ query: Int, _ instance: Int, of requests: Double, multiple: Double) {
        var slower = 0.0
        for edge in Self.edges.indices.reversed() {
            let next = edge + 1 < Self.tails.count ? Self.tails[edge + 1] : 0
            slower += traffic.events(
                of: requests, instance: instance, rate: Self.tails[edge] - next, multiple: Self.tails[edge] <= 0.4 ? multiple : 1)
            slower = min(slower, requests)
            above[query][instance][edge] += slower
            if query == worse, instance == 0, edge == slowEdge { faults += slower }
        }
    }

    private func row(_ query: Int, _ instance: Int, at time: Instant) -> SeriesRow {
        let value = values[query][instance]
        var buckets: [Bucket] = []
        if series[query] == .latency {
            buckets = zip(Self.edges, above[query][instance]).map { Bucket(edge: $0, count: value - $1) }
            buckets.append(Bucket(edge: .infinity, count: value))
        }
        return SeriesRow(labels: instances[instance].labels, value: value, buckets: buckets, sampledAt: time)
    }
}
