internal import SerinLocks
public import SerinModel
public import SerinPorts

/// How the pauses between tries of one thing grow.
public struct Backoff: Sendable, Hashable {
    /// The longest first pause.
    public var first: Duration
    /// The longest pause of all.
    public var longest: Duration

    /// Pauses that double from `first` to `longest`.
    public init(first: Duration, longest: Duration) {
        self.first = first
        self.longest = longest
    }

    /// The pause after so many failures in a row, from 1: between half of the doubled first pause and all of it, where `unit`
    /// (0 to 1) says.
    func pause(after failures: Int, unit: Double) -> Duration {
        // 2 to the 20th is more than any longest pause has of first ones.
        let doubled = first.milliseconds << Int64(min(max(failures, 1) - 1, 20))
        let ceiling = min(doubled, longest.milliseconds)
        return Duration(milliseconds: ceiling / 2 + Int64(Double(ceiling - ceiling / 2) * min(max(unit, 0), 1)))
    }
}

/// What all rollouts of one process together may retry: a bucket of tries that fills up steadily.
///
/// Lowering a weight is never refused a try: without budget it only waits its longest pause.
public final class RetryBudget: Sendable {
    private struct Bucket: Sendable {
        /// Tries left, in milliseconds of filling.
        var filled: Int64
        var at: Instant
    }

    private let clock: any Clock
    private let unit: @Sendable () -> Double
    private let perTry: Duration
    private let bucket: Locked<Bucket>
    private let size: Int64

    /// A full bucket.
    ///
    /// - Parameters:
    ///   - clock: Fills it.
    ///   - size: How many tries it holds: 20.
    ///   - perTry: The time that fills in one try: 500 ms.
    ///   - unit: Numbers from 0 to 1 by chance, so that what failed together is not tried again together.
    public init(
        clock: any Clock, size: Int = 20, perTry: Duration = .milliseconds(500), unit: @escaping @Sendable () -> Double
    ) {
        self.clock = clock
        self.unit = unit
        self.perTry = perTry
        self.size = Int64(size) * perTry.milliseconds
        bucket = Locked(Bucket(filled: self.size, at: clock.now()))
    }

    /// The pause before the next try of something that must not be given up.
    public func pause(_ backoff: Backoff, after failures: Int) -> Duration {
        takeTry() ? backoff.pause(after: failures, unit: unit()) : backoff.longest
    }

    /// The pause before the next try of something that may be given up; nil when the budget is used up.
    func pauseIfAllowed(_ backoff: Backoff, after failures: Int) -> Duration? {
        takeTry() ? backoff.pause(after: failures, unit: unit()) : nil
    }

    private func takeTry() -> Bool {
        let now = clock.now()
        return bucket.withLock { bucket in
            bucket.filled = min(size, bucket.filled + max(0, (now - bucket.at).milliseconds))
            bucket.at = max(now, bucket.at)
            guard bucket.filled >= perTry.milliseconds else { return false }
            bucket.filled -= perTry.milliseconds
            return true
        }
    }
}
