public import SerinModel

/// How long one signal needs at the present traffic, and what it cannot tell.
public struct SignalForecast: Sendable, Hashable, Codable {
    /// A rise and how long it takes to be proven.
    public struct Finding: Sendable, Hashable, Codable {
        /// Canary rate over control rate; for `decrease` the inverse.
        public var ratio: Double
        /// Seconds of evidence until it is proven with a chance of 80 %, the least before a fail; nil when it never is.
        public var seconds: Double?

        /// A rise and its time.
        public init(ratio: Double, seconds: Double?) {
            self.ratio = ratio
            self.seconds = seconds
        }
    }

    /// A rate of events in the canary, where the control has none, and how long it takes to be proven.
    public struct FoundRate: Sendable, Hashable, Codable {
        /// Events per unit of exposure in the canary.
        public var rate: Double
        /// Seconds of evidence until it is proven with a chance of 80 %, the least before a fail; nil when it never is.
        public var seconds: Double?

        /// A rate and its time.
        public init(rate: Double, seconds: Double?) {
            self.rate = rate
            self.seconds = seconds
        }
    }

    /// The signal's name.
    public var name: String
    /// Events per unit of exposure on which the forecast rests.
    public var rate: Double
    /// Exposure per second of canary and control.
    public var canaryTraffic: Double
    /// Exposure per second of the control.
    public var controlTraffic: Double
    /// The overdispersion assumed.
    public var phi: Double
    /// Seconds until an equal canary passes with a chance of 80 %, the bake at least; nil when it never does.
    public var secondsToPass: Double?
    /// Rises of x1.5, x2 and x5; empty when there are no events to compare with.
    public var findings: [Finding]
    /// Rates of 0.5 %, 1 % and 3 % in the canary, when the control has no events; else empty.
    public var ratesFound: [FoundRate]
    /// The largest ratio of rates that a pass does not exclude; nil when there are no events to compare with.
    public var largestRiseNotExcluded: Double?
    /// The chance that `judge: threshold` would roll back an equal canary.
    public var thresholdFalseAlarm: Double
}

extension Evidence {
    /// What to expect at the present traffic: of the run so far, before it of the control's past. Signals without traffic, and gauges,
    /// have no forecast.
    ///
    /// - Parameter weight: The canary's share to forecast for; nil for the share seen so far.
    public func forecast(weight: Weight?) -> [SignalForecast] {
        parts.compactMap { part in
            guard case .counting(let counting) = part else { return nil }
            return forecast(counting, weight: weight)
        }
    }

    private func forecast(_ part: CountingEvidence, weight: Weight?) -> SignalForecast? {
        let length = blockLength ?? Evidence.blockLength(poll: plan.poll, scrape: scrapeInterval)
        let rule = plan.rule(of: part.signal, block: length, isCalibrated: part.calibration != nil)
        guard let traffic = traffic(part, weight: weight, block: length), traffic.canary > 0, traffic.control > 0 else {
            return nil
        }
        let phi = expectedPhi(part, traffic)
        // For a fall the cohorts change places.
        let isFall = rule.direction == .decrease
        let (worse, better) = isFall ? (traffic.control, traffic.canary) : (traffic.canary, traffic.control)
        func boundary(_ tolerance: Double) -> Double {
            if let tails = part.tails { return tails.boundary(tolerance: tolerance, slack: part.signal.slack) ?? 1 + tolerance }
            return isFall ? 1 / (1 - tolerance) : 1 + tolerance
        }
        func seconds(_ ratio: Double, _ side: Growth.Side) -> Double? {
            seconds(isFall ? traffic.rate : traffic.rate * ratio, isFall ? traffic.rate / ratio : traffic.rate, side)
        }
        func seconds(_ canaryRate: Double, _ controlRate: Double, _ side: Growth.Side) -> Double? {
            let growth = Growth.rate(
                canaryRate: canaryRate, controlRate: controlRate, canaryTraffic: worse, controlTraffic: better,
                boundary: boundary(side == .fail ? rule.tolerance : rule.assureTolerance),
                floor: side == .fail ? rule.floor : rule.assureFloor, phi: phi, grid: side == .fail ? .fail : .pass)
            let level = side == .fail ? rule.alpha : rule.beta
            let result = Growth.seconds(growth: growth, level: level, z: 0.8416212335729143, side: side)
            guard result.isFinite else { return nil }
            // Nothing fails on fewer blocks, however clear it is.
            return side == .fail ? max(Double(rule.minBlocks) * length.seconds, result) : result
        }
        let bake = plan.bake.seconds
        return SignalForecast(
            name: part.signal.name, rate: traffic.rate, canaryTraffic: traffic.canary, controlTraffic: traffic.control, phi: phi,
            secondsToPass: seconds(1, .pass).map { max(bake, $0) },
            findings: traffic.rate > 0
                ? [1.5, 2, 5].map { SignalForecast.Finding(ratio: $0, seconds: seconds($0, .fail)) } : [],
            ratesFound: traffic.rate > 0 || isFall
                ? [] : [0.005, 0.01, 0.03].map { SignalForecast.FoundRate(rate: $0, seconds: seconds($0, 0, .fail)) },
            largestRiseNotExcluded: traffic.rate > 0 ? boundary(rule.assureTolerance) + rule.assureFloor / traffic.rate : nil,
            thresholdFalseAlarm: ThresholdRule.falseAlarm(
                canaryExposure: traffic.canary * bake, controlExposure: traffic.control * bake, rate: traffic.rate, phi: phi,
                rule: rule))
    }

    /// Exposure per second of both cohorts and the rate of events.
    private func traffic(
        _ part: CountingEvidence, weight: Weight?, block: Duration
    ) -> (canary: Double, control: Double, rate: Double)? {
        let usable = Double(part.blocks.count { $0.isUsable })
        var canary = 0.0
        var control = 0.0
        var rate = 0.0
        if usable > 0, part.counts.controlExposure > 0 {
            canary = part.counts.canaryExposure / (usable * block.seconds)
            control = part.counts.controlExposure / (usable * block.seconds)
            rate = part.counts.controlEvents / part.counts.controlExposure
        } else if let past = part.past {
            control = past.traffic
            rate = past.rate
            if case .rate = part.signal.source { canary = 1 }
        } else {
            return nil
        }
        // Instance-seconds do not follow the weight.
        if case .rate = part.signal.source { return (canary, control, rate) }
        guard let weight else { return (canary, control, rate) }
        let all = canary + control
        return (all * weight.fraction, all * (1 - weight.fraction), rate)
    }

    /// The overdispersion to expect over a bake: of the history where there is one, else what was seen, else 2.
    private func expectedPhi(
        _ part: CountingEvidence, _ traffic: (canary: Double, control: Double, rate: Double)
    ) -> Double {
        guard let calibration = part.calibration else {
            return part.blocks.isEmpty ? 2 : part.phi(part.blocks)
        }
        let p = traffic.canary / (traffic.canary + traffic.control)
        let events = (traffic.canary + traffic.control) * traffic.rate * plan.bake.seconds
        let instances = max(1, calibration.instances)
        let width = (1 / Double(part.canaryInstances) + 1 / Double(instances)) * events * p * (1 - p)
        if calibration.instances < 2 { return max(1, calibration.base + 0.15 * 0.15 * width) }
        let lasting = 0.05 * 0.05 * 5 / (5 + Double(instances) - 1)
        return max(1, calibration.base + (calibration.relativeVariance(bins: plan.bake.seconds / 60) + lasting) * width)
    }
}
