internal import SerinTrials
internal import SerinVerdicts

/// One row of the table: how often an equal canary is rolled back and how often worse ones are found within 30 minutes.
struct DecisionQualityRow {
    /// Shares of one rule, 0…1.
    struct Shares {
        /// Equal canaries rolled back.
        var falseRollback = 0.0
        /// Canaries found with 1.5, 2 and 5 times the control's errors.
        var found = [0.0, 0.0, 0.0]
    }

    var scenario: TrafficScenario
    /// Control instances.
    var controls: Int
    /// Requests per second of both cohorts.
    var traffic: Double
    /// By the anytime-valid test.
    var sequential = Shares()
    /// By `judge: threshold`.
    var threshold = Shares()
    /// Minutes until the median canary of twice the errors was found; nil when less than half were.
    var medianMinutes: Double?
    /// How many rollouts each share rests on.
    var replicates: Int
}

/// Decisions on seeded traffic: one canary instance with 5 % of the requests, 1 % errors, six hours of the control's history, blocks of
/// 15 s, a bake of 30 minutes, alpha 1 %, tolerance 10 %.
struct DecisionQuality {
    static let multiples = [1.0, 1.5, 2, 5]
    static let controlCounts = [1, 2, 4, 8]
    static let traffics = [50.0, 500, 5000]

    var replicates = 100
    var seed: UInt64 = 20_261_121
    var weight = 0.05
    var rate = 0.01

    /// All cells, in a fixed order. Each is independent of the others, so they may be computed side by side.
    var cells: [(scenario: TrafficScenario, controls: Int, traffic: Double)] {
        TrafficScenario.allCases.flatMap { scenario in
            DecisionQuality.controlCounts.flatMap { controls in
                DecisionQuality.traffics.map { (scenario, controls, $0) }
            }
        }
    }

    /// The whole table.
    func table() -> [DecisionQualityRow] { cells.map { row($0.scenario, controls: $0.controls, traffic: $0.traffic) } }

    /// One cell.
    func row(_ scenario: TrafficScenario, controls: Int, traffic: Double) -> DecisionQualityRow {
        var row = DecisionQualityRow(scenario: scenario, controls: controls, traffic: traffic, replicates: replicates)
        var minutes: [Double] = []
        var sequential = [Int](repeating: 0, count: DecisionQuality.multiples.count)
        var threshold = sequential
        for replicate in 0..<replicates {
            let cellSeed = seed &+ UInt64(replicate) &* 1_000_003 &+ UInt64(controls) &* 7919 &+ UInt64(traffic) &* 104_729
            var past = SimulatedTraffic(scenario, controls: controls, seed: cellSeed)
            let calibration = calibration(&past, controls: controls, traffic: traffic)
            for (k, multiple) in DecisionQuality.multiples.enumerated() {
                let outcome = bake(past, calibration, controls: controls, traffic: traffic, multiple: multiple)
                if let found = outcome.found {
                    sequential[k] += 1
                    if multiple == 2 { minutes.append(found) }
                }
                if outcome.isBeyondThreshold { threshold[k] += 1 }
            }
        }
        let shares = { (counts: [Int]) in counts.map { Double($0) / Double(replicates) } }
        row.sequential = DecisionQualityRow.Shares(falseRollback: shares(sequential)[0], found: Array(shares(sequential)[1...]))
        row.threshold = DecisionQualityRow.Shares(falseRollback: shares(threshold)[0], found: Array(shares(threshold)[1...]))
        minutes.sort()
        if 2 * minutes.count > replicates { row.medianMinutes = minutes[replicates / 2] }
        return row
    }

    /// Noise measured on six hours in bins of one minute, as at the start of a rollout.
    private func calibration(_ past: inout SimulatedTraffic, controls: Int, traffic: Double) -> Calibration {
        let load = [0] + [Double](repeating: traffic / Double(controls), count: controls)
        var exposure = [[Double]](repeating: [], count: controls)
        var events = exposure
        for _ in 0..<360 {
            let step = past.step(seconds: 60, load: load, rate: rate, multiple: 1)
            for i in 0..<controls {
                exposure[i].append(step.exposure[i + 1])
                events[i].append(step.events[i + 1])
            }
        }
        if controls == 1 { return Calibration(singleExposure: exposure[0], events: events[0]) }
        return Calibration(exposure: exposure, events: events)
    }

    /// One bake: when the test failed it, in minutes, and whether the totals ended beyond the tolerance.
    private func bake(
        _ past: SimulatedTraffic, _ calibration: Calibration, controls: Int, traffic: Double, multiple: Double
    ) -> (found: Double?, isBeyondThreshold: Bool) {
        var present = past
        let load = [traffic * weight] + [Double](repeating: traffic * (1 - weight) / Double(controls), count: controls)
        let rule = Rule().timed(block: 15)
        var noise = LiveNoise(blocksPerBin: 4)
        var blocks: [Block] = []
        var sum = Block(canaryEvents: 0, canaryExposure: 0, controlEvents: 0, controlExposure: 0)
        var found: Double?
        for k in 1...120 {
            let step = present.step(seconds: 15, load: load, rate: rate, multiple: multiple)
            let block = Block(
                canaryEvents: step.events[0], canaryExposure: step.exposure[0],
                controlEvents: step.events[1...].reduce(0, +), controlExposure: step.exposure[1...].reduce(0, +))
            sum.canaryEvents += block.canaryEvents
            sum.canaryExposure += block.canaryExposure
            sum.controlEvents += block.controlEvents
            sum.controlExposure += block.controlExposure
            guard found == nil else { continue }
            blocks.append(block)
            noise.append(block, exposure: Array(step.exposure[1...]), events: Array(step.events[1...]))
            let phi = noise.phi(calibration, canaryInstances: 1)
            if Judgement(of: blocks, rule: rule, phi: phi).verdict == .fail { found = Double(k) / 4 }
        }
        let canary = sum.canaryEvents / max(1, sum.canaryExposure)
        let control = sum.controlEvents / max(1, sum.controlExposure)
        return (found, canary > control * (1 + rule.tolerance))
    }
}
