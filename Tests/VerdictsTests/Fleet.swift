import SerinModel
import SerinVerdicts

/// A pretended service with counters per instance, read like a real one: each poll moves it on and is absorbed.
struct Fleet {
    /// One process.
    struct Process {
        var cohort: Cohort
        var name: String
        /// Requests and errors so far.
        var requests = 0.0
        var errors = 0.0
        /// Whether an error series was born.
        var hasErrors = false
        /// Requests at or below each edge.
        var buckets: [Double] = [0, 0, 0]
        var load = 5.0
        /// What a gauge shows; the requests unless said otherwise.
        var gauge: Double?
        var isUp = true
        var isListed = true
        var startedAt = Instant(millisecondsSince1970: 1_000_000)
        var resets = 0.0
        var sampleAge = Duration.seconds(1)
    }

    static let edges = [0.1, 0.25, 0.5]
    static let canaryLabels = [Label("job", "shop"), Label("version", "v2")]
    static let controlLabels = [Label("job", "shop"), Label("version", "v1")]

    var processes: [Process]
    var evidence: Evidence
    var now = Instant(millisecondsSince1970: 1_700_000_000_000)
    var warnings: [String] = []
    var failure: Failure?
    var isCollecting = true

    init(_ plan: EvidencePlan, canaries: Int = 1, controls: Int = 3) {
        evidence = Evidence(plan: plan)
        processes =
            (0..<canaries).map { Process(cohort: .canary, name: "canary-\($0)") }
            + (0..<controls).map { Process(cohort: .control, name: "control-\($0)") }
    }

    /// A plan for errors at one poll a block (15 s), five scrapes a block.
    static func plan(_ signals: [EvidenceSignal] = [errors()], bake: Duration = .minutes(5)) -> EvidencePlan {
        EvidencePlan(
            signals: signals, canary: canaryLabels, control: controlLabels, scrapeInterval: .seconds(5), bake: bake,
            minEvidenceWithoutHistory: .seconds(30))
    }

    static func errors(
        hardLimit: Double? = nil, isSecurity: Bool = false, judge: EvidenceSignal.Judge = .sequential
    ) -> EvidenceSignal {
        var rule = Rule()
        rule.assureFloor = 0.01
        return EvidenceSignal(
            name: "errors", source: .ratio(counter: "requests", bad: [LabelMatcher("code", .matches, "5..")]), rule: rule,
            judge: judge, hardLimit: hardLimit, isSecurity: isSecurity)
    }

    static func latency(hardLimit: Double? = nil) -> EvidenceSignal {
        EvidenceSignal(
            name: "latency", source: .latency(histogram: "seconds", quantile: 0.95), slack: 0.005, hardLimit: hardLimit)
    }

    static func gauge() -> EvidenceSignal { EvidenceSignal(name: "queue", source: .gauge(metric: "queue")) }

    /// Moves every process on by one poll: so many requests per second, of which a share are errors in each cohort.
    mutating func serve(seconds: Double = 15, canaryErrors: Double = 0.01, controlErrors: Double = 0.01, slow: Double = 0.05) {
        for k in processes.indices where processes[k].isUp {
            let requests = processes[k].load * seconds * 10
            let share = processes[k].cohort == .canary ? canaryErrors : controlErrors
            let errors = (requests * share).rounded()
            processes[k].requests += requests
            processes[k].errors += errors
            if errors > 0 { processes[k].hasErrors = true }
            let isSlow = processes[k].cohort == .canary ? slow : 0.05
            processes[k].buckets[0] += requests * 0.5
            processes[k].buckets[1] += requests * (1 - isSlow)
            processes[k].buckets[2] += requests * (1 - isSlow / 5)
        }
        now = now + .milliseconds(Int64(seconds * 1000))
    }

    /// The process with a name restarts: its counters begin at 0.
    mutating func restart(_ name: String, isProven: Bool = true) {
        for k in processes.indices where processes[k].name == name {
            processes[k].requests = 0
            processes[k].errors = 0
            processes[k].hasErrors = false
            processes[k].buckets = [0, 0, 0]
            if isProven { processes[k].startedAt = now }
        }
    }

    /// Changes one process.
    mutating func change(_ name: String, _ body: (inout Process) -> Void) {
        for k in processes.indices where processes[k].name == name { body(&processes[k]) }
    }

    /// So many minutes of the control's past, with about this many errors a minute each, varied by a fixed sequence.
    func history(minutes: Int = 120, errors: Double = 30, instances: [String]? = nil) -> HistoryReading {
        var state: UInt64 = 42
        func draw() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 33) / Double(1 << 31)
        }
        let names = instances ?? processes.filter { $0.cohort == .control }.map(\.name)
        let series = evidence.telemetryQueries.map { query -> [HistoryRow] in
            names.map { name in
                var requests = 0.0
                var bad = 0.0
                var values: [Double?] = []
                var buckets: [[Bucket]] = []
                for _ in 0...minutes {
                    let isBad = query.matchers.contains { $0.name == "code" }
                    values.append(query.kind == .gauge ? 10 + draw() : isBad ? bad : requests)
                    if query.kind == .histogram {
                        let counts = [0.5, 0.95, 0.99].map { (requests * $0).rounded() }
                        buckets.append(
                            zip(Fleet.edges, counts).map { Bucket(edge: $0, count: $1) } + [
                                Bucket(edge: .infinity, count: requests)
                            ])
                    }
                    requests += 3000
                    // Twelve uniform draws less six are nearly normal with variance 1.
                    let normal = (0..<12).reduce(-6.0) { sum, _ in sum + draw() }
                    bad += max(0, (errors + normal * errors.squareRoot()).rounded())
                }
                return HistoryRow(labels: [Label("instance", name), Label("version", "v1")], values: values, buckets: buckets)
            }
        }
        return HistoryReading(
            start: now - .minutes(Int64(minutes)), step: .seconds(60), series: series, scrapeInterval: .seconds(5), warnings: [])
    }

    /// What telemetry would answer now.
    func reading() -> TelemetryReading {
        let series = evidence.telemetryQueries.map { query -> SeriesReading in
            if let failure { return SeriesReading(rows: [], failure: failure) }
            var rows: [SeriesRow] = []
            for process in processes where process.isUp && process.isListed {
                if let row = row(process, query) { rows.append(row) }
            }
            return SeriesReading(rows: rows, warnings: warnings)
        }
        let instances = processes.map { InstanceReading(instance: $0.name, up: $0.isUp ? 1 : 0, startedAt: $0.startedAt) }
        return TelemetryReading(evaluatedAt: now, series: series, instances: instances, alerts: nil, failures: [])
    }

    private func row(_ process: Process, _ query: SeriesQuery) -> SeriesRow? {
        let version = process.cohort == .canary ? "v2" : "v1"
        let labels = [Label("instance", process.name), Label("version", version)]
        let isBad = query.matchers.contains { $0.name == "code" }
        if isBad && !process.hasErrors { return nil }
        var buckets: [Bucket] = []
        if query.kind == .histogram {
            buckets = zip(Fleet.edges, process.buckets).map { Bucket(edge: $0, count: $1) }
            buckets.append(Bucket(edge: .infinity, count: process.requests))
        }
        return SeriesRow(
            labels: labels,
            value: query.kind == .gauge ? process.gauge ?? process.requests : isBad ? process.errors : process.requests,
            buckets: buckets,
            sampledAt: now - process.sampleAge, resets: process.resets)
    }

    /// Reads and absorbs.
    mutating func poll() { evidence.absorb(reading(), at: now, isCollecting: isCollecting) }

    /// Serves and polls so many times.
    mutating func run(_ polls: Int, canaryErrors: Double = 0.01, controlErrors: Double = 0.01, slow: Double = 0.05) {
        for _ in 0..<polls {
            serve(canaryErrors: canaryErrors, controlErrors: controlErrors, slow: slow)
            poll()
        }
    }

    /// The assessment of the first signal, or of the one with a name.
    func signal(_ name: String = "errors") -> SignalAssessment {
        assessment.signals.first { $0.name == name } ?? SignalAssessment(name: "missing")
    }

    var assessment: Assessment { evidence.assess(withIntervals: false) }
}
