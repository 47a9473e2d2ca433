extension Interval {
    /// The anytime-valid bounds of the ratio of rates, canary over control: the lower one holds at level 1−alpha, the upper one at
    /// 1−beta, at every moment of a run at once. Both e-values without floor are inverted over 1e-4…1e4; a bound that is not reached
    /// is 0 or infinite.
    public init(of blocks: [Block], phi: Double, alpha: Double, beta: Double) {
        let fail = logarithm(1 / alpha)
        let pass = logarithm(1 / beta)
        let range = (from: logarithm(1e-4), to: logarithm(1e4))
        // Both bounds are near the estimate; where there is none, the middle is as good.
        var start = 0.0
        if let estimate = mantelHaenszel(blocks), estimate > 1e-4, estimate < 1e4 { start = logarithm(estimate) }
        let low = Interval.crossing(of: range, near: start, isDecreasing: true) { x in
            EValue.plain(blocks, grid: .fail, floor: 0, phi: phi, boundary: exponential(x)) - fail
        }
        let high = Interval.crossing(of: range, near: start, isDecreasing: false) { x in
            EValue.plain(blocks, grid: .pass, floor: 0, phi: phi, boundary: exponential(x)) - pass
        }
        self.init(low: low.map(exponential) ?? 0, high: high.map(exponential) ?? .infinity)
    }

    private typealias Point = (x: Double, y: Double)

    /// Where a monotone function crosses zero, looked for from a starting point outwards; the end at which it is positive when it
    /// does not, nil when it is negative everywhere.
    private static func crossing(
        of range: (from: Double, to: Double), near start: Double, isDecreasing: Bool, _ function: (Double) -> Double
    ) -> Double? {
        let sign = isDecreasing ? -1.0 : 1.0
        func point(_ x: Double) -> Point { (x, sign * function(x)) }
        var near = point(start)
        let isRising = near.y < 0
        let end = isRising ? range.to : range.from
        var step = 0.25
        while (near.y < 0) == isRising {
            if near.y == 0 { return near.x }
            // The end was reached: positive there is unbounded, negative everywhere is nothing.
            if near.x == end { return isRising == isDecreasing ? end : nil }
            let far = point(isRising ? min(end, near.x + step) : max(end, near.x - step))
            if (far.y < 0) != isRising { return isRising ? root(from: near, to: far, point) : root(from: far, to: near, point) }
            near = far
            step *= 2
        }
        return near.x
    }

    /// The zero of an increasing function between two points, to 1e-13, by the ITP method (Oliveira and Takahashi 2020): as fast as
    /// a secant where that works, and never more than one step behind a bisection.
    private static func root(from: Point, to: Point, _ point: (Double) -> Point) -> Double {
        let precision = 0.5e-13
        let slope = 0.2 / (to.x - from.x)
        var (low, high) = (from, to)
        // The widest half-interval from which a bisection would still end in time.
        var reach = 2 * precision
        while reach < to.x - from.x { reach *= 2 }
        while high.x - low.x > 2 * precision {
            let middle = 0.5 * (low.x + high.x)
            let width = high.x - low.x
            let secant = (high.y * low.x - low.y * high.x) / (high.y - low.y)
            let side = middle < secant ? -1.0 : 1.0
            let push = slope * width * width
            let drawn = push <= (middle - secant).magnitude ? secant + side * push : middle
            let radius = max(0, reach - 0.5 * width)
            let next = point((drawn - middle).magnitude <= radius ? drawn : middle - side * radius)
            if next.y > 0 { high = next } else if next.y < 0 { low = next } else { return next.x }
            reach *= 0.5
        }
        return 0.5 * (low.x + high.x)
    }
}
