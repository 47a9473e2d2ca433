/// How many lengths of time were at most so long, for Prometheus.
public struct DurationHistogram: Sendable, Hashable {
    /// The upper edges in seconds, ascending; one without an end follows them.
    public let bounds: [Double]
    /// How many fell below each edge and not below the one before; one more than there are edges.
    public private(set) var counts: [Int64]
    /// All of them together, in seconds.
    public private(set) var sum = 0.0

    /// Nothing yet.
    ///
    /// - Parameter bounds: The upper edges in seconds, ascending.
    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = [Int64](repeating: 0, count: bounds.count + 1)
    }

    /// Takes one length in; one below zero counts as none.
    public mutating func add(_ length: Swift.Duration) {
        let seconds = max(0, Double(length.components.seconds) + Double(length.components.attoseconds) / 1e18)
        counts[bounds.firstIndex { seconds <= $0 } ?? bounds.count] += 1
        sum += seconds
    }
}
