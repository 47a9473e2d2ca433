/// How fast evidence grows, for forecasts.
public enum Growth {
    /// The largest expected growth of log e over the grid, per second, at true rates and traffic.
    ///
    /// - Parameters:
    ///   - canaryRate: Events per unit of exposure in the canary.
    ///   - controlRate: Events per unit of exposure in the control.
    ///   - canaryTraffic: Exposure per second of the canary.
    ///   - controlTraffic: Exposure per second of the control.
    ///   - boundary: The boundary's relative part as a ratio, 1.10 for ±10 %.
    ///   - floor: Its absolute part.
    ///   - phi: The overdispersion factor.
    ///   - grid: The side's grid.
    public static func rate(
        canaryRate: Double, controlRate: Double, canaryTraffic: Double, controlTraffic: Double, boundary: Double,
        floor: Double, phi: Double, grid: RatioGrid
    ) -> Double {
        let a = canaryTraffic / controlTraffic
        var best = 0.0
        for r in grid.multiples {
            let u = r * (1 + boundary * a) / (1 + boundary * r * a)
            let v = u / r
            let gain = canaryTraffic * canaryRate * logarithm(u) + controlTraffic * controlRate * logarithm(v)
            best = max(best, (gain - floor * canaryTraffic * (u - 1)) / phi)
        }
        return best
    }

    /// The seconds until the e-value is expected to cross 1/level with probability Φ(z); infinite when it does not grow.
    public static func seconds(growth: Double, level: Double, z: Double, side: Side) -> Double {
        if growth <= 0 { return .infinity }
        let grid = side == .fail ? RatioGrid.fail : .pass
        let need = logarithm(1 / level) + grid.logCount + (side == .fail ? logarithm(2) : 0)
        let root = (z * squareRoot(2) + squareRoot(2 * z * z + 4 * need)) / 2
        return root * root / growth
    }

    /// What is forecast.
    public enum Side: String, Sendable, Hashable, Codable, CaseIterable {
        /// Proof of a regression.
        case fail
        /// Exclusion of one.
        case pass
    }
}
