/// How much more events vary than independent ones would: the factor φ that log likelihood ratios are divided by.
public enum Overdispersion {
    /// A factor with the degrees of freedom it was measured with; 0 when it was not measured.
    public struct Source: Sendable, Hashable {
        /// The factor.
        public var phi: Double
        /// Its degrees of freedom.
        public var degrees: Int

        /// A measured factor.
        public init(phi: Double, degrees: Int) {
            self.phi = phi
            self.degrees = degrees
        }
    }

    /// One control instance's total of events, observed and expected from its share of exposure (Σ over blocks of Y0·n_i/n0).
    public struct Instance: Sendable, Hashable {
        /// Events observed.
        public var observed: Double
        /// Events expected.
        public var expected: Double

        /// An instance's totals.
        public init(observed: Double, expected: Double) {
            self.observed = observed
            self.expected = expected
        }
    }

    /// Pearson's χ² per degree of freedom between control instances.
    public static func betweenInstances(_ instances: [Instance]) -> Source {
        var count = 0
        var sum = 0.0
        for instance in instances where instance.expected > 0 {
            let difference = instance.observed - instance.expected
            sum += difference * difference / instance.expected
            count += 1
        }
        return count < 2 ? Source(phi: 1, degrees: 0) : Source(phi: sum / Double(count - 1), degrees: count - 1)
    }

    /// The Newey–West variance (1987) of the canary's residuals over their binomial variance.
    public static func overTime(_ blocks: [Block], maxLag: Int = 4) -> Source {
        let usable = blocks.filter(\.isUsable)
        guard let estimate = mantelHaenszel(usable), estimate != .infinity, estimate != 0, usable.count >= 2 else {
            return Source(phi: 1, degrees: 0)
        }
        var residuals: [Double] = []
        residuals.reserveCapacity(usable.count)
        var variance = 0.0
        for block in usable {
            let a = block.split
            let p = estimate * a / (1 + estimate * a)
            let y = block.events
            residuals.append(block.canaryEvents - y * p)
            variance += y * p * (1 - p)
        }
        if variance <= 0 { return Source(phi: 1, degrees: 0) }
        let lag = min(maxLag, usable.count / 4)
        var sum = 0.0
        for residual in residuals { sum += residual * residual }
        for distance in stride(from: 1, through: lag, by: 1) {
            var products = 0.0
            for k in distance..<residuals.count { products += residuals[k] * residuals[k - distance] }
            sum += 2 * (1 - Double(distance) / (Double(lag) + 1)) * products
        }
        return Source(phi: sum / variance, degrees: usable.count - 1)
    }

    /// A prior factor: bursts (`base`) and what differences between instances of relative size `instanceNoise` would add.
    public static func prior(
        splitVariance: Double, base: Double, instanceNoise: Double, canaryInstances: Int, controlInstances: Int
    ) -> Double {
        let width = 1 / Double(max(1, canaryInstances)) + 1 / Double(max(1, controlInstances))
        return base + instanceNoise * instanceNoise * width * splitVariance
    }

    /// Each source drawn towards the prior, one standard error added, the largest taken, never below 1.
    public static func combined(_ sources: [Source], prior: Double, priorDegrees: Double) -> Double {
        var best = 0.0
        for source in sources where source.degrees > 0 {
            let degrees = Double(source.degrees) + priorDegrees
            let drawn = (source.phi * Double(source.degrees) + prior * priorDegrees) / degrees
            best = max(best, drawn * (1 + squareRoot(2 / degrees)))
        }
        return max(1, best > 0 ? best : prior)
    }

    /// The factor without history: from the control instances if they have enough degrees of freedom, else with the prior and
    /// the residuals over time.
    public static func uncalibrated(
        _ blocks: [Block], instances: [Instance], canaryInstances: Int, base: Double = 2, instanceNoise: Double = 0.05,
        priorDegrees: Double = 5, enoughDegrees: Int = 8
    ) -> Double {
        let between = betweenInstances(instances)
        if between.degrees >= enoughDegrees { return combined([between], prior: base, priorDegrees: priorDegrees) }
        var variance = 0.0
        for block in blocks where block.isUsable { variance += block.splitVariance }
        let prior = prior(
            splitVariance: variance, base: base, instanceNoise: instanceNoise, canaryInstances: canaryInstances,
            controlInstances: instances.count)
        return combined([between, overTime(blocks)], prior: prior, priorDegrees: priorDegrees)
    }
}
