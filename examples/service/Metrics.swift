import SerinLocks

/// What the service counts, in Prometheus' text format: requests by status code and how long they took.
final class Metrics: Sendable {
    private static let edges: [Double] = [0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2.5]

    private struct Counts: Sendable {
        var requests: [Int: Int] = [:]
        var buckets = [Int](repeating: 0, count: Metrics.edges.count + 1)
        var sum = 0.0
    }

    private let counts = Locked(Counts())
    private let version: String
    private let startedAt: Double

    /// Nothing counted yet; a process of this version that started at so many seconds since 1970.
    init(version: String, startedAt: Double) {
        self.version = version
        self.startedAt = startedAt
    }

    /// Counts one answered request.
    func count(code: Int, seconds: Double) {
        counts.withLock { counts in
            counts.requests[code, default: 0] += 1
            counts.buckets[Metrics.edges.firstIndex { seconds <= $0 } ?? Metrics.edges.count] += 1
            counts.sum += seconds
        }
    }

    /// Everything counted so far.
    var text: String {
        let counts = self.counts.withLock { $0 }
        var lines = ["# TYPE http_requests_total counter"]
        for (code, count) in counts.requests.sorted(by: { $0.key < $1.key }) {
            lines.append("http_requests_total{version=\"\(version)\",code=\"\(code)\"} \(count)")
        }
        lines.append("# TYPE http_request_duration_seconds histogram")
        var total = 0
        for (index, edge) in Metrics.edges.enumerated() {
            total += counts.buckets[index]
            lines.append("http_request_duration_seconds_bucket{version=\"\(version)\",le=\"\(edge)\"} \(total)")
        }
        total += counts.buckets[Metrics.edges.count]
        lines.append("http_request_duration_seconds_bucket{version=\"\(version)\",le=\"+Inf\"} \(total)")
        lines.append("http_request_duration_seconds_sum{version=\"\(version)\"} \(counts.sum)")
        lines.append("http_request_duration_seconds_count{version=\"\(version)\"} \(total)")
        lines.append("# TYPE process_start_time_seconds gauge")
        lines.append("process_start_time_seconds \(startedAt)")
        return lines.joined(separator: "\n") + "\n"
    }
}
