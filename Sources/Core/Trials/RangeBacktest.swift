public import SerinModel
public import SerinPolicies
internal import SerinRollouts
public import SerinVerdicts

/// The past of both cohorts in one range, minute by minute, and of control before it.
public struct PastReadings: Sendable, Hashable {
    /// What was kept of one cohort.
    public struct Cohort: Sendable, Hashable {
        /// Its values.
        public var values: HistoryReading
        /// How old the sample behind each value was, in seconds; without rows where that is not known.
        public var ages: HistoryReading

        /// What was kept.
        public init(values: HistoryReading, ages: HistoryReading) {
            self.values = values
            self.ages = ages
        }

        /// Whether nothing was.
        public var isEmpty: Bool {
            values.series.allSatisfy { rows in rows.allSatisfy { row in row.values.allSatisfy { $0 == nil } } }
        }

        /// The rows of a query as a poll at one of the edges would have read them.
        func rows(of query: Int, at edge: Int) -> [SeriesRow] {
            let at = values.start + values.step * Int64(edge)
            return (values.series[safe: query] ?? []).compactMap { row in
                guard var reading = row.reading(at: edge) else { return nil }
                let age = ages.series[safe: query]?.first { $0.labels == row.labels }?.values[safe: edge] ?? nil
                reading.sampledAt = age.map { at - Duration(milliseconds: Int64(($0 * 1000).rounded())) }
                return reading
            }
        }

        /// Whether anything was kept at one of the edges.
        func hasRows(at edge: Int) -> Bool {
            values.series.contains { rows in rows.contains { ($0.values[safe: edge] ?? nil) != nil } }
        }
    }

    /// Control's past before the range, from which its noise is measured.
    public var before: HistoryReading
    /// What was kept of the canary in the range.
    public var canary: Cohort
    /// What was kept of control in the range.
    public var control: Cohort

    /// The past of both cohorts.
    public init(before: HistoryReading, canary: Cohort, control: Cohort) {
        self.before = before
        self.canary = canary
        self.control = control
    }

    /// What could not be read, each once.
    public var warnings: [String] {
        [before, canary.values, canary.ages, control.values, control.ages].flatMap(\.warnings)
            .reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}

/// What a policy says of its cohorts in a range of the past, as if all of it had been one bake.
///
/// Nobody knows the weight of that time, so nothing is said of steps; what a past query does not tell, which instances were down, is
/// left out.
public struct RangeBacktest: Sendable {
    /// How long a range may be.
    public static let limit = Duration.hours(24)

    /// The time between two readings.
    static let poll = Duration.minutes(1)

    /// How many readings were judged.
    public private(set) var polls = 0
    /// The first of them: both cohorts were there from then on; nil before anything was judged.
    public private(set) var begin: Instant?
    /// What they came to.
    public private(set) var verdicts = VerdictCourse()
    private var rollout: Rollout
    private var end: Instant

    /// A backtest before its readings.
    ///
    /// - Parameters:
    ///   - policy: The policy, with the versions put in.
    ///   - version: The version whose series are the canary's.
    ///   - previous: The version whose series are the control's.
    public init(_ policy: Policy, version: String, previous: String) throws(TrialError) {
        guard let id = RolloutID("\(policy.service)-past") else { throw TrialError("the service's name is too long") }
        var policy = policy
        policy.timing.poll = Self.poll
        end = Instant(millisecondsSince1970: 0)
        rollout = Rollout(
            charter: Charter(
                id: id, policy: policy, policyHash: "", version: version, previous: previous, author: .serin, overrides: []),
            createdAt: end)
    }

    /// What is to be read of the past.
    public var request: TelemetryRequest { rollout.telemetryRequest }

    /// Judges the readings of the range, the oldest first, from the first at which both cohorts were there: a bake does not begin
    /// before.
    public mutating func judge(_ past: PastReadings) {
        var before = past.before
        // Before the range there may be nothing to measure it by.
        before.scrapeInterval = before.scrapeInterval ?? past.control.values.scrapeInterval
        rollout.absorb(before)
        let values = past.control.values
        let edges = (past.canary.values.series + values.series).joined().map(\.values.count).max() ?? 0
        let first = (0..<edges).first { past.canary.hasRows(at: $0) && past.control.hasRows(at: $0) } ?? edges
        for edge in first..<edges {
            end = values.start + values.step * Int64(edge)
            begin = begin ?? end
            rollout.absorb(
                TelemetryReading(
                    evaluatedAt: end,
                    series: request.queries.indices.map { query in
                        SeriesReading(rows: past.canary.rows(of: query, at: edge) + past.control.rows(of: query, at: edge))
                    }, instances: [], alerts: nil, failures: []), at: end)
            guard let verdict = rollout.verdict else { continue }
            polls += 1
            verdicts.append(
                VerdictCourse.Stretch(
                    first: polls, last: polls, from: end, to: end, weight: nil, then: nil, now: verdict,
                    failing: rollout.failingSignals))
        }
    }

    /// What is known of each signal at the end of the range.
    public var signals: [SignalAssessment] { rollout.status(at: end).signals }
}

extension HistoryRow {
    /// The row as a poll at one of its edges would have read it; nil where there was no value.
    fileprivate func reading(at edge: Int) -> SeriesRow? {
        guard let value = values[safe: edge] ?? nil else { return nil }
        return SeriesRow(labels: labels, value: value, buckets: buckets[safe: edge] ?? [])
    }
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
