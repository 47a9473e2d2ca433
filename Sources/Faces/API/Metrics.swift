public import SerinController
internal import SerinLocks
internal import SerinModel

/// Metrics in Prometheus' text format 0.0.4: each name once, its samples together, label values escaped.
public struct MetricText: Sendable {
    /// What a metric counts.
    public enum Kind: String, Sendable { case counter, gauge, histogram }

    private var families: [String] = []

    /// Nothing.
    public init() {}

    /// One sample.
    public struct Sample: Sendable {
        /// What follows the name: `_bucket`, `_sum`, `_count`, or nothing.
        public var suffix: String
        /// Its labels.
        public var labels: [(name: String, value: String)]
        /// Its value.
        public var value: Double

        /// A sample.
        public init(_ value: Double, _ labels: [(name: String, value: String)] = [], suffix: String = "") {
            self.suffix = suffix
            self.labels = labels
            self.value = value
        }
    }

    /// Adds a metric; nothing where it has no samples.
    public mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        var text = "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.name)=\"\(Self.escaped($0.value, quotes: true))\"" }.joined(separator: ",")
            text += "\(name)\(sample.suffix)\(labels.isEmpty ? "" : "{\(labels)}") \(Self.number(sample.value))\n"
        }
        families.append(text)
    }

    /// Adds a histogram in seconds.
    public mutating func add(_ name: String, _ help: String, _ histogram: DurationHistogram) {
        var count = 0.0
        var samples: [Sample] = []
        for (bound, own) in zip(histogram.bounds + [.infinity], histogram.counts) {
            count += Double(own)
            samples.append(Sample(count, [("le", Self.number(bound))], suffix: "_bucket"))
        }
        add(name, .histogram, help, samples + [Sample(histogram.sum, suffix: "_sum"), Sample(count, suffix: "_count")])
    }

    /// Adds a text of the same format whose names are others.
    public mutating func add(text: String) { families.append(text) }

    /// The text; every line ends with a line feed.
    public var text: String { families.joined() }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        text.rewriting { scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\n": "\\n"
            case "\"" where quotes: "\\\""
            default: nil
            }
        }
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}

/// Counts requests by route, method and status; never by what is in a path.
public final class RequestMetrics: Sendable {
    private struct Key: Hashable, Comparable, Sendable {
        var route: String
        var method: String
        var status: Int

        static func < (left: Key, right: Key) -> Bool {
            (left.route, left.method, left.status) < (right.route, right.method, right.status)
        }
    }

    private struct Numbers: Sendable {
        var counts: [Key: Int64] = [:]
        /// Of answers that were not asked to wait.
        var answers = DurationHistogram(bounds: [0.005, 0.025, 0.1, 0.5, 2.5])
    }

    private let numbers = Locked(Numbers())

    /// Nothing counted yet.
    public init() {}

    func note(_ route: Route, status: Int, took: Swift.Duration) {
        let isPoll = route.pattern.hasSuffix("/wait") || route.pattern.hasSuffix("/gate")
        numbers.withLock { numbers in
            numbers.counts[Key(route: route.pattern, method: route.method, status: status), default: 0] += 1
            if !isPoll { numbers.answers.add(took) }
        }
    }

    func write(to text: inout MetricText) {
        let numbers = numbers.withLock { $0 }
        text.add(
            "serin_http_requests_total", .counter, "Requests by route, method and status.",
            numbers.counts.sorted { $0.key < $1.key }.map {
                MetricText.Sample(
                    Double($0.value), [("route", $0.key.route), ("method", $0.key.method), ("status", "\($0.key.status)")])
            })
        text.add("serin_http_request_duration_seconds", "How long answers took that were not asked to wait.", numbers.answers)
    }
}
