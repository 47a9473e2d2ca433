/// The conditional likelihood-ratio e-process "given that an event happened, was it on the canary side?", block by block.
///
/// For a multiple r of the boundary ρ and the split a = nc/n0: u = r(1+ρa)/(1+ρra), v = u/r, and a block's
/// log e = (yc·log u + y0·log v − ε·nc·(u−1)) / φ. Its expectation is at most 1 while pc ≤ ρ·p0 + ε (r > 1) or pc ≥ ρ·p0 + ε (r < 1),
/// whatever p0 is in that block, for Poisson or binomial counts and φ = 1, and for bursts of at most φ events on one side.
/// Sums are taken in the order of blocks and grid, so the same blocks give the same bits.
public enum EValue {
    /// The logarithm of the mixture over the grid without onsets: for the pass side and for intervals.
    ///
    /// - Parameters:
    ///   - blocks: The blocks; unusable ones count for nothing.
    ///   - grid: The multiples of the boundary.
    ///   - floor: ε, an absolute difference of rates that is allowed on top of the boundary.
    ///   - phi: The overdispersion factor, at least 1.
    ///   - boundary: One boundary for all blocks, or nil for their own.
    public static func plain(
        _ blocks: [Block], grid: RatioGrid, floor: Double, phi: Double, boundary: Double? = nil
    ) -> Double {
        var sums = [Double](repeating: 0, count: grid.multiples.count)
        for block in blocks where block.isUsable {
            addTerms(of: block, rho: boundary ?? block.boundary, grid: grid, floor: floor, phi: phi, to: &sums)
        }
        return logSumExp(sums) - grid.logCount
    }

    /// The logarithm of the mixture over the fail grid and over the block at which the regression began.
    ///
    /// Σ_k w_k Π_{j≥k} e_j is taken as T_n + log Σ_k exp(log w_k − T_{k−1}) with the running sums T of log e: one exponential a term.
    public static func restart(
        _ blocks: [Block], floor: Double, phi: Double, boundary: Double? = nil, onset: OnsetPrior = OnsetPrior()
    ) -> Double {
        let grid = RatioGrid.fail
        let running = runningSums(blocks, grid: grid, floor: floor, phi: phi, boundary: boundary)
        let size = grid.multiples.count
        let count = running.count / size - 1
        guard count > 0 else { return 0 }
        let weights = onset.logWeights(count)
        let rest = onset.logRest(count)
        var terms: [Double] = []
        terms.reserveCapacity(size)
        for j in 0..<size {
            var high = -Double.infinity
            for k in 0..<count { high = max(high, weights[k] - running[k * size + j]) }
            var sum = 0.0
            for k in 0..<count {
                let x = weights[k] - running[k * size + j] - high
                // Below e^-45 a term cannot change the sum, which is at least 1.
                if x > -45 { sum += exponential(x) }
            }
            terms.append(logAddExp(running[count * size + j] + high + logarithm(sum), rest))
        }
        return logSumExp(terms) - grid.logCount
    }

    /// The most likely beginning of a regression: the index of its first usable block and its multiple of the boundary.
    public static func onset(
        _ blocks: [Block], floor: Double, phi: Double, boundary: Double? = nil, onset: OnsetPrior = OnsetPrior()
    ) -> (block: Int, multiple: Double) {
        let grid = RatioGrid.fail
        let usable = blocks.filter(\.isUsable)
        let weights = onset.logWeights(usable.count)
        var best = -Double.infinity
        var result = (block: 0, multiple: grid.multiples[0])
        var terms = [Double](repeating: 0, count: grid.multiples.count)
        var bests = [(value: Double, block: Int)](repeating: (-.infinity, 0), count: terms.count)
        for k in usable.indices.reversed() {
            let block = usable[k]
            addTerms(of: block, rho: boundary ?? block.boundary, grid: grid, floor: floor, phi: phi, to: &terms)
            for j in terms.indices where terms[j] + weights[k] > bests[j].value { bests[j] = (terms[j] + weights[k], k) }
        }
        for (j, candidate) in bests.enumerated() where candidate.value > best {
            best = candidate.value
            result = (candidate.block, grid.multiples[j])
        }
        return result
    }

    /// The logarithm of the weighted mean of e-values: an e-value of the family under any dependence (Vovk and Wang 2021).
    /// Weights sum to 1; members of weight 0 count for nothing.
    public static func family(_ logEs: [Double], weights: [Double]) -> Double {
        logSumExp(zip(weights, logEs).filter { $0.0 > 0 }.map { logarithm($0.0) + $0.1 })
    }

    /// Row k holds, for each multiple, the sum of log e over the first k usable blocks.
    private static func runningSums(
        _ blocks: [Block], grid: RatioGrid, floor: Double, phi: Double, boundary: Double?
    ) -> [Double] {
        let size = grid.multiples.count
        var sums = [Double](repeating: 0, count: size)
        var rows = sums
        rows.reserveCapacity(size * (blocks.count + 1))
        for block in blocks where block.isUsable {
            addTerms(of: block, rho: boundary ?? block.boundary, grid: grid, floor: floor, phi: phi, to: &sums)
            rows.append(contentsOf: sums)
        }
        return rows
    }

    /// Adds one block's log e for each multiple of the grid: one logarithm each, as log u = log r + log v.
    @inline(__always)
    private static func addTerms(
        of block: Block, rho: Double, grid: RatioGrid, floor: Double, phi: Double, to sums: inout [Double]
    ) {
        let reach = rho * block.split
        let logBase = logarithm(1 + reach)
        let events = block.events
        let allowance = floor * block.canaryExposure
        for j in grid.multiples.indices {
            let r = grid.multiples[j]
            let denominator = 1 + r * reach
            let logV = logBase - logarithm(denominator)
            var term = block.canaryEvents * grid.logarithms[j] + events * logV
            if allowance != 0 { term -= allowance * (r * (1 + reach) / denominator - 1) }
            sums[j] += term / phi
        }
    }
}
