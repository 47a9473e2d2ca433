internal import SerinModel
internal import SerinRollouts
internal import SerinVerdicts

/// The JSON object of what is known of one signal.
enum SignalDocument {
    static func encode(_ signal: SignalAssessment) -> JSONValue {
        .object([
            "name": .string(signal.name),
            "verdict": .string(signal.verdict.rawValue),
            "reason": .string(signal.reason),
            "absence": signal.absence.map { .string(word($0)) } ?? .null,
            "absent_cohort": signal.absentCohort.map { .string($0.rawValue) } ?? .null,
            "report_only": .bool(signal.isReportOnly),
            "security": .bool(signal.isSecurity),
            "beyond_hard_limit": .bool(signal.isBeyondHardLimit),
            "control_beyond_hard_limit": .bool(signal.isControlBeyondHardLimit),
            "canary": cohort(signal.counts.canaryEvents, signal.counts.canaryExposure),
            "control": cohort(signal.counts.controlEvents, signal.counts.controlExposure),
            "ratio": signal.ratio.map(Notation.json) ?? .null,
            "interval": signal.interval.map(bounds) ?? .null,
            "boundary": Notation.json(signal.boundary),
            "log_e_fail": Notation.json(signal.logEFail),
            "log_e_pass": Notation.json(signal.logEPass),
            "phi": Notation.json(signal.phi),
            "noise": .string(signal.noise),
            "onset": signal.onset.map { .string(Notation.text($0)) } ?? .null,
        ])
    }

    static func decode(_ value: JSONValue) throws(DocumentError) -> SignalAssessment {
        let reader = try DocumentReader(value, name: "signal")
        var signal = SignalAssessment(name: try reader.text("name"))
        signal.verdict = try reader.get("verdict", "a verdict") { $0.text.flatMap(Verdict.init(rawValue:)) }
        signal.reason = try reader.text("reason")
        signal.absence = try reader.optional("absence", "an absence") { value in
            Absence.allCases.first { word($0) == value.text }
        }
        signal.absentCohort = try reader.optional("absent_cohort", "a cohort") { $0.text.flatMap(Cohort.init(rawValue:)) }
        signal.isReportOnly = try reader.flag("report_only")
        signal.isSecurity = try reader.flag("security")
        signal.isBeyondHardLimit = try reader.flag("beyond_hard_limit")
        signal.isControlBeyondHardLimit = try reader.flag("control_beyond_hard_limit")
        signal.counts = try counts(value)
        signal.ratio = try reader.optional("ratio", "a number", Notation.double)
        if let interval = reader.present("interval") { signal.interval = try bounds(in: interval) }
        signal.boundary = try reader.double("boundary")
        signal.logEFail = try reader.double("log_e_fail")
        signal.logEPass = try reader.double("log_e_pass")
        signal.phi = try reader.double("phi")
        signal.noise = try reader.text("noise")
        signal.onset = try reader.optional("onset", "a time") { $0.text.flatMap(Notation.instant) }
        return signal
    }

    /// An interval with its time and what it was computed from.
    static func encodeInterval(_ computed: ComputedInterval) -> JSONValue {
        .object([
            "signal": .string(computed.signal), "at": .string(Notation.text(computed.at)),
            "canary": cohort(computed.counts.canaryEvents, computed.counts.canaryExposure),
            "control": cohort(computed.counts.controlEvents, computed.counts.controlExposure),
            "ratio": computed.ratio.map(Notation.json) ?? .null, "interval": bounds(computed.interval),
        ])
    }

    static func decodeInterval(_ value: JSONValue) throws(DocumentError) -> ComputedInterval {
        let reader = try DocumentReader(value, name: "interval")
        return ComputedInterval(
            signal: try reader.text("signal"), at: try reader.instant("at"),
            ratio: try reader.optional("ratio", "a number", Notation.double),
            interval: try bounds(in: value["interval"] ?? .null),
            counts: try counts(value))
    }

    private static func bounds(_ interval: Interval) -> JSONValue {
        .object(["low": Notation.json(interval.low), "high": Notation.json(interval.high)])
    }

    private static func bounds(in value: JSONValue) throws(DocumentError) -> Interval {
        let bounds = try DocumentReader(value, name: "interval")
        return Interval(low: try bounds.double("low"), high: try bounds.double("high"))
    }

    private static func cohort(_ events: Double, _ exposure: Double) -> JSONValue {
        .object(["events": Notation.json(events), "exposure": Notation.json(exposure)])
    }

    private static func counts(_ value: JSONValue) throws(DocumentError) -> CohortCounts {
        let canary = try DocumentReader(value["canary"] ?? .null, name: "canary")
        let control = try DocumentReader(value["control"] ?? .null, name: "control")
        var counts = CohortCounts()
        counts.canaryEvents = try canary.double("events")
        counts.canaryExposure = try canary.double("exposure")
        counts.controlEvents = try control.double("events")
        counts.controlExposure = try control.double("exposure")
        return counts
    }

    /// The word for an absence in documents.
    private static func word(_ absence: Absence) -> String {
        switch absence {
        case .noSeries: "no_series"
        case .stale: "stale"
        case .zeroTraffic: "zero_traffic"
        case .tooFewRequests: "too_few_requests"
        case .sourceDown: "source_down"
        }
    }
}
