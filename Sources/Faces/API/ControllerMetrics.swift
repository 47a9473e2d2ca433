internal import SerinController
internal import SerinModel
internal import SerinVerdicts

/// The metrics of what controllers measured of themselves; counters and histograms begin at 0 with the process.
struct ControllerMetrics {
    private let measurements: Measurements

    init(_ measurements: Measurements) { self.measurements = measurements }

    func write(to text: inout MetricText) {
        text.add("serin_halt_to_zero_seconds", "From a halt's arrival to weight 0 read back.", measurements.halts)
        text.add(
            "serin_decision_duration_seconds", "How long the reckoning over what one poll read took.", measurements.decisions)
        text.add(
            "serin_journal_fsync_seconds", "How long appends to journals took until they would survive a power cut.",
            measurements.appends)
        text.add(
            "serin_journal_failures_total", .counter, "Appends to journals that failed.",
            [MetricText.Sample(Double(measurements.failedAppends))])
        text.add(
            "serin_effect_failures_total", .counter, "Effects that did not do what was asked, or nobody knows, by kind.",
            EffectKind.allCases.map {
                MetricText.Sample(Double(measurements.failures[$0] ?? 0), [("kind", $0.rawValue)])
            })
        text.add(
            "serin_invariant_violations_total", .counter,
            "Promises of a controller that did not hold, so that its rollout was taken back.",
            [MetricText.Sample(Double(measurements.brokenPromises))])
        text.add(
            "serin_verdicts_total", .counter, "Verdicts on signals, one each poll of a live rollout.",
            measurements.verdicts.sorted { $0.key < $1.key }.map {
                MetricText.Sample(Double($0.value), [("signal", $0.key.signal), ("verdict", $0.key.verdict.rawValue)])
            })
        text.add(
            "serin_evidence_age_seconds", .gauge, "How old the evidence of a live rollout is.",
            measurements.evidenceAges.sorted { $0.key < $1.key }.map {
                MetricText.Sample($0.value.seconds, [("service", $0.key.description)])
            })
        text.add(
            "serin_leader", .gauge, "Whether this process is in charge of a service that it knows.",
            measurements.isInCharge.sorted { $0.key < $1.key }.map {
                MetricText.Sample($0.value ? 1 : 0, [("service", $0.key.description)])
            })
    }
}
