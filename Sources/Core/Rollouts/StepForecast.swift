public import SerinModel
public import SerinPolicies
public import SerinVerdicts

/// What can be told at one step's weight, and how long it takes, at the traffic of now.
public struct StepForecast: Sendable, Hashable {
    /// The step's weight.
    public var weight: Weight
    /// One for each signal with traffic; gauges and silent signals have none.
    public var signals: [SignalForecast]

    /// The forecast of each judged step of a policy.
    ///
    /// - Parameters:
    ///   - history: The control's past.
    ///   - readings: Readings of now, oldest first; two or more give the present traffic where there is no past.
    public static func steps(
        of policy: Policy, history: HistoryReading, readings: [TelemetryReading]
    ) -> [StepForecast] {
        let past = steps(of: policy, absorbing: history)
        if past.contains(where: { !$0.signals.isEmpty }) { return past }
        return HistoryReading(of: readings).map { steps(of: policy, absorbing: $0) } ?? past
    }

    private static func steps(of policy: Policy, absorbing history: HistoryReading) -> [StepForecast] {
        var feed = EvidenceFeed(policy: policy, version: "", previous: "")
        feed.absorb(history)
        return policy.traffic.steps.filter { $0.weight < .all }.map {
            StepForecast(weight: $0.weight, signals: feed.forecast(weight: $0.weight))
        }
    }
}

extension HistoryReading {
    /// A few readings as a short past; nil when there are fewer than two, or they do not fit together.
    fileprivate init?(of readings: [TelemetryReading]) {
        guard let first = readings.first, let second = readings.dropFirst().first,
            readings.allSatisfy({ $0.series.count == first.series.count })
        else { return nil }
        let series = first.series.indices.map { query in
            first.series[query].rows.map { row in
                let same = readings.map { reading in reading.series[query].rows.first { $0.labels == row.labels } }
                let buckets = row.buckets.isEmpty ? [] : same.map { $0?.buckets ?? [] }
                return HistoryRow(labels: row.labels, values: same.map { $0?.value }, buckets: buckets)
            }
        }
        self.init(
            start: first.evaluatedAt, step: second.evaluatedAt - first.evaluatedAt, series: series, scrapeInterval: nil,
            warnings: [])
    }
}
