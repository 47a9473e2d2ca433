public import SerinModel

/// A source of raw counters per instance.
public protocol Telemetry: Sendable {
    /// Reads everything asked for at one evaluation time. Failures are part of the reading; it never takes longer than the deadline.
    func read(_ request: TelemetryRequest, at time: Instant, deadline: Duration) async -> TelemetryReading

    /// Reads the past of the queries for the series whose labels have these values, from `start` in steps of 60 s up to `end`.
    func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, deadline: Duration
    ) async -> HistoryReading

    /// The usual time between samples of these instances; nil when it cannot be told.
    func scrapeInterval(of request: TelemetryRequest, at time: Instant, deadline: Duration) async -> Duration?
}
