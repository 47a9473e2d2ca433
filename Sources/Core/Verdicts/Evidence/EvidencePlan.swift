public import SerinModel

/// What evidence to gather and how to judge it: fixed for a rollout.
public struct EvidencePlan: Sendable, Hashable, Codable {
    /// The signals, in the policy's order.
    public var signals: [EvidenceSignal]
    /// The labels of the canary's series.
    public var canary: [Label]
    /// The labels of the control's series; at least one differs from the canary's.
    public var control: [Label]
    /// Those of the canary's labels that name the new version; none where something else tells the cohorts apart.
    public var newVersion: [Label]
    /// The label that names an instance.
    public var instanceLabel: String
    /// The time between polls.
    public var poll: Duration
    /// How old a sample may be; nil is 2.5 scrape intervals.
    public var staleAfter: Duration?
    /// The time between samples of the targets, when it is known beforehand; history overrules it.
    public var scrapeInterval: Duration?
    /// The bake: the least evidence before a pass.
    public var bake: Duration
    /// The least evidence before a fail, where noise was measured on history.
    public var minEvidence: Duration
    /// The least evidence before a fail without such a measure.
    public var minEvidenceWithoutHistory: Duration
    /// The time between two samples of a gauge.
    public var gaugeInterval: Duration
    /// The risk that all signals of the family together roll back an equal canary.
    public var familyAlpha: Double
    /// A security signal's own risk of a false halt.
    public var securityAlpha: Double

    /// A plan.
    public init(
        signals: [EvidenceSignal], canary: [Label], control: [Label], newVersion: [Label] = [],
        instanceLabel: String = "instance",
        poll: Duration = .seconds(15), staleAfter: Duration? = nil, scrapeInterval: Duration? = nil,
        bake: Duration = .minutes(30), minEvidence: Duration = .seconds(30), minEvidenceWithoutHistory: Duration = .minutes(3),
        gaugeInterval: Duration = .seconds(60), familyAlpha: Double = 0.05, securityAlpha: Double = 0.01
    ) {
        self.signals = signals
        self.canary = canary.sorted()
        self.control = control.sorted()
        self.newVersion = newVersion.sorted()
        self.instanceLabel = instanceLabel
        self.poll = poll
        self.staleAfter = staleAfter
        self.scrapeInterval = scrapeInterval
        self.bake = bake
        self.minEvidence = minEvidence
        self.minEvidenceWithoutHistory = minEvidenceWithoutHistory
        self.gaugeInterval = gaugeInterval
        self.familyAlpha = familyAlpha
        self.securityAlpha = securityAlpha
    }

    /// What to ask of telemetry at each poll: each shape once, in the order of the signals. Labels that both cohorts share with one
    /// value become conditions; the others are grouped by, together with the instance.
    public var telemetryQueries: [SeriesQuery] { QueryTable(self).queries }

    /// Which of these queries each signal reads.
    public var reads: [SignalReads] { QueryTable(self).uses }

    /// The signal's share of the family's risk, or a security signal's own.
    func alpha(of signal: EvidenceSignal) -> Double {
        if signal.isSecurity { return securityAlpha }
        return familyAlpha / Double(max(1, signals.count { $0.isInFamily }))
    }

    /// The signal's rule with risks and, for blocks of this length, counts of blocks.
    func rule(of signal: EvidenceSignal, block: Duration, isCalibrated: Bool) -> Rule {
        var rule = signal.rule
        rule.alpha = alpha(of: signal)
        if signal.isSecurity { rule.proof = .any }
        if signal.source.isGauge || signal.source.quantile != nil {
            rule.floor = 0
            rule.assureFloor = 0
            rule.direction = .increase
        }
        if signal.source.isGauge { rule.minExposure = min(rule.minExposure, 10) }
        let evidence = isCalibrated ? minEvidence : max(minEvidence, minEvidenceWithoutHistory)
        return rule.timed(block: block.seconds, minEvidence: evidence.seconds, bake: bake.seconds)
    }
}

/// The queries that one signal reads, by their places.
public struct SignalReads: Sendable, Hashable {
    /// The query of events; nil where exposure and events are one series (rate, latency, gauge).
    public var events: Int?
    /// The query of exposure, or the only one.
    public var main: Int
}

/// The queries of a plan and which of them each signal reads.
struct QueryTable: Sendable, Hashable {
    typealias Use = SignalReads

    /// Each shape once.
    var queries: [SeriesQuery] = []
    /// For each signal.
    var uses: [Use] = []
    /// The labels that tell the canary apart.
    var canary: [Label]
    /// The labels that tell the control apart.
    var control: [Label]

    init(_ plan: EvidencePlan) {
        let shared = plan.canary.filter(plan.control.contains)
        canary = plan.canary.filter { !shared.contains($0) }
        control = plan.control.filter { !shared.contains($0) }
        var groups = [plan.instanceLabel]
        for label in canary + control where !groups.contains(label.name) { groups.append(label.name) }
        let common = shared.map { LabelMatcher($0.name, .equal, $0.value) }
        for signal in plan.signals {
            func add(_ kind: SeriesQuery.Kind, _ metric: String, _ matchers: [LabelMatcher] = []) -> Int {
                let conditions = kind == .expression ? [] : common + signal.matchers + matchers
                let query = SeriesQuery(kind: kind, metric: metric, matchers: conditions, groupedBy: groups)
                if let known = queries.firstIndex(of: query) { return known }
                queries.append(query)
                return queries.count - 1
            }
            switch signal.source {
            case .ratio(let counter, let bad): uses.append(Use(events: add(.counter, counter, bad), main: add(.counter, counter)))
            case .per(let counter, let exposure):
                uses.append(Use(events: add(.counter, counter), main: add(.counter, exposure)))
            case .rate(let counter): uses.append(Use(events: nil, main: add(.counter, counter)))
            case .latency(let histogram, _): uses.append(Use(events: nil, main: add(.histogram, histogram)))
            case .gauge(let metric): uses.append(Use(events: nil, main: add(.gauge, metric)))
            case .expression(let text): uses.append(Use(events: nil, main: add(.expression, text)))
            }
        }
    }

    /// The cohort of a row; nil when it belongs to none, or to both and so to none.
    func cohort(of labels: [Label]) -> Cohort? {
        let isCanary = labels.contain(canary)
        if isCanary == labels.contain(control) { return nil }
        return isCanary ? .canary : .control
    }

    /// Whether a row belongs to both cohorts.
    func isInBoth(_ labels: [Label]) -> Bool { labels.contain(canary) && labels.contain(control) }
}

extension [Label] {
    /// Whether these labels are among the labels of a row; one that it lacks is empty.
    func contain(_ wanted: [Label]) -> Bool {
        wanted.allSatisfy { label in (first { $0.name == label.name }?.value ?? "") == label.value }
    }
}
