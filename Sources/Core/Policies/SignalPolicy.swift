public import SerinModel

/// One thing that is compared between canary and control.
public struct SignalPolicy: Sendable, Hashable, Codable {
    /// What is counted or measured.
    public enum Source: Sendable, Hashable, Codable {
        /// Bad events out of all events of one counter: `{counter: …, bad: {code: "5.."}}`.
        case ratio(counter: String, bad: [LabelMatcher])
        /// Events of one counter for each event of another: `{counter: …, per: …}`.
        case per(counter: String, exposure: String)
        /// Events of one counter for each second that an instance runs: `{counter: …}`.
        case rate(counter: String)
        /// The share of requests slower than the bucket edge next to a quantile: `{histogram: …, quantile: 0.95}`.
        case latency(histogram: String, quantile: Double)
        /// A gauge: `{gauge: …}`.
        case gauge(metric: String)
        /// A PromQL expression, read as a gauge: `{promql: …}`.
        case expression(String)
    }

    /// Which way is worse.
    public enum Direction: String, Sendable, Hashable, Codable, CaseIterable {
        /// More is worse; less is no failure.
        case increase
        /// Less is worse.
        case decrease
        /// Any difference beyond the tolerance is a failure.
        case either
    }

    /// What a fail must prove.
    public enum Proof: String, Sendable, Hashable, Codable, CaseIterable {
        /// More than the tolerance.
        case beyond
        /// Any regression, with an estimate beyond the tolerance.
        case any
    }

    /// How it is judged.
    public enum Judge: String, Sendable, Hashable, Codable, CaseIterable {
        /// By the anytime-valid test.
        case sequential
        /// By the totals over the bake being within the tolerance.
        case threshold
    }

    /// Its name in this policy: letters, digits and `_`.
    public var name: String
    /// What is counted or measured.
    public var source: Source
    /// What describes series that do not count, each alone: `equal` or `matches`. `conditions` has them the other way round.
    public var exclude: [LabelMatcher]
    /// Which way is worse.
    public var direction: Direction
    /// The relative difference allowed, 0.10 for 10 %.
    public var tolerance: Double
    /// The absolute difference never reported as a fail, in events per unit of exposure (1e-4 is 0.01 percentage points).
    public var floor: Double
    /// The relative difference that a pass excludes.
    public var assureTolerance: Double
    /// The absolute difference that a pass does not exclude.
    public var assureFloor: Double
    /// For latency, seconds of slow-down always allowed; for gauges, the absolute difference always allowed.
    public var slack: Double
    /// What a fail must prove.
    public var proof: Proof
    /// How it is judged.
    public var judge: Judge
    /// The value (rate, share, seconds or gauge) beyond which one poll fails; judged on the last 60 s with at least 5 events.
    public var hardLimit: Double?
    /// Whether a significant rise is a security event, which halts.
    public var isSecurity: Bool
    /// Whether it is shown but decides nothing.
    public var isReportOnly: Bool
    /// The number of canary events or exposure without which a poll says "too few requests".
    public var minExposure: Double

    /// A signal of validated parts.
    public init(
        name: String, source: Source, exclude: [LabelMatcher] = [], direction: Direction = .increase, tolerance: Double = 0.10,
        floor: Double = 1e-4, assureTolerance: Double = 0.10, assureFloor: Double = 1e-3, slack: Double = 0,
        proof: Proof = .beyond, judge: Judge = .sequential, hardLimit: Double? = nil, isSecurity: Bool = false,
        isReportOnly: Bool = false, minExposure: Double = 100
    ) {
        self.name = name
        self.source = source
        self.exclude = exclude.sorted()
        self.direction = direction
        self.tolerance = tolerance
        self.floor = floor
        self.assureTolerance = assureTolerance
        self.assureFloor = assureFloor
        self.slack = slack
        self.proof = proof
        self.judge = judge
        self.hardLimit = hardLimit
        self.isSecurity = isSecurity
        self.isReportOnly = isReportOnly
        self.minExposure = minExposure
    }
}

extension SignalPolicy {
    /// The conditions that a series must meet to count: `exclude`, negated.
    public var conditions: [LabelMatcher] {
        exclude.map { matcher in
            switch matcher.comparison {
            case .equal: LabelMatcher(matcher.name, .notEqual, matcher.value)
            case .notEqual: LabelMatcher(matcher.name, .equal, matcher.value)
            case .matches: LabelMatcher(matcher.name, .notMatches, matcher.value)
            case .notMatches: LabelMatcher(matcher.name, .matches, matcher.value)
            }
        }
    }
}
