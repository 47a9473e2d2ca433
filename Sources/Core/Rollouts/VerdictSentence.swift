internal import SerinModel
internal import SerinPolicies
public import SerinVerdicts

/// The sentence of a verdict, always of one form:
/// `step 25% FAIL errors: canary 2.10% (84/4,003) control 1.02% (122/11,980), ratio 2.06 [1.56–2.72] beyond 1.10, since 00:38 → rollback`.
struct VerdictSentence {
    /// The weight that was in force.
    var weight: Weight
    /// What is known of the signal.
    var signal: SignalAssessment
    /// How it is counted.
    var source: SignalPolicy.Source?
    /// What happens next: `rollback`, `step goes on`.
    var next: String

    /// The sentence, without the time.
    var text: String {
        "step \(weight) \(signal.verdict.word) \(signal.name): \(clause) → \(next)"
    }

    /// What was found, without step, verdict and consequence.
    var clause: String {
        if let absence = signal.absence {
            return "\(absence.words)\(signal.absentCohort.map { " for \($0.rawValue)" } ?? ""), \(counts)"
        }
        if signal.isBeyondHardLimit { return "beyond its hard limit, \(counts)" }
        if signal.verdict == .nodata { return "\(signal.reason), \(counts)" }
        var text = counts
        if let ratio = signal.ratio {
            text += ", ratio \(Numbers.fixed(ratio, decimals: 2))"
            if let interval = signal.interval {
                text += " [\(Numbers.fixed(interval.low, decimals: 2))–\(Numbers.fixed(interval.high, decimals: 2))]"
            }
            text += isWiderThanAllowed ? ", \(signal.reason)" : " \(relation) \(Numbers.fixed(signal.boundary, decimals: 2))"
        } else {
            text += ", \(signal.reason)"
        }
        if signal.isControlBeyondHardLimit { text += ", control beyond its hard limit" }
        if let onset = signal.onset { text += ", since \(onset.timeOfDay.prefix(5))" }
        return text
    }

    private var relation: String {
        switch signal.verdict {
        case .fail: "beyond"
        case .pass: "within"
        case .inconclusive, .nodata: "against"
        }
    }

    /// Whether a pass excludes less than what is allowed, as a wide `assurance` has it.
    private var isWiderThanAllowed: Bool {
        guard signal.verdict == .pass, let interval = signal.interval else { return false }
        return signal.boundary < 1 ? interval.low < signal.boundary : interval.high > signal.boundary
    }

    private var counts: String {
        let counts = signal.counts
        let comma = counts.canaryExposure > 0 ? "" : ","
        return
            "canary \(side(counts.canaryEvents, counts.canaryExposure))\(comma) control \(side(counts.controlEvents, counts.controlExposure))"
    }

    private func side(_ events: Double, _ exposure: Double) -> String {
        guard exposure > 0 else { return "nothing yet" }
        let fraction = "(\(Numbers.whole(events))/\(Numbers.whole(exposure)))"
        switch source {
        case .rate: return "\(Numbers.fixed(events / exposure, decimals: 4))/s \(fraction)"
        case .gauge, .expression: return "worse in \(Numbers.whole(events)) of \(Numbers.whole(exposure))"
        case .ratio, .per, .latency, nil: return "\(Numbers.percent(events / exposure)) \(fraction)"
        }
    }
}

extension Verdict {
    /// As it stands in a sentence.
    var word: String {
        switch self {
        case .pass: "PASS"
        case .fail: "FAIL"
        case .inconclusive: "INCONCLUSIVE"
        case .nodata: "NODATA"
        }
    }
}

extension Absence {
    /// For people.
    public var words: String {
        switch self {
        case .noSeries: "no series"
        case .stale: "stale samples"
        case .zeroTraffic: "no traffic"
        case .tooFewRequests: "too few requests"
        case .sourceDown: "telemetry down"
        }
    }
}
