public import SerinModel

/// What a signal counts or measures, in terms of series.
public enum SignalSource: Sendable, Hashable, Codable {
    /// Bad events out of all events of one counter.
    case ratio(counter: String, bad: [LabelMatcher])
    /// Events of one counter for each event of another.
    case per(counter: String, exposure: String)
    /// Events of one counter for each second of an instance.
    case rate(counter: String)
    /// The share of requests slower than the bucket edge next to a quantile.
    case latency(histogram: String, quantile: Double)
    /// A gauge.
    case gauge(metric: String)
    /// A PromQL expression, read as a gauge.
    case expression(String)

    /// Whether it is read as one value per cohort and minute.
    public var isGauge: Bool {
        switch self {
        case .gauge, .expression: true
        case .ratio, .per, .rate, .latency: false
        }
    }

    /// The quantile of a latency signal.
    var quantile: Double? {
        if case .latency(_, let quantile) = self { return quantile }
        return nil
    }
}

/// One signal, ready to be judged.
public struct EvidenceSignal: Sendable, Hashable, Codable {
    /// How it is judged.
    public enum Judge: String, Sendable, Hashable, Codable, CaseIterable {
        /// By the anytime-valid test.
        case sequential
        /// By the totals over the bake being within the tolerance.
        case threshold
    }

    /// Its name in the policy.
    public var name: String
    /// What it counts or measures.
    public var source: SignalSource
    /// Conditions added to each of its queries, such as `!~` for what is excluded. Expressions ignore them.
    public var matchers: [LabelMatcher]
    /// Boundaries, direction and least exposure. Risks, counts of blocks and (latency, gauges) floors are set by the plan.
    public var rule: Rule
    /// For latency, seconds of slow-down always allowed; for gauges, the absolute difference always allowed.
    public var slack: Double
    /// How it is judged.
    public var judge: Judge
    /// The value beyond which one poll fails; nil for none.
    public var hardLimit: Double?
    /// Whether a fail is a security event: judged with `proof: any` at its own risk, outside the family.
    public var isSecurity: Bool
    /// Whether it decides nothing.
    public var isReportOnly: Bool

    /// A signal.
    public init(
        name: String, source: SignalSource, matchers: [LabelMatcher] = [], rule: Rule = Rule(), slack: Double = 0,
        judge: Judge = .sequential, hardLimit: Double? = nil, isSecurity: Bool = false, isReportOnly: Bool = false
    ) {
        self.name = name
        self.source = source
        self.matchers = matchers.sorted()
        self.rule = rule
        self.slack = slack
        self.judge = judge
        self.hardLimit = hardLimit
        self.isSecurity = isSecurity
        self.isReportOnly = isReportOnly
    }

    /// Whether it shares the family's risk of a false rollback.
    var isInFamily: Bool { !isReportOnly && !isSecurity && judge == .sequential }
}
