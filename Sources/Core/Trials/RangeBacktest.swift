public import SerinModel
public import SerinPolicies
internal import SerinRollouts
public import SerinVerdicts

/// The past of both cohorts in one range, minute by minute, and of control before it.
public struct PastReadings: Sendable, Hashable {
    /// Control's past before the range, from which its noise is measured.
    public var before: HistoryReading
    /// The canary's values in the range.
    public var canary: HistoryReading
    /// Control's values in the range.
    public var control: HistoryReading

    /// The past of both cohorts.
    public init(before: HistoryReading, canary: HistoryReading, control: HistoryReading) {
        self.before = before
        self.canary = canary
        self.control = control
    }

    /// What could not be read, each once.
    public var warnings: [String] {
        (before.warnings + canary.warnings + control.warnings).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}

/// What a policy says of its cohorts in a range of the past, as if all of it had been one bake.
///
/// Nobody knows the weight of that time, so nothing is said of steps; what a past query does not tell, the ages of samples and which
/// instances were down, is left out.
public struct RangeBacktest: Sendable {
    /// How long a range may be.
    public static let limit = Duration.hours(24)

    /// The time between two readings.
    static let poll = Duration.minutes(1)

    /// How many readings were judged.
    public private(set) var polls = 0
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

    /// Judges the readings of the range, the oldest first.
    public mutating func judge(_ past: PastReadings) {
        rollout.absorb(past.before)
        let series = request.queries.indices.map { query in
            (past.canary.series[safe: query] ?? []) + (past.control.series[safe: query] ?? [])
        }
        let edges = series.joined().map(\.values.count).max() ?? 0
        for edge in 0..<edges {
            end = past.control.start + past.control.step * Int64(edge)
            rollout.absorb(
                TelemetryReading(
                    evaluatedAt: end,
                    series: series.map { rows in SeriesReading(rows: rows.compactMap { $0.reading(at: edge) }) },
                    instances: [], alerts: nil, failures: []), at: end)
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
