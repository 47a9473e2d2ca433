import SerinModel

/// Seeded random cases in the shape of the vector files, without what is expected of them.
struct RandomCases {
    /// SplitMix64.
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private mutating func uniform(_ from: Double = 0, _ to: Double = 1) -> Double {
        from + (to - from) * Double(next() >> 11) / Double(1 << 53)
    }

    private mutating func whole(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(next() % UInt64(range.count)) }

    private mutating func chance(_ p: Double) -> Bool { uniform() < p }

    /// About so many, at least 0: four uniform draws, spread like a count with bursts.
    private mutating func count(_ mean: Double) -> Double {
        let spread = (0..<4).reduce(0.0) { sum, _ in sum + uniform(-1, 1) }
        return max(0, (mean + spread * (1.5 * mean).squareRoot()).rounded())
    }

    /// The document.
    mutating func document() -> JSONValue {
        let cases = (0..<24).map { _ in ratio() } + (0..<6).map { _ in latency() } + (0..<4).map { _ in gaugeRun() }
        return .object([
            "cases": .array(cases), "calibrate": .array((0..<6).map { _ in history(whole(2...5)) }),
            "calibrate_single": .array((0..<4).map { _ in single() }),
            "change_factor": .array((0..<4).map { _ in changed() }), "phi": .array((0..<10).map { _ in phi() }),
            "gauge": .array((0..<4).map { _ in gauge() }),
        ])
    }

    private mutating func rule(_ changes: [JSONValue.Member] = []) -> JSONValue {
        let direction = chance(0.7) ? "increase" : chance(0.5) ? "decrease" : "either"
        let defaults: [JSONValue.Member] = [
            JSONValue.Member("direction", .string(direction)),
            JSONValue.Member("proof", .string(chance(0.7) ? "beyond" : "any")),
            JSONValue.Member("tolerance", number(uniform(0.02, 0.3))),
            JSONValue.Member("floor", number(chance(0.3) ? 0 : uniform(0, 1e-3))),
            JSONValue.Member("assure_tolerance", number(uniform(0.05, 0.5))),
            JSONValue.Member("assure_floor", number(chance(0.3) ? 0 : uniform(0, 1e-2))),
            JSONValue.Member("alpha", number(uniform(0.001, 0.1))), JSONValue.Member("beta", number(uniform(0.01, 0.2))),
            JSONValue.Member("min_bake_blocks", .integer(whole(1...20))),
            JSONValue.Member("first_weight", number(uniform(0.3, 0.9))),
            JSONValue.Member("restart_mean", number(uniform(20, 300))),
        ]
        return .sortedObject(changes + defaults)
    }

    private mutating func ratio() -> JSONValue {
        let blocks = whole(1...70)
        let instances = whole(1...12)
        let rate = exp10(uniform(-3.5, -0.5))
        let worse = chance(0.5) ? 1 : uniform(0.3, 4)
        let hasPhi = chance(0.5)
        var columns = [[Double]](repeating: [0], count: 4)
        var pods = [[[Double]]](repeating: [[0], [0]], count: instances)
        for _ in 0..<blocks {
            let isGap = chance(0.05)
            let nc = isGap ? 0 : uniform(10, 3000).rounded()
            append(count(nc * rate * worse), to: &columns[0])
            append(nc, to: &columns[1])
            var events = 0.0
            var exposure = 0.0
            for i in 0..<instances {
                let n = uniform(10, 2000).rounded()
                let y = count(n * rate)
                append(n, to: &pods[i][0])
                append(y, to: &pods[i][1])
                events += y
                exposure += n
            }
            append(events, to: &columns[2])
            append(exposure, to: &columns[3])
        }
        var members = [
            JSONValue.Member("kind", .string("ratio")), JSONValue.Member("rule", rule()),
            JSONValue.Member("canary_events", list(columns[0])), JSONValue.Member("canary_exposure", list(columns[1])),
            JSONValue.Member("control_events", list(columns[2])), JSONValue.Member("control_exposure", list(columns[3])),
            JSONValue.Member("polls", .array([.integer(whole(1...blocks)), .integer(blocks)])),
        ]
        if hasPhi {
            members.append(JSONValue.Member("phi", number(uniform(1, 6))))
        } else {
            members.append(JSONValue.Member("canary_pods", .integer(whole(1...4))))
            members.append(
                JSONValue.Member(
                    "control_pods", .array(pods.map { .object(["exposure": list($0[0]), "events": list($0[1])]) })))
        }
        return .sortedObject(members)
    }

    private mutating func latency() -> JSONValue {
        let blocks = whole(3...40)
        let edges = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
        func cohort(_ slow: Double, _ load: Double, _ random: inout RandomCases) -> ([JSONValue], [Double]) {
            var at = [Double](repeating: 0, count: edges.count)
            var total = [0.0]
            var rows = [list(at)]
            for _ in 0..<blocks {
                let n = random.count(load)
                var left = n
                var below = 0.0
                for i in edges.indices {
                    let here = min(left, random.count(left * (1 - slow)))
                    below += here
                    left -= here
                    at[i] += below
                }
                rows.append(list(at))
                total.append((total.last ?? 0) + n)
            }
            return (rows, total)
        }
        let share = uniform(0.4, 0.7)
        let control = cohort(share, uniform(500, 5000), &self)
        let canary = cohort(min(0.9, share * uniform(0.9, 1.2)), uniform(100, 2000), &self)
        return .sortedObject([
            JSONValue.Member("kind", .string("latency")),
            JSONValue.Member(
                "rule", rule([JSONValue.Member("direction", .string("increase"))])),
            JSONValue.Member("quantile", number(uniform(0.5, 0.995))), JSONValue.Member("tolerance", number(uniform(0.05, 0.3))),
            JSONValue.Member("slack", number(uniform(0, 0.01))), JSONValue.Member("phi", number(uniform(1, 3))),
            JSONValue.Member("frozen_edge", chance(0.5) ? .null : .integer(whole(0...5))),
            JSONValue.Member("edges", list(edges)), JSONValue.Member("canary_le", .array(canary.0)),
            JSONValue.Member("canary_total", list(canary.1)), JSONValue.Member("control_le", .array(control.0)),
            JSONValue.Member("control_total", list(control.1)), JSONValue.Member("polls", .array([.integer(blocks)])),
        ])
    }

    private mutating func gaugeRun() -> JSONValue {
        let blocks = whole(3...60)
        let pairs = (0..<blocks).map { _ in list([uniform(5, 16), uniform(8, 12)]) }
        return .sortedObject([
            JSONValue.Member("kind", .string("gauge")),
            JSONValue.Member("rule", rule([JSONValue.Member("direction", .string("increase"))])),
            JSONValue.Member("direction", .string(chance(0.5) ? "increase" : "decrease")),
            JSONValue.Member("tolerance", number(uniform(0, 0.3))), JSONValue.Member("slack", number(uniform(0, 2))),
            JSONValue.Member("phi", number(2)), JSONValue.Member("pairs", .array(pairs)),
            JSONValue.Member("polls", .array([.integer(blocks)])),
        ])
    }

    private mutating func table(_ instances: Int, _ bins: Int) -> (exposure: [JSONValue], events: [JSONValue]) {
        let rate = exp10(uniform(-3.5, -1))
        var exposure: [JSONValue] = []
        var events: [JSONValue] = []
        for _ in 0..<instances {
            let luck = uniform(0.9, 1.1)
            let n = (0..<bins).map { _ in chance(0.02) ? 0 : uniform(500, 4000).rounded() }
            exposure.append(list(n))
            events.append(list(n.map { count($0 * rate * luck) }))
        }
        return (exposure, events)
    }

    private mutating func history(_ instances: Int) -> JSONValue {
        let table = table(instances, whole(20...130))
        return .object(["exposure": .array(table.exposure), "events": .array(table.events)])
    }

    private mutating func single() -> JSONValue {
        let table = table(1, whole(10...130))
        return .object(["exposure": table.exposure[0], "events": table.events[0]])
    }

    private mutating func calibration() -> JSONValue {
        let windows = [1, 2, 5, 10, 15, 30].prefix(whole(1...6))
        return .object([
            "base": number(uniform(1, 5)), "windows": .array(windows.map { .integer($0) }),
            "s2": .array(windows.map { _ in number(uniform(0, 0.05)) }), "pods": .integer(whole(2...6)),
        ])
    }

    private mutating func changed() -> JSONValue {
        let table = table(whole(1...5), whole(1...40))
        return .object(["exposure": .array(table.exposure), "events": .array(table.events), "calibration": calibration()])
    }

    private mutating func phi() -> JSONValue {
        let blocks = whole(4...80)
        let table = table(whole(1...6), blocks)
        let n = (0..<blocks).map { _ in chance(0.05) ? 0 : uniform(100, 3000).rounded() }
        return .object([
            "canary_exposure": list(n), "canary_events": list(n.map { count($0 * 0.01) }),
            "control_exposure": .array(table.exposure), "control_events": .array(table.events), "calibration": calibration(),
            "canary_pods": .integer(whole(1...4)), "blocks_per_bin": .integer(whole(1...4)),
            "poll_seconds": number(Double(whole(1...4) * 15)),
            "polls": .array([.integer(whole(1...blocks)), .integer(blocks)]),
        ])
    }

    private mutating func gauge() -> JSONValue {
        let minutes = whole(10...80)
        let history = (0..<whole(2...5)).map { _ in list((0..<minutes).map { _ in uniform(4.8, 5.2) }) }
        let length = whole(3...40)
        return .object([
            "history": .array(history), "ratios": list((0..<length).map { _ in uniform(-0.2, 0.4) }),
            "margin": number(uniform(0.02, 0.2)), "canary_pods": .integer(whole(1...3)),
            "control_pods": .integer(whole(2...5)), "polls": .array([.integer(1), .integer(length)]),
        ])
    }
}

private func number(_ value: Double) -> JSONValue { .number("\(value)") }

private func list(_ values: [Double]) -> JSONValue { .array(values.map(number)) }

private func append(_ value: Double, to cumulative: inout [Double]) { cumulative.append((cumulative.last ?? 0) + value) }

/// 10 to a power, by halving: no C library is needed for test data.
private func exp10(_ power: Double) -> Double {
    var result = 1.0
    var rest = power
    while rest <= -1 {
        result /= 10
        rest += 1
    }
    while rest >= 1 {
        result *= 10
        rest -= 1
    }
    // Linear between powers is good enough to spread rates over magnitudes.
    return result * (rest < 0 ? 1 + rest * 0.9 : 1 + rest * 9)
}
