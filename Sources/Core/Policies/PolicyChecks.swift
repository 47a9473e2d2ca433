internal import SerinModel

/// Something that is wrong with a policy as a whole.
struct PolicyFinding: Sendable, Hashable {
    /// The dotted path of the key to blame.
    var key: String
    /// What is wrong; lower case.
    var message: String
    /// What to do.
    var hint: String

    /// Whether one time was compared with another.
    var comparesTimes: Bool { TimingKey(rawValue: key) != nil || key == "prometheus.timeout" }
}

extension Policy {
    /// Combinations that cannot work, with or without overrides.
    var findings: [PolicyFinding] {
        stepFindings + timingFindings + signals.flatMap { findings(about: $0) } + decidingFindings + actionFindings
    }

    /// The floors of a policy file. Only a logged override goes below, or a policy of a demonstration.
    var safeguardFindings: [PolicyFinding] {
        guard environment != .demo else { return [] }
        let floors: [(key: TimingKey, least: Duration)] = [
            (.bake, .minutes(30)), (.warmup, .seconds(30)), (.minEvidence, .seconds(30)),
        ]
        return floors.filter { $0.key.value(in: self) < $0.least }.map { floor in
            PolicyFinding(
                key: floor.key.rawValue,
                message: "\(floor.key.value(in: self)) is below the least of \(floor.least) that a policy may ask for",
                hint: "write \(floor.least) or more, use --override \(floor.key.rawValue)=… for one rollout, or environment: demo"
            )
        }
    }

    /// Whether a signal counts requests, so that telemetry can tell what share of them the canary receives.
    public var countsRequests: Bool {
        signals.contains { signal in
            switch signal.source {
            case .ratio, .per, .latency: true
            case .rate, .gauge, .expression: false
            }
        }
    }

    private var stepFindings: [PolicyFinding] {
        var findings: [PolicyFinding] = []
        let weights = traffic.steps.map(\.weight)
        for (lower, higher) in zip(weights, weights.dropFirst()) where higher <= lower {
            findings.append(
                PolicyFinding(
                    key: "traffic.steps", message: "\(higher) follows \(lower); expected ascending steps",
                    hint: "write each share once, the smallest first"))
        }
        if !weights.isEmpty, judgedSteps.isEmpty {
            findings.append(
                PolicyFinding(
                    key: "traffic.steps", message: "100% alone leaves no step at which canary and control can be compared",
                    hint: "add smaller steps before it, such as 5, 25, 50"))
        } else if let largest = judgedSteps.map(\.weight).max(), largest.basisPoints < 500 {
            findings.append(
                PolicyFinding(
                    key: "traffic.steps",
                    message: "no step reaches 5%, from which on the bake is counted; this rollout could never be promoted",
                    hint: "add a step of 5 or more"))
        }
        return findings
    }

    private var timingFindings: [PolicyFinding] {
        var findings: [PolicyFinding] = []
        func check(_ isWrong: Bool, _ key: String, _ message: String, _ hint: String) {
            if isWrong { findings.append(PolicyFinding(key: key, message: message, hint: hint)) }
        }
        let half = Duration(milliseconds: timing.poll.milliseconds / 2)
        check(
            prometheus.timeout > half, "prometheus.timeout",
            "\(prometheus.timeout) is more than half a poll of \(timing.poll)", "write at most \(half), or poll less often")
        check(
            timing.bake < timing.poll * 2, "bake", "\(timing.bake) is less than two polls of \(timing.poll)",
            "bake longer, or poll more often")
        check(
            timing.effectiveMaxBake < timing.bake, "max_bake",
            "\(timing.effectiveMaxBake) is less than the bake of \(timing.bake)",
            "write \(timing.bake) or more, or leave it out for \(timing.bake * 4)")
        let all = effectiveStepFor * Int64(max(1, judgedSteps.count))
        check(
            timing.stepFor != nil && all > timing.effectiveMaxBake, "step_for",
            "\(judgedSteps.count) steps of \(effectiveStepFor) take \(all), longer than max_bake (\(timing.effectiveMaxBake))",
            "shorten step_for, or give a longer max_bake")
        check(
            timing.minEvidence > timing.bake, "min_evidence", "\(timing.minEvidence) is longer than the bake of \(timing.bake)",
            "write at most \(timing.bake)")
        check(
            timing.lossFor < timing.poll * 2, "loss_for", "\(timing.lossFor) is less than two polls of \(timing.poll)",
            "write at least \(timing.poll * 2)")
        check(
            timing.watch < timing.poll * 2 && traffic.steps.contains { $0.weight == .all }, "watch",
            "\(timing.watch) is less than two polls of \(timing.poll)", "write at least \(timing.poll * 2)")
        return findings
    }

    private func findings(about signal: SignalPolicy) -> [PolicyFinding] {
        var findings: [PolicyFinding] = []
        func check(_ isWrong: Bool, _ key: String, _ message: String, _ hint: String) {
            if isWrong { findings.append(PolicyFinding(key: "signals.\(signal.name).\(key)", message: message, hint: hint)) }
        }
        check(
            signal.isSecurity && signal.isReportOnly, "report_only", "a security signal halts, so it cannot be report_only",
            "remove report_only or security")
        check(
            signal.isReportOnly && signal.hardLimit != nil, "hard_limit",
            "a signal that is report_only decides nothing, so it has no hard_limit",
            "write report_only: false, or remove hard_limit")
        check(
            signal.isSecurity && signal.judge == .threshold, "judge", "a security signal is judged sequentially",
            "remove judge or security")
        check(
            signal.isSecurity && signal.direction != .increase, "direction", "a security signal is judged for a rise only",
            "remove direction or security")
        check(
            signal.isSecurity && signal.proof != .any, "proof", "a security signal halts on any proven rise",
            "remove proof or security")
        check(
            signal.judge == .threshold && !signal.isSecurity && signal.proof == .any, "proof",
            "judge: threshold compares totals and proves nothing", "remove proof or judge")
        check(
            signal.judge == .threshold && signal.assureTolerance != signal.tolerance, "assurance",
            "judge: threshold passes what is within the tolerance and proves nothing more", "remove assurance or judge")
        check(
            signal.assureFloor < signal.floor, "assurance",
            "its floor is below the signal's floor: a pass would exclude more than a fail shows",
            "write a floor of the same size or more")
        return findings
    }

    private var decidingFindings: [PolicyFinding] {
        guard !signals.isEmpty, signals.allSatisfy(\.isReportOnly) else { return [] }
        return [
            PolicyFinding(
                key: "signals", message: "every signal is report_only, so nothing decides",
                hint: "write report_only: false on one, or add a counter or histogram")
        ]
    }

    private var actionFindings: [PolicyFinding] {
        guard promote != nil, rollback == nil else { return [] }
        return [
            PolicyFinding(
                key: "promote", message: "gives the new version to control, but there is no rollback action to take it back",
                hint: "add rollback: {run: […, \"{{previous}}\"]}")
        ]
    }
}
