/// The literal rule "the totals over the bake are within the tolerance", for those who must have it. It knows no noise.
public enum ThresholdRule {
    /// The last bits of a quotient must not decide what is exactly at the tolerance.
    private static let slack = 1e-9

    /// Whether two means of a gauge are within its margin, which is the larger one of the tolerance and its slack.
    static func isWithin(canary: Double, control: Double, tolerance: Double, slack: Double, direction: Rule.Direction) -> Bool {
        !Gauge.isBeyond(
            canary: canary, control: control, tolerance: tolerance + Self.slack, slack: slack, direction: direction)
    }

    /// Whether a ratio is within the tolerance in the direction that counts; nil, when neither had an event, is.
    static func isWithin(_ ratio: Double?, _ rule: Rule) -> Bool {
        guard let ratio else { return true }
        let isNotAbove = ratio <= 1 + rule.tolerance + slack
        let isNotBelow = ratio >= 1 - rule.tolerance - slack
        switch rule.direction {
        case .increase: return isNotAbove
        case .decrease: return isNotBelow
        case .either: return isNotAbove && isNotBelow
        }
    }

    /// The verdict: nothing before the end of the bake, then pass or fail by the ratio of totals.
    ///
    /// - Parameters:
    ///   - isWithin: Whether the totals over the bake are within the tolerance.
    ///   - elapsed: Elapsed blocks.
    ///   - usable: Usable blocks.
    ///   - exposure: The canary's exposure.
    ///   - rule: Bake and least exposure.
    static func verdict(
        isWithin: Bool, elapsed: Int, usable: Int, exposure: Double, rule: Rule
    ) -> (verdict: Verdict, reason: Judgement.Reason) {
        if usable < rule.minBlocks { return (.nodata, .tooFewBlocks) }
        if elapsed < rule.minBakeBlocks { return (.inconclusive, .baking) }
        if Double(usable) < rule.minCoverage * Double(elapsed) { return (.nodata, .gaps) }
        if exposure < rule.minExposure { return (.nodata, .littleTraffic) }
        return isWithin ? (.pass, .totalsWithin) : (.fail, .totalsBeyond)
    }

    /// The chance that this rule rolls back an equal canary.
    ///
    /// Of Y events an equal canary has Yp on average, p = a/(1+a), with variance φYp(1−p); the rule fails when its share exceeds
    /// t = (1+tol)a/(1+(1+tol)a). With at least 30/φ expected events the normal tail of (t−p)/√(φp(1−p)/Y) is taken, with fewer the
    /// Poisson chance that N > (1+tol)·m/φ for N of mean m/φ, m the canary's expected events (events come in bursts of φ). For
    /// `decrease` and `either` the lower side is added in the same way.
    ///
    /// - Parameters:
    ///   - canaryExposure: The canary's exposure over the bake.
    ///   - controlExposure: The control's.
    ///   - rate: Events per unit of exposure, of both.
    ///   - phi: The overdispersion factor.
    ///   - rule: Tolerance and direction.
    public static func falseAlarm(
        canaryExposure: Double, controlExposure: Double, rate: Double, phi: Double, rule: Rule
    ) -> Double {
        guard canaryExposure > 0, controlExposure > 0, rate > 0 else { return 0 }
        let a = canaryExposure / controlExposure
        let mean = canaryExposure * rate / phi
        func side(_ factor: Double) -> Double {
            if mean < 30 { return factor > 1 ? poissonAbove(factor * mean, mean: mean) : poissonBelow(factor * mean, mean: mean) }
            let p = a / (1 + a)
            let t = factor * a / (1 + factor * a)
            let deviation = squareRoot(phi * p * (1 - p) / ((canaryExposure + controlExposure) * rate))
            return normalTail(abs(t - p) / deviation)
        }
        switch rule.direction {
        case .increase: return side(1 + rule.tolerance)
        case .decrease: return side(1 - rule.tolerance)
        case .either: return min(1, side(1 + rule.tolerance) + side(1 - rule.tolerance))
        }
    }

    /// P(N > x) for a Poisson variable.
    private static func poissonAbove(_ x: Double, mean: Double) -> Double {
        max(0, 1 - cumulative(Int(x.rounded(.down)), mean: mean))
    }

    /// P(N < x) for a Poisson variable.
    private static func poissonBelow(_ x: Double, mean: Double) -> Double {
        cumulative(Int(x.rounded(.up)) - 1, mean: mean)
    }

    /// P(N ≤ n).
    private static func cumulative(_ n: Int, mean: Double) -> Double {
        if n < 0 { return 0 }
        var term = exponential(-mean)
        var sum = term
        for k in stride(from: 1, through: n, by: 1) {
            term *= mean / Double(k)
            sum += term
        }
        return min(1, sum)
    }
}
