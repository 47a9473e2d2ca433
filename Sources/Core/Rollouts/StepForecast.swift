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
        var feed = EvidenceFeed(policy: policy)
        feed.absorb(history)
        for reading in readings { _ = feed.absorb(reading, at: reading.evaluatedAt, isCollecting: true) }
        return policy.traffic.steps.filter { $0.weight < .all }.map {
            StepForecast(weight: $0.weight, signals: feed.forecast(weight: $0.weight))
        }
    }
}
