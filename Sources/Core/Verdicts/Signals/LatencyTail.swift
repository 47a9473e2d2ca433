/// The observations of a classic histogram above each finite edge: what a latency signal is tested on.
public struct LatencyTail: Sendable, Hashable, Codable {
    /// Finite edges in seconds, ascending.
    public var edges: [Double]
    /// Observations above each edge.
    public var above: [Double]
    /// All observations.
    public var total: Double

    /// A tail; as many counts as edges.
    public init(edges: [Double], above: [Double], total: Double) {
        self.edges = edges
        self.above = above
        self.total = total
    }

    /// The share of observations above `x` seconds, 0 < x. Inside a bucket a quadratic through three edges in (log x, log share) when
    /// the next edge has `minCount` observations above it, else the chord; below the first edge linear from 1 at 0. The result never
    /// leaves the range that the bucket allows; beyond the last edge it is the last share.
    public func survival(_ x: Double, minCount: Double = 10) -> Double {
        guard let last = edges.last, let lastAbove = above.last else { return 0 }
        if x >= last { return lastAbove / total }
        if x <= edges[0] { return 1 - (1 - above[0] / total) * x / edges[0] }
        var i = 0
        while edges[i + 1] < x { i += 1 }
        let share0 = above[i] / total
        let share1 = above[i + 1] / total
        if above[i + 1] < 1 { return share0 + (share1 - share0) * (x - edges[i]) / (edges[i + 1] - edges[i]) }
        let logX = logarithm(x)
        let x0 = logarithm(edges[i])
        let x1 = logarithm(edges[i + 1])
        let g0 = logarithm(share0)
        let g1 = logarithm(share1)
        let slope = (g1 - g0) / (x1 - x0)
        var g = g0 + (g1 - g0) * (logX - x0) / (x1 - x0)
        if i + 2 < edges.count, above[i + 2] >= minCount {
            let x2 = logarithm(edges[i + 2])
            let next = (logarithm(above[i + 2] / total) - g1) / (x2 - x1)
            g = g0 + slope * (logX - x0) + (next - slope) / (x2 - x0) * (logX - x0) * (logX - x1)
        }
        return min(share0, max(share1, exponential(g)))
    }

    /// The edge whose share above is nearest to 1−quantile in logarithm; nil when no edge splits the observations.
    public func edge(nearest quantile: Double) -> Int? {
        var best = Double.infinity
        var result: Int?
        let target = logarithm(1 - quantile)
        for (i, count) in above.enumerated() where count > 0 && count < total {
            let share = logarithm(count / total) - target
            if abs(share) < best {
                best = abs(share)
                result = i
            }
        }
        return result
    }

    /// The permitted ratio of shares above an edge: how many times more requests would exceed it if each were slower by `tolerance`
    /// (relative) or `slack` seconds, whichever allows more.
    public func boundary(edge: Int, tolerance: Double, slack: Double) -> Double {
        let b = edges[edge]
        let x = max(0, min(b / (1 + tolerance), b - slack))
        return (x <= 0 ? 1 : survival(x)) / (above[edge] / total)
    }

    /// The common factor of slow-down that would multiply the share above an edge by `ratio`.
    public func slowdown(edge: Int, ratio: Double) -> Double {
        guard let first = edges.first, let last = edges.last else { return 1 }
        let target = ratio * above[edge] / total
        var low = logarithm(first * 1e-3)
        var high = logarithm(last)
        for _ in 0..<100 {
            let middle = 0.5 * (low + high)
            if survival(exponential(middle)) > target { low = middle } else { high = middle }
        }
        return edges[edge] / exponential(0.5 * (low + high))
    }
}
