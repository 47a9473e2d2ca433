/// Wall time of repeated work, in microseconds.
struct Timing: Sendable {
    /// One for each run, ascending.
    private(set) var samples: [Double]

    init(_ samples: [Double]) { self.samples = samples.sorted() }

    /// Runs the body so many times, after a tenth of that to warm up.
    static func of(_ runs: Int, _ body: () throws -> Void) rethrows -> Timing {
        let clock = ContinuousClock()
        for _ in 0..<max(1, runs / 10) { try body() }
        var samples: [Double] = []
        samples.reserveCapacity(runs)
        for _ in 0..<runs {
            let start = clock.now
            try body()
            samples.append((clock.now - start).microseconds)
        }
        return Timing(samples)
    }

    var median: Double { quantile(0.5) }

    /// The smallest sample that at least this share does not exceed; NaN without samples.
    func quantile(_ share: Double) -> Double {
        guard !samples.isEmpty else { return .nan }
        let rank = Int((share * Double(samples.count)).rounded(.up))
        return samples[min(samples.count, max(1, rank)) - 1]
    }
}

extension Swift.Duration {
    var microseconds: Double { Double(components.seconds) * 1e6 + Double(components.attoseconds) / 1e12 }
    var milliseconds: Double { microseconds / 1000 }
}

/// Keeps a result from being optimised away.
@inline(never) func keep<Value>(_ value: Value) { withExtendedLifetime(value) {} }
