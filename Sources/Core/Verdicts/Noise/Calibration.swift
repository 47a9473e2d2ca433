/// What the control instances' own history says about noise.
public struct Calibration: Sendable, Hashable, Codable {
    /// The variance factor of bursts, as the split variance goes to 0; at least 1.
    public var base: Double
    /// Window lengths in bins, ascending.
    public var windows: [Int]
    /// The relative variance between instances of means over each window.
    public var relativeVariances: [Double]
    /// The control instances it was measured on; with one only `base` is known.
    public var instances: Int

    /// A measured noise.
    public init(base: Double, windows: [Int], relativeVariances: [Double], instances: Int) {
        self.base = base
        self.windows = windows
        self.relativeVariances = relativeVariances
        self.instances = instances
    }

    /// Window lengths in bins of one minute.
    public static let defaultWindows = [1, 2, 5, 10, 15, 30]

    /// The relative variance at a run length of so many bins: linear in log length between the windows, constant outside.
    public func relativeVariance(bins: Double) -> Double {
        guard let first = relativeVariances.first, let last = relativeVariances.last else { return 0 }
        if bins <= Double(windows[0]) { return first }
        for j in 1..<max(1, windows.count) where bins <= Double(windows[j]) {
            let from = logarithm(Double(windows[j - 1]))
            let to = logarithm(Double(windows[j]))
            let share = (logarithm(bins) - from) / (to - from)
            return relativeVariances[j - 1] * (1 - share) + relativeVariances[j] * share
        }
        return last
    }

    /// Measured on two or more control instances, each in turn taken as a pretended canary.
    ///
    /// Φ(m) = Σr²/Σv and V̄(m) = Σv²/Σv over all windows of m bins, r = y − Yπ, v = Yπ(1−π); the base is the intercept of r²/v on v at
    /// one bin by two moments, or Φ itself with few events; the relative variance is (Φ − base)/(g·V̄), g = 1 + 1/(P−1).
    ///
    /// - Parameters:
    ///   - exposure: For each instance, its exposure in each bin; all of one length.
    ///   - events: For each instance, its events in each bin.
    ///   - windows: Window lengths; one that fits less than twice ends the list.
    ///   - minEvents: Events a bin from which the intercept is used.
    public init(
        exposure: [[Double]], events: [[Double]], windows: [Int] = defaultWindows, minEvents: Double = 30
    ) {
        let count = exposure.count
        let bins = exposure.first?.count ?? 0
        let residuals = InstanceResiduals(exposure: exposure, events: events)
        var lengths: [Int] = []
        var factors: [Double] = []
        var means: [Double] = []
        for length in windows {
            if bins / length < 2 { break }
            let r = residuals.residuals.flatMap { windowSums($0, length) }
            let v = residuals.variances.flatMap { windowSums($0, length) }
            let sum = total(v)
            lengths.append(length)
            factors.append(sum > 0 ? total(r.map { $0 * $0 }) / sum : 1)
            means.append(sum > 0 ? total(v.map { $0 * $0 }) / sum : 0)
        }
        guard let shortest = lengths.first, count >= 2 else {
            self.init(base: 2, windows: [], relativeVariances: [], instances: count)
            return
        }
        var base = factors[0]
        if total(events.map { total($0) }) / (Double(bins) / Double(shortest)) >= minEvents {
            base = Calibration.intercept(residuals, window: shortest, factors: factors, means: means)
        }
        base = max(1, min(base, factors[0]))
        let g = 1 + 1 / (Double(count) - 1)
        self.init(
            base: base, windows: lengths,
            relativeVariances: zip(factors, means).map { $1 > 0 ? max(0, $0 - base) / (g * $1) : 0 }, instances: count)
    }

    private static func intercept(
        _ residuals: InstanceResiduals, window: Int, factors: [Double], means: [Double]
    ) -> Double {
        var count = 0.0
        var sumFactor = 0.0
        var sumVariance = 0.0
        for (r, v) in zip(residuals.residuals, residuals.variances) {
            for (x, z) in zip(windowSums(r, window), windowSums(v, window)) where z > 0 {
                sumFactor += x * x / z
                sumVariance += z
                count += 1
            }
        }
        guard count > 0 else { return factors[0] }
        let meanFactor = sumFactor / count
        let meanVariance = sumVariance / count
        if means[0] > 1.2 * meanVariance {
            return meanFactor - (factors[0] - meanFactor) / (means[0] - meanVariance) * meanVariance
        }
        if means.count > 1, means[1] > means[0] {
            return factors[0] - (factors[1] - factors[0]) / (means[1] - means[0]) * means[0]
        }
        return factors[0]
    }
}

/// Sums of consecutive groups of `length`, aligned to the end; the oldest incomplete group is left out.
func windowSums(_ xs: [Double], _ length: Int) -> [Double] {
    let count = xs.count / length
    let offset = xs.count - count * length
    return (0..<count).map { total(xs[(offset + $0 * length)..<(offset + ($0 + 1) * length)]) }
}
