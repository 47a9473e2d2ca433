import SerinModel
import SerinVerdicts
import Testing

/// Every expected value of every vector file. `SERIN_VECTORS` names other files, separated by ':'.
@Suite struct VerdictVectors {
    @Test(arguments: VectorFile.paths) func everyValueAgrees(path: String) throws {
        let file = try VectorFile(path)
        var comparison = Comparison()
        var isKnown = false
        if file.root["cases"] != nil {
            isKnown = true
            try RunVectors(root: file.root).compare(&comparison)
        }
        if file.root["functions"] != nil {
            isKnown = true
            try FunctionVectors(root: file.root).compare(&comparison)
        }
        if CalibrationVectors.keys.contains(where: { file.root[$0] != nil }) {
            isKnown = true
            try CalibrationVectors(root: file.root).compare(&comparison)
        }
        #expect(isKnown, "\(path) has none of the keys of a vector file")
        #expect(comparison.count > 0, "\(path) holds no expected value")
        print("\(path): \(comparison.count) values compared")
    }
}

extension Rule {
    /// A rule with the values that a vector names.
    init(vector: JSONValue) throws {
        self.init()
        if let text = vector["direction"]?.text { direction = try #require(Direction(rawValue: text)) }
        if let text = vector["proof"]?.text { proof = try #require(Proof(rawValue: text)) }
        tolerance = vector["tolerance"]?.double ?? tolerance
        floor = vector["floor"]?.double ?? floor
        assureTolerance = vector["assure_tolerance"]?.double ?? assureTolerance
        assureFloor = vector["assure_floor"]?.double ?? assureFloor
        alpha = vector["alpha"]?.double ?? alpha
        beta = vector["beta"]?.double ?? beta
        minBlocks = vector["min_blocks"]?.integer.map { Int($0) } ?? minBlocks
        minEvents = vector["min_events"]?.double ?? minEvents
        minExposure = vector["min_exposure"]?.double ?? minExposure
        minBakeBlocks = vector["min_bake_blocks"]?.integer.map { Int($0) } ?? minBakeBlocks
        minCoverage = vector["min_coverage"]?.double ?? minCoverage
        suspicion = vector["suspicion"]?.double ?? suspicion
        onset.firstWeight = vector["first_weight"]?.double ?? onset.firstWeight
        onset.mean = vector["restart_mean"]?.double ?? onset.mean
    }
}

extension Comparison {
    /// Verdict, reason, both logarithms and the interval.
    mutating func expect(_ expected: JSONValue, _ judgement: Judgement, of blocks: [Block], rule: Rule, _ place: String) {
        expect(expected["verdict"], judgement.verdict.rawValue, place + " verdict")
        if expected["reason"] != nil { expect(expected["reason"], judgement.reason.rawValue, place + " reason") }
        expect(expected["log_e_fail"], judgement.logEFail, place + " log_e_fail")
        expect(expected["log_e_pass"], judgement.logEPass, place + " log_e_pass")
        if expected["phi"] != nil { expect(expected["phi"], judgement.phi, place + " phi") }
        guard expected["low"] != nil else { return }
        let interval = judgement.interval(of: blocks, rule: rule)
        expect(expected["low"], interval.low, place + " low")
        expect(expected["high"], interval.high, place + " high")
    }
}
