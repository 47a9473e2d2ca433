import SerinModel
import SerinVerdicts
import Testing

/// Noise measured on history, and what follows from it.
struct CalibrationVectors {
    /// The keys by which such a file is known.
    static let keys = [
        "calibrate", "calibrate_single", "pod_s2", "change_factor", "phi", "timed", "judge", "gauge", "sign_margin",
    ]

    let root: JSONValue

    func compare(_ comparison: inout Comparison) throws {
        for (name, vector) in try named("calibrate") {
            let result = Calibration(exposure: vector["exposure"]?.rows ?? [], events: vector["events"]?.rows ?? [])
            expect(vector["expected"], result, name, &comparison)
        }
        for (name, vector) in try named("calibrate_single") {
            let result = Calibration(
                singleExposure: vector["exposure"]?.doubles ?? [], events: vector["events"]?.doubles ?? [])
            expect(vector["expected"], result, name, &comparison)
        }
        for (name, vector) in try named("pod_s2") {
            let value = try calibration(vector).relativeVariance(bins: try vector.number("bins"))
            comparison.expect(vector["expected"], value, name)
        }
        for (name, vector) in try named("change_factor") {
            let noise = liveNoise(
                blocks: [], exposure: vector["exposure"]?.rows ?? [], events: vector["events"]?.rows ?? [], blocksPerBin: 1)
            comparison.expect(vector["expected"], noise.changeFactor(try calibration(vector)), name)
        }
        for (name, vector) in try named("phi") { try phi(vector, name, &comparison) }
        for (name, vector) in try named("timed") {
            let rule = Rule().timed(
                block: try vector.number("poll"), minEvidence: try vector.number("min_evidence"),
                bake: try vector.number("bake"))
            comparison.expect(vector["min_blocks"], rule.minBlocks, name)
            comparison.expect(vector["min_bake_blocks"], rule.minBakeBlocks, name)
            comparison.expect(vector["restart_mean"], rule.onset.mean, name)
        }
        for (name, vector) in try named("judge") { try judge(vector, name, &comparison) }
        for (name, vector) in try named("gauge") { try gauge(vector, name, &comparison) }
        for (name, vector) in try named("sign_margin") {
            let value = Gauge.signMargin(
                tolerance: try vector.number("tolerance"), calibration: try calibration(vector),
                canaryInstances: try vector.whole("canary_pods"), controlInstances: try vector.whole("control_pods"))
            comparison.expect(vector["expected"], value, name)
        }
    }

    private func named(_ key: String) throws -> [(String, JSONValue)] {
        (root[key]?.items ?? []).enumerated().map { ("\(key)[\($0.offset)] \($0.element["name"]?.text ?? "")", $0.element) }
    }

    private func calibration(_ vector: JSONValue) throws -> Calibration {
        let value = try #require(vector["calibration"])
        return Calibration(
            base: try value.number("base"), windows: try value.list("windows").compactMap { $0.integer.map { Int($0) } },
            relativeVariances: try value.list("s2").compactMap(\.double), instances: try value.whole("pods"))
    }

    private func expect(_ expected: JSONValue?, _ actual: Calibration, _ place: String, _ comparison: inout Comparison) {
        comparison.expect(expected?["base"], actual.base, place)
        comparison.expect(expected?["windows"], actual.windows.map { Double($0) }, place)
        comparison.expect(expected?["s2"], actual.relativeVariances, place)
        comparison.expect(expected?["pods"], actual.instances, place)
    }

    /// Feeds blocks and their control instances; without blocks, pretended ones that are usable.
    private func liveNoise(blocks: [Block], exposure: [[Double]], events: [[Double]], blocksPerBin: Int) -> LiveNoise {
        var noise = LiveNoise(blocksPerBin: blocksPerBin)
        let filler = Block(canaryEvents: 0, canaryExposure: 1, controlEvents: 0, controlExposure: 1)
        for k in 0..<(exposure.first?.count ?? 0) {
            noise.append(blocks.isEmpty ? filler : blocks[k], exposure: exposure.map { $0[k] }, events: events.map { $0[k] })
        }
        return noise
    }

    private func phi(_ vector: JSONValue, _ name: String, _ comparison: inout Comparison) throws {
        let exposure = vector["control_exposure"]?.rows ?? []
        let events = vector["control_events"]?.rows ?? []
        let canaryExposure = vector["canary_exposure"]?.doubles ?? []
        let canaryEvents = vector["canary_events"]?.doubles ?? []
        for expected in try vector.list("expected") {
            let poll = try expected.whole("poll")
            let blocks = (0..<poll).map { k in
                Block(
                    canaryEvents: canaryEvents[k], canaryExposure: canaryExposure[k],
                    controlEvents: events.reduce(0) { $0 + $1[k] }, controlExposure: exposure.reduce(0) { $0 + $1[k] })
            }
            let noise = liveNoise(
                blocks: blocks, exposure: exposure.map { Array($0.prefix(poll)) }, events: events.map { Array($0.prefix(poll)) },
                blocksPerBin: try vector.whole("blocks_per_bin"))
            let factor = noise.phi(try calibration(vector), canaryInstances: try vector.whole("canary_pods"))
            let rule = Rule().timed(block: try vector.number("poll_seconds"))
            let judgement = Judgement(of: blocks, rule: rule, phi: factor)
            comparison.expect(expected, judgement, of: blocks, rule: rule, "\(name) poll \(poll)")
        }
    }

    private func judge(_ vector: JSONValue, _ name: String, _ comparison: inout Comparison) throws {
        let blocks = try vector.list("blocks").map {
            Block(
                canaryEvents: $0.doubles[0], canaryExposure: $0.doubles[1], controlEvents: $0.doubles[2],
                controlExposure: $0.doubles[3])
        }
        let rule = try Rule(vector: vector)
        let factor = try vector.number("phi")
        // The factor is an input here; the vector expects nothing of it.
        let judgement = Judgement(of: blocks, rule: rule, phi: factor)
        comparison.expect(vector["verdict"], judgement.verdict.rawValue, name)
        comparison.expect(vector["log_e_fail"], judgement.logEFail, name)
        comparison.expect(vector["log_e_pass"], judgement.logEPass, name)
        let onset = EValue.onset(blocks, floor: 1e-4, phi: factor, boundary: 1.1, onset: rule.onset)
        comparison.expect(vector["onset"], [Double(onset.block), onset.multiple], name)
    }

    private func gauge(_ vector: JSONValue, _ name: String, _ comparison: inout Comparison) throws {
        let calibration = Gauge.calibration(vector["history"]?.rows ?? [])
        expect(vector["calibration"], calibration, name, &comparison)
        let ratios = vector["ratios"]?.doubles ?? []
        for expected in try vector.list("expected") {
            let value = Gauge.logE(
                ratios: Array(ratios.prefix(try expected.whole("minute"))), margin: try vector.number("margin"),
                calibration: calibration, canaryInstances: try vector.whole("canary_pods"),
                controlInstances: try vector.whole("control_pods"))
            comparison.expect(expected["log_e"], value, name)
        }
    }
}
