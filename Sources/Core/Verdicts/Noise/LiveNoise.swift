/// What the run itself says about noise, kept as sums so that a decision does not walk over instances and blocks again.
public struct LiveNoise: Sendable, Hashable {
    /// Blocks in one bin of the calibration (60 s).
    public let blocksPerBin: Int
    /// All elapsed blocks, usable or not.
    public private(set) var elapsed = 0
    /// Σ Yπ(1−π) of canary against control.
    public private(set) var splitVariance = 0.0
    /// Events of all control instances.
    private var controlEvents = 0.0
    /// Each control instance's events, observed and expected.
    public private(set) var instances: [Overdispersion.Instance] = []
    /// Whole bins of both cohorts.
    private var bins: [Block] = []
    private var openBin = Block.unusable
    private var openExposure: [Double] = []
    private var openEvents: [Double] = []
    private var openBlocks = 0
    /// Sums over instances and whole bins of r², v and v².
    private var residualSquares = 0.0
    private var variances = 0.0
    private var varianceSquares = 0.0

    /// Nothing yet.
    public init(blocksPerBin: Int) { self.blocksPerBin = max(1, blocksPerBin) }

    /// Adds a block with the exposure and events of each control instance in it; an instance keeps its place, missing ones are 0.
    /// The number of instances may grow and never shrinks.
    public mutating func append(_ block: Block, exposure: [Double], events: [Double]) {
        elapsed += 1
        guard block.isUsable else { return }
        while instances.count < exposure.count {
            instances.append(Overdispersion.Instance(observed: 0, expected: 0))
            openExposure.append(0)
            openEvents.append(0)
        }
        splitVariance += block.splitVariance
        let allExposure = total(exposure)
        let allEvents = total(events)
        controlEvents += allEvents
        for i in exposure.indices {
            instances[i].observed += events[i]
            if allExposure > 0 { instances[i].expected += allEvents * exposure[i] / allExposure }
            openExposure[i] += exposure[i]
            openEvents[i] += events[i]
        }
        openBin.canaryEvents += block.canaryEvents
        openBin.canaryExposure += block.canaryExposure
        openBin.controlEvents += block.controlEvents
        openBin.controlExposure += block.controlExposure
        openBlocks += 1
        if openBlocks == blocksPerBin { closeBin() }
    }

    private mutating func closeBin() {
        let allExposure = total(openExposure)
        let allEvents = total(openEvents)
        for i in openExposure.indices {
            let share = allExposure > 0 ? openExposure[i] / allExposure : 0
            let residual = openEvents[i] - allEvents * share
            let variance = allEvents * share * (1 - share)
            residualSquares += residual * residual
            variances += variance
            varianceSquares += variance * variance
            openExposure[i] = 0
            openEvents[i] = 0
        }
        bins.append(openBin)
        openBin = .unusable
        openBlocks = 0
    }

    /// How much noisier the control instances are during the run than in their history: observed over expected squares of whole
    /// bins, drawn to 1 and never below it.
    public func changeFactor(_ calibration: Calibration, priorDegrees: Double = 10) -> Double {
        guard instances.count >= 2, !bins.isEmpty, let shortest = calibration.relativeVariances.first else { return 1 }
        let g = 1 + 1 / (Double(instances.count) - 1)
        let expected = calibration.base * variances + shortest * g * varianceSquares
        if expected <= 0 { return 1 }
        let degrees = (Double(instances.count) - 1) * Double(bins.count)
        return max(1, (residualSquares / expected * degrees + priorDegrees) / (degrees + priorDegrees))
    }

    /// The factor φ with a calibration: history and lasting luck of instances, live instances carried over to the canary's load, and
    /// the change factor. With one control instance: residuals of whole bins drawn to the prior.
    ///
    /// - Parameters:
    ///   - calibration: What the history says.
    ///   - canaryInstances: How many instances the canary has.
    ///   - luck: The relative size of lasting differences between instances.
    ///   - luckDegrees: How slowly more control instances reduce it.
    ///   - priorDegrees: The weight of history against the live instances.
    ///   - singleNoise: Assumed noise with one control instance.
    ///   - singleDegrees: The weight of that assumption.
    public func phi(
        _ calibration: Calibration, canaryInstances: Int, luck: Double = 0.05, luckDegrees: Double = 5,
        priorDegrees: Double = 10, singleNoise: Double = 0.15, singleDegrees: Double = 5
    ) -> Double {
        let count = max(1, instances.count)
        let width = Overdispersion.prior(
            splitVariance: splitVariance, base: 0, instanceNoise: 1, canaryInstances: canaryInstances,
            controlInstances: count)
        if calibration.instances < 2 || instances.count < 2 {
            return Overdispersion.combined(
                [Overdispersion.overTime(bins)], prior: calibration.base + singleNoise * singleNoise * width,
                priorDegrees: singleDegrees)
        }
        let lasting = luck * luck * luckDegrees / (luckDegrees + Double(count) - 1)
        let spread = calibration.relativeVariance(bins: Double(elapsed) / Double(blocksPerBin))
        let past = calibration.base + (spread + lasting) * width
        var phi = past
        let between = Overdispersion.betweenInstances(instances)
        if between.degrees > 0, controlEvents > 0 {
            let live = calibration.base + max(0, between.phi - calibration.base) * width * Double(count) / controlEvents
            let degrees = Double(between.degrees)
            phi = max(past, (live * degrees + past * priorDegrees) / (degrees + priorDegrees))
        }
        return max(1, phi * changeFactor(calibration, priorDegrees: priorDegrees))
    }

    /// The factor φ without a calibration, from the control instances or a prior and the residuals over time.
    public func uncalibratedPhi(_ blocks: [Block], canaryInstances: Int) -> Double {
        Overdispersion.uncalibrated(blocks, instances: instances, canaryInstances: canaryInstances)
    }
}
