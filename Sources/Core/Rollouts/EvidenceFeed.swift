internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

/// The evidence of one rollout, as the rollout needs it: the one file that translates a policy into what is judged.
struct EvidenceFeed: Sendable, Hashable {
    private var evidence: Evidence
    private let instanceLabel: String
    private let alerts: [LabelMatcher]?

    init(policy: Policy, version: String, previous: String) {
        evidence = Evidence(plan: EvidencePlan(policy, version: version, previous: previous))
        instanceLabel = policy.prometheus.instanceLabel
        alerts = policy.alerts?.match
    }

    /// What to ask of telemetry at every poll.
    var request: TelemetryRequest {
        TelemetryRequest(queries: evidence.telemetryQueries, instanceLabel: instanceLabel, alerts: alerts)
    }

    /// Which of the queries each signal reads.
    var reads: [SignalReads] { evidence.plan.reads }

    /// Measures the control's noise on its past.
    mutating func absorb(_ history: HistoryReading) { evidence.absorb(history: history) }

    /// Takes a poll's answer; nil when none came. Only what is collected becomes evidence.
    mutating func absorb(_ reading: TelemetryReading?, at now: Instant, isCollecting: Bool) -> Assessment {
        evidence.absorb(reading, at: now, isCollecting: isCollecting)
        return evidence.assess(withIntervals: false)
    }

    /// The same assessment with its intervals, which cost a bisection each.
    func shown() -> Assessment { evidence.assess(withIntervals: true) }

    /// The time between samples of the targets, as far as it is known.
    var scrapeInterval: Duration? { evidence.scrapeInterval }

    /// A weight is in force from now on: the observed share is counted anew, and the evidence begins a new stratum.
    mutating func weightConfirmed(_ weight: Weight, at now: Instant) { evidence.weightConfirmed(at: now) }

    /// The promotion begins: whoever shows the new version so far is the canary.
    mutating func promotionBegan() { evidence.promotionBegan() }

    /// How long it will take at the traffic seen so far, at a weight.
    func forecast(weight: Weight?) -> [SignalForecast] { evidence.forecast(weight: weight) }
}

extension EvidencePlan {
    /// The plan of a policy for a version.
    init(_ policy: Policy, version: String, previous: String) {
        let timing = policy.timing
        let prometheus = policy.prometheus
        // A value that only happens to hold the version (`pool-1` of version 1) names none: control's would hold the previous one.
        let naming = prometheus.canary.filter { label in
            guard label.value.contains(version), !prometheus.control.contains(label) else { return false }
            guard let other = prometheus.control.first(where: { $0.name == label.name }) else { return true }
            return label.value == version || other.value == label.value.rewriting(version, as: previous)
        }
        // An override that shortens the evidence below the default means it with and without history.
        let isShortened = timing.minEvidence < TimingPolicy().minEvidence
        self.init(
            signals: policy.signals.map(EvidenceSignal.init), canary: prometheus.canary,
            control: prometheus.control, newVersion: naming, instanceLabel: prometheus.instanceLabel, poll: timing.poll,
            staleAfter: prometheus.staleAfter, bake: timing.bake, minEvidence: timing.minEvidence,
            minEvidenceWithoutHistory: isShortened ? timing.minEvidence : .minutes(3))
    }
}

extension EvidenceSignal {
    fileprivate init(_ signal: SignalPolicy) {
        let source: SignalSource =
            switch signal.source {
            case .ratio(let counter, let bad): .ratio(counter: counter, bad: bad)
            case .per(let counter, let exposure): .per(counter: counter, exposure: exposure)
            case .rate(let counter): .rate(counter: counter)
            case .latency(let histogram, let quantile): .latency(histogram: histogram, quantile: quantile)
            case .gauge(let metric): .gauge(metric: metric)
            case .expression(let text): .expression(text)
            }
        var rule = Rule()
        switch signal.direction {
        case .increase: rule.direction = .increase
        case .decrease: rule.direction = .decrease
        case .either: rule.direction = .either
        }
        rule.tolerance = signal.tolerance
        rule.floor = signal.floor
        rule.assureTolerance = signal.assureTolerance
        rule.assureFloor = signal.assureFloor
        switch signal.proof {
        case .beyond: rule.proof = .beyond
        case .any: rule.proof = .any
        }
        rule.minExposure = signal.minExposure
        let judge: Judge =
            switch signal.judge {
            case .sequential: .sequential
            case .threshold: .threshold
            }
        self.init(
            name: signal.name, source: source, matchers: signal.conditions, rule: rule, slack: signal.slack, judge: judge,
            hardLimit: signal.hardLimit, isSecurity: signal.isSecurity, isReportOnly: signal.isReportOnly)
    }
}
