internal import SerinModel
public import SerinVerdicts

/// Evidence in tables, lines and pages, of the numbers that the decision log writes too.
public enum EvidenceNumbers {
    /// A count, which may be a fraction of an event.
    public static func count(_ value: Double) -> String {
        Numbers.fixed(value, decimals: value == value.rounded() || abs(value) >= 100 ? 0 : 1)
    }

    /// At most two digits after the point, without zeros at the end: `1.5`, `50`, `0.25`.
    public static func trimmed(_ value: Double) -> String {
        var text = Numbers.fixed(value, decimals: 2)
        guard text.contains(".") else { return text }
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }

    /// A share of events with its counts: `2.10% (84/4,003)`; `-` without exposure.
    public static func share(_ events: Double, of exposure: Double) -> String {
        guard exposure > 0 else { return "-" }
        let rate = events / exposure
        let shown = rate <= 1 ? Numbers.percent(rate) : Numbers.fixed(rate, decimals: 2)
        return "\(shown) (\(count(events))/\(count(exposure)))"
    }

    /// A ratio with its interval: `2.06 [1.56–2.72]`; `-` without.
    public static func ratio(_ ratio: Double?, _ interval: Interval?) -> String {
        guard let ratio else { return "-" }
        let bounds = interval.map {
            " [\(Numbers.fixed($0.low, decimals: 2))–\(Numbers.fixed($0.high, decimals: 2))]"
        }
        return Numbers.fixed(ratio, decimals: 2) + (bounds ?? "")
    }

    /// A ratio, and the interval as last computed: in one when it is of the same numbers, else with what it is of and when that was:
    /// `0.99; 1.00 [0.14–3.49] of 9/899 at 10:32:15`.
    public static func ratio(of signal: SignalAssessment, computed: ComputedInterval?) -> String {
        guard let computed, computed.ratio != nil, signal.interval == nil else { return ratio(signal.ratio, signal.interval) }
        if computed.isOf(signal) { return ratio(signal.ratio, computed.interval) }
        return
            "\(ratio(signal.ratio, nil)); \(ratio(computed.ratio, computed.interval)) \(computed.base) at \(computed.at.timeOfDay)"
    }

    /// Why a signal's verdict is what it is, with what else is to be known of it.
    public static func why(_ signal: SignalAssessment) -> String {
        var marks: [String] = []
        if signal.isSecurity { marks.append("security") }
        if signal.isReportOnly { marks.append("report only") }
        if signal.isBeyondHardLimit { marks.append("beyond its hard limit") }
        if signal.isControlBeyondHardLimit { marks.append("control beyond its hard limit") }
        if let onset = signal.onset { marks.append("since \(onset.timeOfDay)") }
        return ([signal.reason] + marks).filter { !$0.isEmpty }.joined(separator: ", ")
    }
}
