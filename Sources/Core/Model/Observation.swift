/// Everything that was read at one poll, raw, as it is journaled.
public struct Observation: Sendable, Hashable, Codable {
    /// When the poll began.
    public var at: Instant
    /// Telemetry's answer; nil when it did not come before the poll's deadline.
    public var telemetry: TelemetryReading?
    /// Postgres' answer; nil when the policy does not watch it or it did not come in time.
    public var database: DatabaseReading?
    /// The load balancer's answer.
    public var traffic: TrafficReading

    /// What one poll read.
    public init(at: Instant, telemetry: TelemetryReading?, database: DatabaseReading?, traffic: TrafficReading) {
        self.at = at
        self.telemetry = telemetry
        self.database = database
        self.traffic = traffic
    }
}
