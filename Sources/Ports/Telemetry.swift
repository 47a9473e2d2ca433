public import SerinModel

/// A source of raw counters per instance.
public protocol Telemetry: Sendable {
    /// Reads everything asked for at one evaluation time. Failures are part of the reading; it never takes longer than the deadline.
    func read(_ request: TelemetryRequest, at time: Instant, deadline: Duration) async -> TelemetryReading

    /// Reads the past of the queries for the series whose labels have these values, from `start` in steps of 60 s up to `end`.
    func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, deadline: Duration
    ) async -> HistoryReading

    /// What the source's own clock shows, and how far apart the samples of these instances lie.
    func clock(of request: TelemetryRequest, deadline: Duration) async throws(Failure) -> SourceClock
}

/// The time of a source of telemetry.
public struct SourceClock: Sendable, Hashable {
    /// What its clock shows.
    public var now: Instant
    /// The usual time between samples; nil when it cannot be told.
    public var interval: Duration?

    /// A source's time.
    public init(now: Instant, interval: Duration?) {
        self.now = now
        self.interval = interval
    }
}
