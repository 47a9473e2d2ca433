/// Multiples of the boundary that an e-value is averaged over, with their logarithms.
public struct RatioGrid: Sendable, Hashable {
    /// The multiples, none of them 1.
    public let multiples: [Double]
    /// Their natural logarithms.
    let logarithms: [Double]
    /// The logarithm of how many there are.
    let logCount: Double

    /// A grid of positive multiples, none of them 1.
    public init(_ multiples: [Double]) {
        self.multiples = multiples
        logarithms = multiples.map { logarithm($0) }
        logCount = logarithm(Double(multiples.count))
    }

    /// Multiples above 1: evidence of a regression beyond the boundary.
    public static let fail = RatioGrid([1.1, 1.2, 1.35, 1.6, 2, 3, 5, 10, 30])
    /// Multiples below 1: evidence that the boundary is not reached.
    public static let pass = RatioGrid([0.97, 0.91, 0.83, 0.7, 0.5, 0.25, 0.05])
}

/// When a regression may have begun: at once with one weight, later by a geometric law with the rest.
public struct OnsetPrior: Sendable, Hashable, Codable {
    /// The weight of "from the first block on".
    public var firstWeight: Double
    /// The mean of a later onset, in blocks.
    public var mean: Double

    /// A prior; the defaults are for blocks of one minute.
    public init(firstWeight: Double = 0.5, mean: Double = 60) {
        self.firstWeight = firstWeight
        self.mean = mean
    }

    /// The logarithm of the weight of a regression that begins at block `k`, from 1. The weights sum to 1 in closed form.
    func logWeight(_ k: Int) -> Double {
        if k == 1 { return logarithm(firstWeight) }
        let q = 1 / mean
        return logarithm((1 - firstWeight) * q) + Double(k - 2) * logarithm(1 - q)
    }

    /// The logarithm of the weight not spent after `k` blocks: a regression still to come.
    func logRest(_ k: Int) -> Double {
        logarithm(1 - firstWeight) + Double(k - 1) * logarithm(1 - 1 / mean)
    }

    /// The weights of the first `count` blocks.
    func logWeights(_ count: Int) -> [Double] {
        let q = 1 / mean
        let later = logarithm((1 - firstWeight) * q)
        let step = logarithm(1 - q)
        return (0..<count).map { $0 == 0 ? logarithm(firstWeight) : later + Double($0 - 1) * step }
    }
}
