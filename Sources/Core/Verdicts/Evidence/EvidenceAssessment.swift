public import SerinModel

extension Evidence {
    /// What all evidence says now. The cost is proportional to the blocks so far.
    ///
    /// - Parameters:
    ///   - time: Now; evidence that was not refreshed for three polls is as good as none.
    ///   - withIntervals: Whether to compute the intervals, a bisection that decides nothing.
    public func assess(at time: Instant, withIntervals: Bool) -> Assessment {
        var signals: [SignalAssessment] = []
        var logEs: [Double] = []
        var names: [String] = []
        let isSilent = lastReadingAt.map { (time - $0).milliseconds > 3 * plan.poll.milliseconds } ?? false
        for part in parts {
            let (assessment, logE): (SignalAssessment, Double)
            let signal: EvidenceSignal
            switch part {
            case .counting(let counting):
                signal = counting.signal
                (assessment, logE) = assess(counting, isSilent: isSilent, withIntervals: withIntervals)
            case .gauge(let gauge):
                signal = gauge.signal
                (assessment, logE) = assess(gauge, isSilent: isSilent)
            }
            signals.append(assessment)
            if signal.isInFamily {
                logEs.append(logE)
                names.append(signal.name)
            }
        }
        return Assessment(
            signals: signals, healthyTime: healthyTime, observedRequests: observedRequests, isDegraded: isDegraded,
            failing: failing(logEs, names), lost: lost, newVersion: sight)
    }

    /// The family fails when the mean of its e-values reaches 1/alpha; the one that contributes most is named.
    private func failing(_ logEs: [Double], _ names: [String]) -> String? {
        guard !logEs.isEmpty else { return nil }
        let weights = logEs.map { _ in 1 / Double(logEs.count) }
        guard EValue.family(logEs, weights: weights) >= logarithm(1 / plan.familyAlpha) else { return nil }
        var largest = 0
        for k in logEs.indices where logEs[k] > logEs[largest] { largest = k }
        return names[largest]
    }

    private func assess(
        _ part: CountingEvidence, isSilent: Bool, withIntervals: Bool
    ) -> (SignalAssessment, logE: Double) {
        let signal = part.signal
        let length = blockLength ?? Evidence.blockLength(poll: plan.poll, scrape: scrapeInterval)
        let rule = plan.rule(of: signal, block: length, isCalibrated: part.calibration != nil)
        let blocks = part.judgedBlocks(rule)
        let phi = part.phi(blocks)
        let judgement = part.judgement(blocks, rule: rule, phi: phi)
        var result = SignalAssessment(name: signal.name)
        result.verdict = judgement.verdict
        result.reason = judgement.reason
        result.counts = part.counts
        result.ratio = judgement.ratio
        result.boundary = boundary(part, rule)
        result.logEFail = judgement.logEFail
        result.logEPass = judgement.logEPass
        result.phi = phi
        result.noise = part.noiseWords(phi)
        result.notes = notes(part)
        if let tails = part.tails, let edge = tails.edge, let tail = tails.tail, let ratio = judgement.ratio, ratio.isFinite {
            result.slowdown = tail.slowdown(edge: edge, ratio: ratio)
        }
        if signal.judge == .threshold {
            (result.verdict, result.reason) = ThresholdRule.verdict(
                ratio: part.tails != nil ? result.slowdown ?? judgement.ratio : totalRatio(part.counts),
                elapsed: part.blocks.count, usable: zip(part.blocks, part.degraded).count { $0.isUsable && !$1 },
                exposure: part.counts.canaryExposure, rule: rule)
        }
        let fault = Fault(
            absences: isSilent ? CohortAbsences(canary: .sourceDown, control: .sourceDown) : part.absences,
            isBeyond: part.isBeyondLimit(.canary), isControlBeyond: part.isBeyondLimit(.control), scarcity: part.scarcity)
        settle(&result, signal, fault)
        if result.verdict == .fail { result.onset = part.onset(blocks, rule: rule, phi: phi) }
        if withIntervals { result.interval = judgement.interval(of: blocks, rule: rule) }
        return (result, judgement.logEFamily)
    }

    private func assess(_ part: GaugeEvidence, isSilent: Bool) -> (SignalAssessment, logE: Double) {
        let signal = part.signal
        let rule = plan.rule(of: signal, block: plan.gaugeInterval, isCalibrated: part.calibration != nil)
        let judgement = part.judgement(rule)
        var result = SignalAssessment(name: signal.name)
        result.verdict = judgement.verdict
        result.reason = judgement.reason
        result.counts = part.counts
        result.ratio = judgement.ratio
        result.boundary = signal.rule.direction == .decrease ? 1 - part.margin : 1 + part.margin
        result.logEFail = judgement.logEFail
        result.logEPass = judgement.logEPass
        result.phi = 2
        if part.calibration != nil {
            result.noise = "differences measured on \(part.past)"
        } else {
            result.noise = "no history of two control instances: lasting differences between instances can mislead this signal"
        }
        if signal.judge == .threshold {
            (result.verdict, result.reason) = ThresholdRule.verdict(
                ratio: judgement.ratio, elapsed: part.samples.count,
                usable: part.samples.count { $0.isUsable && !$0.isDegraded }, exposure: result.counts.canaryExposure,
                rule: thresholdRule(rule, signal))
        }
        let fault = Fault(
            absences: isSilent ? CohortAbsences(canary: .sourceDown, control: .sourceDown) : part.absences,
            isBeyond: part.isBeyondLimit(.canary), isControlBeyond: part.isBeyondLimit(.control), scarcity: CohortAbsences())
        settle(&result, signal, fault)
        if result.verdict == .fail { result.onset = part.samples.first { $0.isUsable }?.at }
        return (result, judgement.logEFamily)
    }

    /// A gauge's own direction, which the sign rule's blocks have already taken in.
    private func thresholdRule(_ rule: Rule, _ signal: EvidenceSignal) -> Rule {
        var rule = rule
        rule.direction = signal.rule.direction
        return rule
    }

    /// What overrules the test of one signal.
    private struct Fault {
        var absences: CohortAbsences
        var isBeyond: Bool
        var isControlBeyond: Bool
        var scarcity: CohortAbsences
    }

    /// Applies what overrules the test: a hard limit fails; a proven fail stays; no data is never a pass; a control beyond its own
    /// limit, a warning at this poll and a lost canary instance withhold one.
    private func settle(_ result: inout SignalAssessment, _ signal: EvidenceSignal, _ fault: Fault) {
        result.isReportOnly = signal.isReportOnly
        result.isSecurity = signal.isSecurity
        result.isBeyondHardLimit = fault.isBeyond
        result.isControlBeyondHardLimit = fault.isControlBeyond
        result.absences = fault.absences
        if result.verdict == .nodata, result.reason == "too little canary traffic" {
            if result.absences.canary == nil { result.absences.canary = .tooFewRequests }
        } else if result.verdict == .nodata, result.reason == "too many gaps" {
            if result.absences.canary == nil { result.absences.canary = fault.scarcity.canary }
            if result.absences.control == nil { result.absences.control = fault.scarcity.control }
        }
        result.absence = result.absences.gravest?.absence
        result.absentCohort = result.absences.gravest?.cohort
        if fault.isBeyond {
            result.verdict = .fail
            result.reason = "the canary is beyond the hard limit \(decimal(signal.hardLimit ?? 0, places: 4))"
        } else if result.verdict != .fail, let sentence = result.absences.sentence {
            result.verdict = .nodata
            result.reason = sentence
        } else if result.verdict == .pass {
            withhold(&result, fault)
        }
        if fault.isControlBeyond { result.absentCohort = result.absentCohort ?? .control }
    }

    private func withhold(_ result: inout SignalAssessment, _ fault: Fault) {
        if fault.isControlBeyond {
            result.verdict = .inconclusive
            result.reason = "the control itself is beyond the hard limit"
        } else if isDegraded {
            result.verdict = .inconclusive
            result.reason = "telemetry warned at this poll"
        } else if let instance = lost.first(where: { $0.cohort == .canary }) {
            result.verdict = .inconclusive
            result.reason = "the canary instance \(instance.instance) is down"
        }
    }

    private func boundary(_ part: CountingEvidence, _ rule: Rule) -> Double {
        if let tails = part.tails {
            return tails.boundary(tolerance: rule.tolerance, slack: part.signal.slack) ?? 1 + rule.tolerance
        }
        return rule.direction == .decrease ? 1 - rule.tolerance : 1 + rule.tolerance
    }

    private func notes(_ part: CountingEvidence) -> [String] {
        var notes = part.tails?.notes ?? []
        if part.controlInstances == 1 {
            notes.append("one control instance: a lasting difference between instances cannot be told from a regression")
        }
        if let tails = part.tails, let limit = part.signal.hardLimit, let last = tails.edges.last, limit > last {
            notes.append("the hard limit lies beyond the last bucket edge, \(decimal(last, places: 3)) s, and is not watched")
        }
        return notes
    }

    private func totalRatio(_ counts: CohortCounts) -> Double? {
        guard counts.canaryExposure > 0, counts.controlExposure > 0 else { return nil }
        if counts.controlEvents == 0 { return counts.canaryEvents == 0 ? nil : .infinity }
        return (counts.canaryEvents / counts.canaryExposure) / (counts.controlEvents / counts.controlExposure)
    }
}
