/// One label of a series.
public struct Label: Sendable, Hashable, Comparable, Codable {
    /// The label's name.
    public var name: String
    /// The label's value.
    public var value: String

    /// A label.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// By name, then value.
    public static func < (left: Label, right: Label) -> Bool { (left.name, left.value) < (right.name, right.value) }
}

/// A condition on one label, with the meaning it has in PromQL (regular expressions are anchored at both ends).
public struct LabelMatcher: Sendable, Hashable, Comparable, Codable {
    /// How the label is compared.
    public enum Comparison: String, Sendable, Hashable, Codable {
        /// `=`
        case equal
        /// `!=`
        case notEqual
        /// `=~`
        case matches
        /// `!~`
        case notMatches
    }

    /// The label's name.
    public var name: String
    /// How it is compared.
    public var comparison: Comparison
    /// The value or regular expression.
    public var value: String

    /// A condition on one label.
    public init(_ name: String, _ comparison: Comparison, _ value: String) {
        self.name = name
        self.comparison = comparison
        self.value = value
    }

    /// By name, then comparison, then value.
    public static func < (left: LabelMatcher, right: LabelMatcher) -> Bool {
        (left.name, left.comparison.rawValue, left.value) < (right.name, right.comparison.rawValue, right.value)
    }
}

/// What is asked of telemetry: raw values per instance, in one shape that serves both cohorts and every rollout that asks the same.
public struct SeriesQuery: Sendable, Hashable, Codable {
    /// What the values are.
    public enum Kind: Sendable, Hashable, Codable {
        /// A cumulative counter, summed per instance and group: `sum by (…) (metric{…})`.
        case counter
        /// A classic histogram: its cumulative `_bucket` counters per instance, group and `le`.
        case histogram
        /// A gauge, averaged per instance and group.
        case gauge
        /// A PromQL expression of the policy's author, whose result has the group's labels.
        case expression
    }

    /// What the values are.
    public var kind: Kind
    /// The metric's name (a histogram's without `_bucket`), or the whole expression.
    public var metric: String
    /// Conditions common to both cohorts, sorted.
    public var matchers: [LabelMatcher]
    /// The labels to group by, sorted: the instance label and every label that tells the cohorts apart.
    public var groupedBy: [String]

    /// A shape to ask for; matchers and labels are sorted here.
    public init(kind: Kind, metric: String, matchers: [LabelMatcher], groupedBy: [String]) {
        self.kind = kind
        self.metric = metric
        self.matchers = matchers.sorted()
        self.groupedBy = groupedBy.sorted()
    }
}

/// A cumulative bucket of a classic histogram.
public struct Bucket: Sendable, Hashable, Codable {
    /// The upper edge, `+infinity` for the last one.
    public var edge: Double
    /// Observations at or below the edge since the process started.
    public var count: Double

    /// A bucket.
    public init(edge: Double, count: Double) {
        self.edge = edge
        self.count = count
    }
}

/// One instance's answer to a query, as it was read.
public struct SeriesRow: Sendable, Hashable, Codable {
    /// The group's labels, sorted by name; a label that the series lack is left out.
    public var labels: [Label]
    /// The value; for a histogram the count of all observations (the `+Inf` bucket). Never NaN: such a row is dropped by the reader and named in `warnings`.
    public var value: Double
    /// The buckets by ascending edge, for a histogram; else empty.
    public var buckets: [Bucket]
    /// The oldest time of a sample that went into the value; nil when telemetry did not say.
    public var sampledAt: Instant?
    /// How many counter resets telemetry saw since the previous poll; nil when it was not asked (nothing fell).
    public var resets: Double?

    /// A row.
    public init(labels: [Label], value: Double, buckets: [Bucket] = [], sampledAt: Instant? = nil, resets: Double? = nil) {
        self.labels = labels.sorted()
        self.value = value
        self.buckets = buckets
        self.sampledAt = sampledAt
        self.resets = resets
    }

    /// The value of one label of the group, empty when the series lack it (as PromQL has it).
    public func label(_ name: String) -> String { labels.first { $0.name == name }?.value ?? "" }
}

/// The answer to one query.
public struct SeriesReading: Sendable, Hashable, Codable {
    /// The rows, sorted by labels.
    public var rows: [SeriesRow]
    /// What telemetry warned of; anything here degrades the evidence: it may add to a fail, never to a pass.
    public var warnings: [String]
    /// Why there is no answer; the rows are empty then.
    public var failure: Failure?

    /// An answer.
    public init(rows: [SeriesRow], warnings: [String] = [], failure: Failure? = nil) {
        self.rows = rows
        self.warnings = warnings
        self.failure = failure
    }
}

/// Whether one scrape target is reachable, and since when its process runs.
public struct InstanceReading: Sendable, Hashable, Codable {
    /// The value of the instance label.
    public var instance: String
    /// The lowest `up` of its targets; nil when telemetry does not know the target.
    public var up: Double?
    /// When its process started (`process_start_time_seconds`); nil when it does not say.
    public var startedAt: Instant?

    /// A target's state.
    public init(instance: String, up: Double?, startedAt: Instant?) {
        self.instance = instance
        self.up = up
        self.startedAt = startedAt
    }
}

/// A firing alert that matches the policy.
public struct AlertReading: Sendable, Hashable, Codable {
    /// Where it was seen: `prometheus` or `alertmanager`.
    public var source: String
    /// Its labels, sorted by name.
    public var labels: [Label]

    /// An alert.
    public init(source: String, labels: [Label]) {
        self.source = source
        self.labels = labels.sorted()
    }
}

/// What is asked of telemetry at one poll.
public struct TelemetryRequest: Sendable, Hashable, Codable {
    /// The shapes to read; the answer has one reading each, in this order.
    public var queries: [SeriesQuery]
    /// The label that names an instance, usually `instance`.
    public var instanceLabel: String
    /// Conditions on alerts that halt; nil when alerts are not watched.
    public var alerts: [LabelMatcher]?

    /// A request.
    public init(queries: [SeriesQuery], instanceLabel: String, alerts: [LabelMatcher]?) {
        self.queries = queries
        self.instanceLabel = instanceLabel
        self.alerts = alerts
    }
}

/// What telemetry answered at one poll, raw.
public struct TelemetryReading: Sendable, Hashable, Codable {
    /// The one evaluation time of every query.
    public var evaluatedAt: Instant
    /// One reading for each query asked, in that order.
    public var series: [SeriesReading]
    /// The targets, sorted by instance.
    public var instances: [InstanceReading]
    /// The matching alerts that fire, sorted; nil when alerts are not watched or could not be read.
    public var alerts: [AlertReading]?
    /// Why targets or alerts could not be read, when they could not.
    public var failures: [Failure]

    /// An answer.
    public init(
        evaluatedAt: Instant, series: [SeriesReading], instances: [InstanceReading], alerts: [AlertReading]?, failures: [Failure]
    ) {
        self.evaluatedAt = evaluatedAt
        self.series = series
        self.instances = instances
        self.alerts = alerts
        self.failures = failures
    }
}

/// One instance's past of one query: cumulative values at the bin edges.
public struct HistoryRow: Sendable, Hashable, Codable {
    /// The group's labels, sorted by name.
    public var labels: [Label]
    /// The cumulative value at each edge, nil where there was none; for a histogram the count of all observations.
    public var values: [Double?]
    /// For a histogram, the cumulative buckets at each edge of time, by ascending `le`; else empty.
    public var buckets: [[Bucket]]

    /// A row.
    public init(labels: [Label], values: [Double?], buckets: [[Bucket]] = []) {
        self.labels = labels.sorted()
        self.values = values
        self.buckets = buckets
    }
}

/// The past of several queries at equally spaced edges, read once at the start of a rollout to measure noise.
public struct HistoryReading: Sendable, Hashable, Codable {
    /// The first edge.
    public var start: Instant
    /// The distance between edges, 60 s.
    public var step: Duration
    /// For each query asked, in that order, its rows sorted by labels.
    public var series: [[HistoryRow]]
    /// The usual distance between samples of the targets, when it could be read.
    public var scrapeInterval: Duration?
    /// Warnings and failures met; history that could not be read is absent, never guessed.
    public var warnings: [String]

    /// A past.
    public init(start: Instant, step: Duration, series: [[HistoryRow]], scrapeInterval: Duration?, warnings: [String]) {
        self.start = start
        self.step = step
        self.series = series
        self.scrapeInterval = scrapeInterval
        self.warnings = warnings
    }
}
