internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

/// The evidence of one rollout, as the rollout needs it: the one file that knows how verdicts are reached.
struct EvidenceFeed: Sendable, Hashable {
    private let signals: [SignalPolicy]
    private let instanceLabel: String
    private let alerts: [LabelMatcher]?

    init(policy: Policy) {
        signals = policy.signals
        instanceLabel = policy.prometheus.instanceLabel
        alerts = policy.alerts?.match
    }

    /// What to ask of telemetry at every poll.
    var request: TelemetryRequest { TelemetryRequest(queries: [], instanceLabel: instanceLabel, alerts: alerts) }

    /// Measures the control's noise on its past.
    mutating func absorb(_ history: HistoryReading) {}

    /// Takes a poll's answer; nil when none came. Only what is collected becomes evidence.
    mutating func absorb(_ reading: TelemetryReading?, at now: Instant, isCollecting: Bool) -> Assessment {
        let assessments = signals.map { signal in
            var assessment = SignalAssessment(name: signal.name)
            assessment.isReportOnly = signal.isReportOnly
            assessment.isSecurity = signal.isSecurity
            if reading == nil { assessment.absence = .sourceDown }
            return assessment
        }
        return Assessment(signals: assessments, healthyTime: .zero, observedRequests: nil, isDegraded: false, failing: nil)
    }

    /// A weight is in force from now on: the observed share is counted anew, and the evidence begins a new stratum.
    mutating func weightConfirmed(_ weight: Weight, at now: Instant) {}
}
