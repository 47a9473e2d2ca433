internal import CSerinMath

/// SplitMix64 and the distributions that the simulated traffic needs. The same seed gives the same traffic.
public struct SeededGenerator: RandomNumberGenerator, Sendable, Hashable {
    private var state: UInt64

    /// A generator that begins with a seed.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    public mutating func uniform() -> Double { (Double(next() >> 11) + 0.5) / Double(1 << 53) }

    /// Standard normal (Box and Muller).
    public mutating func normal() -> Double { (-2 * serin_log(uniform())).squareRoot() * serin_cos(2 * Double.pi * uniform()) }

    /// A Poisson count; from a mean of 60 on the rounded normal.
    public mutating func poisson(_ mean: Double) -> Double {
        if mean <= 0 { return 0 }
        if mean >= 60 { return max(0, (mean + mean.squareRoot() * normal()).rounded()) }
        let limit = serin_exp(-mean)
        var product = uniform()
        var count = 0.0
        while product > limit {
            product *= uniform()
            count += 1
        }
        return count
    }

    /// The sum of events that come in bursts of geometric size: `mean` events in bursts of `burst` on average.
    public mutating func bursts(_ mean: Double, of burst: Double) -> Double {
        let count = poisson(mean / burst)
        if burst <= 1 || count == 0 { return count }
        let p = 1 / burst
        if count >= 60 {
            let deviation = (count * (1 - p)).squareRoot() / p
            return max(count, (count * burst + deviation * normal()).rounded())
        }
        var sum = 0.0
        for _ in 0..<Int(count) { sum += 1 + (serin_log(uniform()) / serin_log(1 - p)).rounded(.down) }
        return sum
    }
}
