internal import SerinModel

/// The evidence of one gauge: the median over instances of each cohort, once a minute.
struct GaugeEvidence: Sendable, Hashable {
    /// One pair of values; unusable where a cohort had none.
    struct Sample: Sendable, Hashable {
        var at: Instant
        var canary: Double
        var control: Double
        var isUsable: Bool
        var isDegraded: Bool
    }

    let signal: EvidenceSignal
    let query: Int
    /// Differences between control instances in their history; nil when there was too little.
    var calibration: Calibration?
    /// What the history was, in words.
    var past = ""
    /// The samples while evidence was collected.
    private(set) var samples: [Sample] = []
    private var lastSample: Instant?
    /// The medians of the polls of the last minute.
    private(set) var recent: [Sample] = []
    private(set) var canaryInstances = 1
    private(set) var controlInstances = 1
    /// What is absent at this poll.
    private(set) var absences = CohortAbsences(canary: .noSeries, control: .noSeries)

    init(signal: EvidenceSignal, query: Int) {
        self.signal = signal
        self.query = query
    }

    /// Takes one poll; a sample is added when one is due.
    mutating func advance(_ context: PollContext, isCollecting: Bool, interval: Duration, poll: Duration) {
        let answer = context.answers[query]
        var values: [Cohort: [Double]] = [:]
        absences = CohortAbsences()
        func absence(_ cohort: Cohort) -> Absence? {
            if !answer.isAnswered { return .sourceDown }
            let rows = answer.rows.filter { $0.key.cohort == cohort && $0.isSound }
            let fresh = rows.filter(context.isFresh)
            values[cohort] = fresh.map(\.value).sorted()
            return rows.isEmpty ? .noSeries : fresh.isEmpty ? .stale : nil
        }
        absences.canary = absence(.canary)
        absences.control = absence(.control)
        let canary = values[.canary] ?? []
        let control = values[.control] ?? []
        let sample = Sample(
            at: context.at, canary: GaugeEvidence.median(canary), control: GaugeEvidence.median(control),
            isUsable: !canary.isEmpty && !control.isEmpty, isDegraded: answer.isDegraded)
        recent.append(sample)
        recent.removeAll { context.at - $0.at >= RecentWindow.length && $0.at != context.at }
        guard isCollecting else {
            lastSample = nil
            return
        }
        if sample.isUsable {
            canaryInstances = canary.count
            controlInstances = control.count
        }
        let due = interval.milliseconds - poll.milliseconds / 2
        if let lastSample, (context.at - lastSample).milliseconds < due { return }
        lastSample = context.at
        samples.append(sample)
    }

    private static func median(_ sorted: [Double]) -> Double {
        if sorted.isEmpty { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle])
    }

    /// Measures lasting differences on the history of two or more control instances.
    mutating func absorb(_ history: HistoryReading, table: QueryTable, instanceLabel: String) {
        guard query < history.series.count else { return }
        var found: [(name: String, values: [Double?])] = history.series[query]
            .filter { table.cohort(of: $0.labels) == .control }
            .map { row in
                (
                    row.labels.first { $0.name == instanceLabel }?.value ?? "",
                    row.values.map { $0.flatMap { $0.isFinite && $0 > 0 ? $0 : nil } }
                )
            }
        found.sort { $0.name < $1.name }
        let most = found.map { $0.values.count { $0 != nil } }.max() ?? 0
        let kept = found.filter { 5 * $0.values.count { $0 != nil } >= 4 * most && most > 0 }
        let length = kept.map(\.values.count).min() ?? 0
        let whole = (0..<length).filter { k in kept.allSatisfy { $0.values[k] != nil } }
        guard whole.count >= 60, kept.count >= 2 else { return }
        calibration = Gauge.calibration(kept.map { row in whole.map { logarithm(row.values[$0] ?? 1) } })
        let traffic = PastTraffic(
            bins: whole.count, binSeconds: history.step.seconds, instances: kept.count, traffic: 0, rate: 0)
        past = traffic.words
    }

    /// The margin of the sign rule.
    var margin: Double {
        guard let calibration else { return signal.rule.tolerance }
        return Gauge.signMargin(
            tolerance: signal.rule.tolerance, calibration: calibration, canaryInstances: canaryInstances,
            controlInstances: controlInstances)
    }

    /// Whether a cohort was beyond the hard limit at every poll of the last minute, two at least.
    func isBeyondLimit(_ cohort: Cohort) -> Bool {
        guard let limit = signal.hardLimit else { return false }
        let values = recent.filter(\.isUsable).map { cohort == .canary ? $0.canary : $0.control }
        guard values.count >= 2, values.count == recent.count else { return false }
        return values.allSatisfy { signal.rule.direction == .decrease ? $0 < limit : $0 > limit }
    }

    /// Which directions are worse, each alone.
    private var directions: [Rule.Direction] {
        switch signal.rule.direction {
        case .increase: [.increase]
        case .decrease: [.decrease]
        case .either: [.increase, .decrease]
        }
    }

    /// The verdict: the sign rule, with history also the mean rule; each rule and direction has its part of the risk.
    func judgement(_ rule: Rule) -> Judgement {
        let parts = Double(directions.count * (calibration == nil ? 1 : 2))
        var part = rule
        part.alpha = rule.alpha / parts
        let need = logarithm(1 / part.alpha)
        var result: Judgement?
        var logEs: [Double] = []
        for direction in directions {
            let pairs = samples.map { block($0, direction, margin: margin) }
            // What a pass must exclude may be wider than what is allowed.
            let assured = max(margin, rule.assureTolerance)
            let clean = samples.filter { !$0.isDegraded }.map { block($0, direction, margin: assured) }
            var one = Judgement(of: pairs, rule: part, phi: 2, usesOwnBoundaries: true, passBlocks: clean)
            logEs.append(one.logEFamily)
            let mean = meanLogE(direction, onset: rule.onset)
            if let mean, samples.count(where: \.isUsable) >= max(3, rule.minBlocks) {
                logEs.append(mean)
                if mean >= need, one.verdict != .fail {
                    one.verdict = .fail
                    one.reason = .regression
                } else if mean >= logarithm(rule.suspicion), one.verdict == .pass {
                    one.verdict = .inconclusive
                    one.reason = .suspicion
                }
                one.logEFail = max(one.logEFail, mean)
            }
            result = result.map { GaugeEvidence.worse($0, one) } ?? one
        }
        var combined = result ?? Judgement(of: [], rule: rule, phi: 2)
        combined.logEFamily = logSumExp(logEs) - logarithm(parts)
        combined.directions = directions.count
        combined.ratio = means.flatMap { $0.control != 0 ? $0.canary / $0.control : nil }
        return combined
    }

    private func block(_ sample: Sample, _ direction: Rule.Direction, margin: Double) -> Block {
        guard sample.isUsable else { return .unusable }
        return Gauge.block(
            isBeyond: Gauge.isBeyond(
                canary: sample.canary, control: sample.control, tolerance: margin, slack: signal.slack, direction: direction))
    }

    private func meanLogE(_ direction: Rule.Direction, onset: OnsetPrior) -> Double? {
        guard let calibration else { return nil }
        var ratios: [Double] = []
        for sample in samples where sample.isUsable && sample.canary > 0 && sample.control > 0 {
            let isSlack = abs(sample.canary - sample.control) <= signal.slack
            let ratio = isSlack ? 0 : logarithm(sample.canary / sample.control)
            ratios.append(direction == .decrease ? -ratio : ratio)
        }
        let tolerance = signal.rule.tolerance
        return Gauge.logE(
            ratios: ratios, margin: direction == .decrease ? -logarithm(1 - tolerance) : logarithm(1 + tolerance),
            calibration: calibration, canaryInstances: canaryInstances, controlInstances: controlInstances, onset: onset)
    }

    /// Both directions must pass; the first that fails fails.
    private static func worse(_ left: Judgement, _ right: Judgement) -> Judgement {
        func rank(_ verdict: Verdict) -> Int {
            switch verdict {
            case .fail: 3
            case .nodata: 2
            case .inconclusive: 1
            case .pass: 0
            }
        }
        var result = rank(right.verdict) > rank(left.verdict) ? right : left
        result.logEFail = max(left.logEFail, right.logEFail)
        result.logEPass = min(left.logEPass, right.logEPass)
        return result
    }

    /// The means over usable samples.
    var means: (canary: Double, control: Double)? {
        let usable = samples.filter(\.isUsable)
        if usable.isEmpty { return nil }
        let count = Double(usable.count)
        return (total(usable.map(\.canary)) / count, total(usable.map(\.control)) / count)
    }

    /// Whether the means are within the tolerance, by the literal rule; without a usable sample there is nothing beyond it.
    var isWithinTolerance: Bool {
        guard let means else { return true }
        return ThresholdRule.isWithin(
            canary: means.canary, control: means.control, tolerance: signal.rule.tolerance, slack: signal.slack,
            direction: signal.rule.direction)
    }

    /// Usable samples, and those in which the canary was beyond the margin.
    var counts: CohortCounts {
        var counts = CohortCounts()
        for sample in samples where sample.isUsable {
            let isBeyond = directions.contains { block(sample, $0, margin: margin).canaryEvents > 0 }
            counts.canaryEvents += isBeyond ? 1 : 0
            counts.controlEvents += isBeyond ? 0 : 1
            counts.canaryExposure += 1
            counts.controlExposure += 1
        }
        return counts
    }
}
