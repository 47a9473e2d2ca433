/// What both cohorts did between two readings: one stratum of evidence, compared only with itself, so that whatever moves both
/// cohorts at once (time of day, a ramp of the weight) cancels.
public struct Block: Sendable, Hashable, Codable {
    /// Events of the canary: errors, slow requests, … Not negative; need not be whole.
    public var canaryEvents: Double
    /// Exposure of the canary: requests, instance-seconds, …
    public var canaryExposure: Double
    /// Events of the control.
    public var controlEvents: Double
    /// Exposure of the control.
    public var controlExposure: Double
    /// The ratio of rates, canary over control, at which the null hypothesis ends in this block.
    public var boundary: Double

    /// A block.
    public init(
        canaryEvents: Double, canaryExposure: Double, controlEvents: Double, controlExposure: Double, boundary: Double = 1.1
    ) {
        self.canaryEvents = canaryEvents
        self.canaryExposure = canaryExposure
        self.controlEvents = controlEvents
        self.controlExposure = controlExposure
        self.boundary = boundary
    }

    /// A block in which nothing can be compared: it counts as elapsed and not as usable.
    public static let unusable = Block(canaryEvents: 0, canaryExposure: 0, controlEvents: 0, controlExposure: 0)

    /// Whether both cohorts had exposure.
    public var isUsable: Bool { canaryExposure > 0 && controlExposure > 0 }

    /// Events of both cohorts.
    var events: Double { canaryEvents + controlEvents }

    /// Canary exposure for one of control.
    var split: Double { canaryExposure / controlExposure }

    /// Y·π·(1−π): the binomial variance of the canary's events if both rates were equal.
    var splitVariance: Double {
        let a = split
        let p = a / (1 + a)
        return events * p * (1 - p)
    }

    /// The same counts with another boundary.
    func at(_ boundary: Double) -> Block {
        var block = self
        block.boundary = boundary
        return block
    }

    /// The same counts with the cohorts exchanged, for regressions that are a fall.
    func swapped(_ boundary: Double) -> Block {
        Block(
            canaryEvents: controlEvents, canaryExposure: controlExposure, controlEvents: canaryEvents,
            controlExposure: canaryExposure, boundary: boundary)
    }
}

/// The estimate of the ratio of rates, canary over control, stratified by block (Mantel and Haenszel 1959); nil without events,
/// infinite when only the canary had some.
public func mantelHaenszel(_ blocks: [Block]) -> Double? {
    var numerator = 0.0
    var denominator = 0.0
    for block in blocks where block.isUsable {
        let all = block.canaryExposure + block.controlExposure
        numerator += block.canaryEvents * block.controlExposure / all
        denominator += block.controlEvents * block.canaryExposure / all
    }
    if denominator == 0 { return numerator == 0 ? nil : .infinity }
    return numerator / denominator
}
