public import SerinModel
public import SerinVerdicts

/// The interval of a signal's ratio as it was last computed, with what it was computed from: it costs a bisection, so it is computed
/// once a minute and when a verdict changes, while ratio and counts are those of every poll.
public struct ComputedInterval: Sendable, Hashable, Codable {
    /// The signal's name.
    public var signal: String
    /// When it was computed.
    public var at: Instant
    /// The ratio then; nil without events.
    public var ratio: Double?
    /// The interval.
    public var interval: Interval
    /// Events and exposure then.
    public var counts: CohortCounts

    /// An interval with its base.
    public init(signal: String, at: Instant, ratio: Double?, interval: Interval, counts: CohortCounts) {
        self.signal = signal
        self.at = at
        self.ratio = ratio
        self.interval = interval
        self.counts = counts
    }

    /// Whether it is of the very numbers that the signal shows.
    public func isOf(_ signal: SignalAssessment) -> Bool { counts == signal.counts && ratio == signal.ratio }

    /// What it was computed from: `of 9/899`.
    public var base: String {
        "of \(EvidenceNumbers.count(counts.canaryEvents))/\(EvidenceNumbers.count(counts.canaryExposure))"
    }
}
