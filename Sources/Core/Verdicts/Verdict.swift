/// What one signal's evidence says.
public enum Verdict: String, Sendable, Hashable, Codable, CaseIterable {
    /// A regression beyond the assurance boundary is excluded.
    case pass
    /// A regression beyond the tolerance is proven.
    case fail
    /// The evidence does not say yet.
    case inconclusive
    /// There is not enough usable evidence to say anything.
    case nodata
}

/// Why there is no evidence; the five states are never mixed up.
public enum Absence: String, Sendable, Hashable, Codable, CaseIterable {
    /// Telemetry answers, but the cohort has no such series.
    case noSeries
    /// The newest sample is older than allowed.
    case stale
    /// The series are there and do not move.
    case zeroTraffic
    /// They move, but too little to judge.
    case tooFewRequests
    /// Telemetry did not answer, or answered with an error.
    case sourceDown
}
