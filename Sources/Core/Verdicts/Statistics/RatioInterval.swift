extension Interval {
    /// The anytime-valid bounds of the ratio of rates, canary over control: the lower one holds at level 1−alpha, the upper one at
    /// 1−beta, at every moment of a run at once. Both e-values without floor are inverted by bisection over 1e-4…1e4; a bound that is
    /// not reached is 0 or infinite.
    public init(of blocks: [Block], phi: Double, alpha: Double, beta: Double) {
        let fail = logarithm(1 / alpha)
        let pass = logarithm(1 / beta)
        let from = logarithm(1e-4)
        let to = logarithm(1e4)
        let low = Interval.bisect(from, to, isDecreasing: true) { x in
            EValue.plain(blocks, grid: .fail, floor: 0, phi: phi, boundary: exponential(x)) - fail
        }
        let high = Interval.bisect(from, to, isDecreasing: false) { x in
            EValue.plain(blocks, grid: .pass, floor: 0, phi: phi, boundary: exponential(x)) - pass
        }
        self.init(low: low.map(exponential) ?? 0, high: high.map(exponential) ?? .infinity)
    }

    /// Where a monotone function crosses zero; the end at which it is positive when it does not, nil when it is negative everywhere.
    private static func bisect(
        _ from: Double, _ to: Double, isDecreasing: Bool, _ function: (Double) -> Double
    ) -> Double? {
        var low = from
        var high = to
        let atLow = function(low)
        let atHigh = function(high)
        if (isDecreasing ? atLow : atHigh) < 0 { return nil }
        if isDecreasing, atHigh >= 0 { return high }
        if !isDecreasing, atLow >= 0 { return low }
        for _ in 0..<200 {
            let middle = 0.5 * (low + high)
            if (function(middle) >= 0) == isDecreasing { low = middle } else { high = middle }
            if high - low < 1e-13 { break }
        }
        return 0.5 * (low + high)
    }
}
