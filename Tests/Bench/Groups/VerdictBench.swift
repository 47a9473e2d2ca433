internal import SerinModel
internal import SerinTrials
internal import SerinVerdicts

/// What deciding costs.
struct VerdictBench {
    let blocks = 120

    func run() -> Section {
        progress("verdict: ten signals after \(blocks) blocks")
        var section = Section()
        let evidence = evidence()
        keep(evidence.value.assess(withIntervals: false))
        let decided = Timing.of(400) { keep(evidence.value.assess(withIntervals: false)) }
        section.rows.append(
            Row(
                name: "ten signals decided after \(blocks) blocks", value: decided.median, unit: "µs", aim: .below(500),
                note: "median of 400: 7 ratios, 2 latencies, 1 security flag; 4 control instances, calibrated noise"))
        let shown = Timing.of(20) { keep(evidence.value.assess(withIntervals: true)) }
        section.rows.append(
            Row(
                name: "the same with ten intervals", value: shown.median, unit: "µs",
                note: "median of 20; needed once a minute and at changes"))
        section.rows += oneSignal()
        return section
    }

    /// One signal's blocks alone.
    private func oneSignal() -> [Row] {
        var generator = SeededGenerator(seed: 7)
        var sample: [Block] = []
        for _ in 0..<blocks {
            sample.append(
                Block(
                    canaryEvents: generator.poisson(3.75), canaryExposure: generator.poisson(375),
                    controlEvents: generator.poisson(71), controlExposure: generator.poisson(7125)))
        }
        let rule = Rule().timed(block: 15)
        let decided = Timing.of(2000) { keep(Judgement(of: sample, rule: rule, phi: 1.3)) }
        let judgement = Judgement(of: sample, rule: rule, phi: 1.3)
        let interval = Timing.of(100) { keep(judgement.interval(of: sample, rule: rule)) }
        return [
            Row(
                name: "one judgement of \(blocks) blocks", value: decided.median, unit: "µs",
                note: "median of 2000: both e-values, ratio, verdict"),
            Row(
                name: "one interval of \(blocks) blocks", value: interval.median, unit: "µs", aim: .below(2000),
                note: "median of 100: both ends, to 1e-13"),
        ]
    }

    /// Ten signals with a history and so many blocks.
    private func evidence() -> (value: Evidence, now: Instant) {
        let signals = SteadyService.signals.map {
            EvidenceSignal(name: $0.name, source: $0.source, isSecurity: $0.isSecurity)
        }
        let plan = EvidencePlan(
            signals: signals, canary: SteadyService.canaryLabels, control: SteadyService.controlLabels)
        var evidence = Evidence(plan: plan)
        var service = SteadyService(seed: 11)
        var now = Instant(millisecondsSince1970: 1_800_000_000_000)
        let queries = evidence.telemetryQueries
        evidence.absorb(history: service.history(queries, to: now))
        for _ in 0...blocks {
            evidence.absorb(service.reading(queries, at: now, after: 15), at: now, isCollecting: true)
            now = now + .seconds(15)
        }
        return (evidence, now)
    }
}
