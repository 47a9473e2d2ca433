/// The weight as a load balancer reports it.
public struct WeightReading: Sendable, Hashable, Codable {
    /// The canary's share, or nil when the balancer's own values mean no share (both weights zero, an entry missing).
    public var weight: Weight?
    /// The balancer's own words, for people: `app 2500`, `control 95, canary 5`.
    public var raw: String
    /// A version token for compare-and-set, where the balancer has one.
    public var version: String?

    /// A reading.
    public init(weight: Weight?, raw: String, version: String? = nil) {
        self.weight = weight
        self.raw = raw
        self.version = version
    }
}

/// Requests that the balancer says it sent to each cohort since it started.
public struct TrafficCounts: Sendable, Hashable, Codable {
    /// Requests sent to the canary, cumulative.
    public var canary: Double
    /// Requests sent to the control, cumulative.
    public var control: Double

    /// Two counts.
    public init(canary: Double, control: Double) {
        self.canary = canary
        self.control = control
    }
}

/// What the load balancer answered at one poll.
public struct TrafficReading: Sendable, Hashable, Codable {
    /// The weight read back; nil when it could not be read.
    public var reading: WeightReading?
    /// The balancer's own counters, where it has them.
    public var counts: TrafficCounts?
    /// Why something could not be read.
    public var failure: Failure?

    /// An answer.
    public init(reading: WeightReading?, counts: TrafficCounts? = nil, failure: Failure? = nil) {
        self.reading = reading
        self.counts = counts
        self.failure = failure
    }
}
