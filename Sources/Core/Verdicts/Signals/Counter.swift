/// Raw cumulative counters.
public enum Counter {
    /// One raw sample.
    public struct Sample: Sendable, Hashable, Codable {
        /// When it was taken, in seconds.
        public var time: Double
        /// The cumulative value.
        public var value: Double

        /// A sample.
        public init(time: Double, value: Double) {
            self.time = time
            self.value = value
        }
    }

    /// The increase in each interval (bounds[k], bounds[k+1]], without extrapolation. A fall is a reset: the new value counts from 0,
    /// so it is to be used only where resets are confirmed. The first sample is a base line unless the series was seen to be born. Nil
    /// is a gap: no sample at most `stale` seconds old at one of the two bounds.
    public static func increments(
        _ samples: [Sample], bounds: [Double], stale: Double, isBornInside: Bool = false
    ) -> [Double?] {
        zip(bounds, bounds.dropFirst()).map { from, to in
            let before = samples.last { $0.time <= from }
            let inside = samples.filter { from < $0.time && $0.time <= to }
            guard let last = inside.last ?? before, to - last.time <= stale else { return nil }
            var previous = isBornInside ? 0 : inside.first?.value ?? 0
            if let before {
                if from - before.time > stale { return nil }
                previous = before.value
            }
            var increase = 0.0
            for sample in inside {
                increase += sample.value >= previous ? sample.value - previous : sample.value
                previous = sample.value
            }
            return increase
        }
    }
}
