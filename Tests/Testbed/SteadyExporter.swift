internal import Glibc
internal import SerinLocks
public import SerinModel

/// An instance of a service as Prometheus sees it: `http_requests_total` grows at a steady rate of which a share fails.
///
/// Counters are computed when they are scraped, so that plenty of evidence costs no requests.
public final class SteadyExporter: Sendable {
    private let counters: Locked<SteadyCounters>
    private let server: ScriptedServer

    /// Starts an instance of a version with so many requests a second, of which a share from 0 to 1 answers 500. With a path it shows
    /// no series while there is no such file.
    public init(version: String, rate: Double, failing: Double = 0, shownBy path: String? = nil) throws(Failure) {
        let counters = Locked(SteadyCounters(version: version, rate: rate, failing: failing))
        self.counters = counters
        server = try ScriptedServer { _ in
            let isHidden = path.map { access($0, F_OK) != 0 } ?? false
            return counters.withLock { counters in
                let text = isHidden ? "" : counters.text()
                return [.http(counters.isDown ? 500 : 200, counters.isDown ? "" : text, type: "text/plain; version=0.0.4")]
            }
        }
    }

    /// `127.0.0.1:port`, which Prometheus uses as the instance label.
    public var address: String { "127.0.0.1:\(server.port)" }

    /// The share of requests that fails from now on.
    public func fail(_ share: Double) {
        counters.withLock { counters in
            counters.advance()
            counters.failing = share
        }
    }

    /// Shows no series from now on, or shows them again.
    public func mute(_ isMuted: Bool) { counters.withLock { $0.isMuted = isMuted } }

    /// Refuses scrapes from now on, so that it counts as down, or answers them again.
    public func setDown(_ isDown: Bool) { counters.withLock { $0.isDown = isDown } }

    /// Becomes a new process of another version, with counters that begin at zero.
    public func redeploy(version: String, failing: Double = 0) {
        counters.withLock { $0 = SteadyCounters(version: version, rate: $0.rate, failing: failing) }
    }

    /// Stops listening: the target counts as down.
    public func stop() { server.stop() }
}

private struct SteadyCounters: Sendable {
    var version: String
    var rate: Double
    var failing: Double
    var isMuted = false
    var isDown = false
    private var good = 0.0
    private var bad = 0.0
    private var last = ContinuousClock().now
    private var startedAt = 0.0

    init(version: String, rate: Double, failing: Double) {
        self.version = version
        self.rate = rate
        self.failing = failing
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        startedAt = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    mutating func advance() {
        let now = ContinuousClock().now
        let seconds = (now - last) / .seconds(1)
        last = now
        good += rate * (1 - failing) * seconds
        bad += rate * failing * seconds
    }

    mutating func text() -> String {
        advance()
        guard !isMuted else { return "# nothing to see\n" }
        let requests = "http_requests_total{version=\"\(version)\",code="
        return """
            # TYPE http_requests_total counter
            \(requests)"200"} \(Int(good))
            \(requests)"500"} \(Int(bad))
            # TYPE process_start_time_seconds gauge
            process_start_time_seconds \(startedAt)

            """
    }
}
