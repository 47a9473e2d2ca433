/// Gauges: one value per cohort and minute.
public enum Gauge {
    /// Log shifts beyond the margin that the mean rule is averaged over.
    public static let shifts = [0.03, 0.06, 0.12, 0.25, 0.5, 1.0]

    /// Whether a canary's value is beyond the margin, the larger one of `tolerance` (of the control's value) and `slack` (absolute).
    public static func isBeyond(
        canary: Double, control: Double, tolerance: Double, slack: Double, direction: Rule.Direction
    ) -> Bool {
        let margin = max(tolerance * abs(control), slack)
        switch direction {
        case .increase: return canary > control + margin
        case .decrease: return canary < control - margin
        case .either: return abs(canary - control) > margin
        }
    }

    /// The sign rule's block of one pair: an event of the canary when it is beyond the margin, else one of the control; boundary 1.
    public static func block(isBeyond: Bool) -> Block {
        Block(
            canaryEvents: isBeyond ? 1 : 0, canaryExposure: 1, controlEvents: isBeyond ? 0 : 1, controlExposure: 1, boundary: 1)
    }

    /// The median of the last three values, so that isolated peaks vanish; the first two are taken down to the harmless side.
    public static func trailingMedian(_ xs: [Double]) -> [Double] {
        xs.indices.map { k in
            if k == 0 { return min(0, xs[0]) }
            if k == 1 { return min(xs[0], xs[1]) }
            let (a, b, c) = (xs[k - 2], xs[k - 1], xs[k])
            return max(min(a, b), min(max(a, b), c))
        }
    }

    /// The relative variance between control instances of means over windows of minutes, plus one standard error; from the logarithms
    /// of each instance's values, minute by minute.
    public static func calibration(_ logs: [[Double]], windows: [Int] = Calibration.defaultWindows) -> Calibration {
        let smooth = logs.map { Array(trailingMedian($0).dropFirst(2)) }
        let count = smooth.count
        let bins = smooth.first?.count ?? 0
        let means = (0..<bins).map { k in total(smooth.map { $0[k] }) / Double(count) }
        var lengths: [Int] = []
        var variances: [Double] = []
        for length in windows {
            let groups = bins / length
            if groups < 2 || count < 2 { break }
            var sum = 0.0
            for values in smooth {
                for z in windowSums(zip(values, means).map { $0 - $1 }, length) {
                    let mean = z / Double(length)
                    sum += mean * mean
                }
            }
            let degrees = Double(groups) * (Double(count) - 1)
            lengths.append(length)
            variances.append(sum / degrees * (1 + squareRoot(2 / degrees)))
        }
        return Calibration(base: 1, windows: lengths, relativeVariances: variances, instances: count)
    }

    /// The mean rule's log e: block k adds (d·x − d²/2)/(t·s²(t)·g) for a shift d, x being the trailing median of log(canary/control)
    /// less the margin; mixed over shifts and onset.
    public static func logE(
        ratios: [Double], margin: Double, calibration: Calibration, canaryInstances: Int, controlInstances: Int,
        onset: OnsetPrior = OnsetPrior()
    ) -> Double {
        let xs = trailingMedian(ratios).map { $0 - margin }
        let count = xs.count
        if count == 0 { return 0 }
        let g = 1 / Double(max(1, canaryInstances)) + 1 / Double(max(1, controlInstances))
        let scale = Double(count) * (calibration.relativeVariance(bins: Double(count)) * g + 1e-4)
        var sums = [Double](repeating: -.infinity, count: shifts.count)
        for (k, x) in xs.enumerated() {
            let weight = onset.logWeight(k + 1)
            for (j, d) in shifts.enumerated() { sums[j] = logAddExp(sums[j], weight) + (d * x - d * d / 2) / scale }
        }
        let rest = onset.logRest(count)
        return logSumExp(sums.map { logAddExp($0, rest) }) - logarithm(Double(shifts.count))
    }

    /// The sign rule's relative margin: never narrower than two standard deviations of lasting differences between instances.
    public static func signMargin(
        tolerance: Double, calibration: Calibration, canaryInstances: Int, controlInstances: Int
    ) -> Double {
        let g = 1 / Double(max(1, canaryInstances)) + 1 / Double(max(1, controlInstances))
        let deviation = squareRoot((calibration.relativeVariances.last ?? 0) * g)
        return max(tolerance, exponential(2 * deviation) - 1)
    }
}
