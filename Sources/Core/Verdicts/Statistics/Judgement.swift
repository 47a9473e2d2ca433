/// The verdict on one signal's blocks: a pure function of blocks, rule and overdispersion.
public struct Judgement: Sendable, Hashable {
    /// Why a verdict is what it is; the raw value is the clause that people read.
    public enum Reason: String, Sendable, Hashable, CaseIterable {
        /// Too few blocks with evidence of both cohorts.
        case tooFewBlocks = "too few usable blocks"
        /// The least time is not over.
        case baking
        /// Too many blocks without evidence.
        case gaps = "too many gaps"
        /// Too little exposure of the canary.
        case littleTraffic = "too little canary traffic"
        /// A fail.
        case regression = "regression beyond tolerance"
        /// A pass, but for what is seen of late.
        case suspicion = "within the boundary on the whole, but evidence of a regression is growing"
        /// A pass.
        case excluded = "regression beyond the assurance boundary excluded"
        /// Neither a fail nor a pass.
        case undecided = "not enough evidence either way"
        /// A pass by the literal rule.
        case totalsWithin = "the totals over the bake are within the tolerance"
        /// A fail by the literal rule.
        case totalsBeyond = "the totals over the bake are beyond the tolerance"
    }

    /// The verdict.
    public var verdict: Verdict
    /// Why.
    public var reason: Reason
    /// The logarithm of the fail side's e-value, the larger one of two directions.
    public var logEFail: Double
    /// The logarithm of the pass side's e-value, the smaller one of two directions.
    public var logEPass: Double
    /// The logarithm of an e-value of both directions together, for the family: their mean, with less than the least evidence −∞.
    public var logEFamily: Double
    /// The stratified estimate of the ratio of rates.
    public var ratio: Double?
    /// How many directions were looked at, 1 or 2; each has that part of the risk.
    public var directions: Int
    /// The overdispersion used.
    public var phi: Double

    /// Judges the blocks so far.
    ///
    /// - Parameters:
    ///   - blocks: All elapsed blocks, usable or not.
    ///   - rule: The rule.
    ///   - phi: The overdispersion factor, at least 1.
    ///   - usesOwnBoundaries: Whether the blocks carry their boundary (latency, gauges); only for `increase`.
    ///   - passBlocks: The blocks that may support a pass, when they are not the same.
    public init(
        of blocks: [Block], rule: Rule, phi: Double, usesOwnBoundaries: Bool = false, passBlocks: [Block]? = nil
    ) {
        let usable = blocks.filter(\.isUsable)
        let supporting = passBlocks?.filter(\.isUsable) ?? usable
        self.phi = phi
        ratio = mantelHaenszel(usable)
        logEFail = 0
        logEPass = 0
        logEFamily = -.infinity
        verdict = .nodata
        reason = .tooFewBlocks
        directions = rule.direction == .either ? 2 : 1
        guard usable.count >= rule.minBlocks else { return }
        let sides = Judgement.sides(usable, supporting, rule: rule, phi: phi, usesOwnBoundaries: usesOwnBoundaries)
        logEFail = sides.map(\.fail).max() ?? 0
        logEPass = sides.map(\.pass).min() ?? 0
        logEFamily =
            logSumExp(sides.map { $0.events >= rule.minEvents ? $0.fail : -.infinity }) - logarithm(Double(sides.count))
        let need = logarithm(Double(sides.count) / rule.alpha)
        let isFail = sides.contains { $0.fail >= need && $0.events >= rule.minEvents }
        (verdict, reason) = decide(blocks: blocks.count, supporting: supporting, isFail: isFail, rule: rule)
    }

    /// One direction: log e of both sides, and the events on the worse side.
    private struct Side {
        var fail: Double
        var pass: Double
        var events: Double
    }

    private static func sides(
        _ usable: [Block], _ supporting: [Block], rule: Rule, phi: Double, usesOwnBoundaries: Bool
    ) -> [Side] {
        var sides: [Side] = []
        if rule.direction != .decrease {
            let boundary = usesOwnBoundaries ? nil : 1 + rule.tolerance
            let assurance = usesOwnBoundaries ? nil : 1 + rule.assureTolerance
            sides.append(side(usable, supporting, boundary: boundary, assurance: assurance, rule: rule, phi: phi))
        }
        if rule.direction != .increase {
            let boundary = 1 / (1 - rule.tolerance)
            let assurance = 1 / (1 - rule.assureTolerance)
            sides.append(
                side(
                    usable.map { $0.swapped(boundary) }, supporting.map { $0.swapped(assurance) }, boundary: boundary,
                    assurance: assurance, rule: rule, phi: phi))
        }
        return sides
    }

    private static func side(
        _ blocks: [Block], _ supporting: [Block], boundary: Double?, assurance: Double?, rule: Rule, phi: Double
    ) -> Side {
        var fail: Double
        switch rule.proof {
        case .beyond: fail = EValue.restart(blocks, floor: rule.floor, phi: phi, boundary: boundary, onset: rule.onset)
        case .any:
            fail = EValue.restart(blocks, floor: rule.floor, phi: phi, boundary: 1, onset: rule.onset)
            let limit = boundary ?? blocks.last?.boundary ?? .infinity
            if (mantelHaenszel(blocks) ?? -.infinity) < limit { fail = min(fail, 0) }
        }
        let pass = EValue.plain(supporting, grid: .pass, floor: rule.assureFloor, phi: phi, boundary: assurance)
        return Side(fail: fail, pass: pass, events: total(blocks.map(\.canaryEvents)))
    }

    private func decide(blocks: Int, supporting: [Block], isFail: Bool, rule: Rule) -> (Verdict, Reason) {
        if isFail { return (.fail, .regression) }
        if blocks < rule.minBakeBlocks { return (.inconclusive, .baking) }
        if Double(supporting.count) < rule.minCoverage * Double(blocks) { return (.nodata, .gaps) }
        if total(supporting.map(\.canaryExposure)) < rule.minExposure { return (.nodata, .littleTraffic) }
        if logEPass >= logarithm(1 / rule.beta) {
            if logEFail >= logarithm(rule.suspicion) {
                return (.inconclusive, .suspicion)
            }
            return (.pass, .excluded)
        }
        return (.inconclusive, .undecided)
    }

    /// The interval of the ratio at the rule's risks: a bisection, to be computed only where it is shown or recorded.
    public func interval(of blocks: [Block], rule: Rule) -> Interval {
        let usable = blocks.filter(\.isUsable)
        if usable.count < rule.minBlocks { return Interval(low: 0, high: .infinity) }
        return Interval(of: usable, phi: phi, alpha: rule.alpha / Double(directions), beta: rule.beta)
    }
}
