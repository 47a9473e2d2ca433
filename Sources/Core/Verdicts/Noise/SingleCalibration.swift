extension Calibration {
    /// Measured on one control instance: each bin against its two neighbours, the largest tenth of r²/v left out (spikes that both
    /// cohorts would share). Only the base is usable: drift shared with the canary cannot be told from noise of the instance.
    ///
    /// - Parameters:
    ///   - exposure: The exposure in each bin.
    ///   - events: The events in each bin.
    ///   - keep: The share of bins kept.
    ///   - correction: What is left of a χ² variable's mean after the cut.
    public init(singleExposure exposure: [Double], events: [Double], keep: Double = 0.9, correction: Double = 0.623) {
        var ratios: [(factor: Double, variance: Double)] = []
        for k in stride(from: 1, to: exposure.count - 1, by: 1) {
            let count = events[k - 1] + events[k] + events[k + 1]
            let all = exposure[k - 1] + exposure[k] + exposure[k + 1]
            let share = all > 0 ? exposure[k] / all : 0
            let variance = count * share * (1 - share)
            let residual = events[k] - count * share
            if variance > 0 { ratios.append((residual * residual / variance, variance)) }
        }
        guard ratios.count >= 20 else {
            self.init(base: 2, windows: [], relativeVariances: [], instances: 1)
            return
        }
        ratios.sort { ($0.factor, $0.variance) < ($1.factor, $1.variance) }
        ratios = Array(ratios.prefix(Int(keep * Double(ratios.count))))
        let variances = total(ratios.map(\.variance))
        let phi = total(ratios.map { $0.factor * $0.variance }) / variances / correction
        let weighted = total(ratios.map { $0.variance * $0.variance }) / variances
        let meanFactor = total(ratios.map(\.factor)) / Double(ratios.count) / correction
        let meanVariance = variances / Double(ratios.count)
        let base =
            weighted > 1.2 * meanVariance
            ? meanFactor - (phi - meanFactor) / (weighted - meanVariance) * meanVariance : phi
        self.init(base: max(1, min(base, phi)), windows: [], relativeVariances: [], instances: 1)
    }
}
