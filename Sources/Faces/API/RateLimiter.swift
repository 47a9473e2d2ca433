internal import SerinLocks

/// How many requests one address, one local user and one principal may send.
public struct RateLimits: Sendable, Hashable {
    /// One allowance.
    public struct Allowance: Sendable, Hashable {
        /// How many at once.
        public var burst: Double
        /// How many a second, lastingly.
        public var rate: Double

        /// An allowance.
        public init(burst: Double, rate: Double) {
            self.burst = burst
            self.rate = rate
        }
    }

    /// For everything usual.
    public var usual = Allowance(burst: 600, rate: 100)
    /// For halts, on its own.
    public var halting = Allowance(burst: 100, rate: 20)
    /// How many senders are remembered; the quietest are forgotten first.
    public var senders = 8192

    /// The defaults.
    public init() {}
}

/// Token buckets, one a sender and allowance. What one sender uses is never taken from another's, nor from its own halts.
public final class RateLimiter: Sendable {
    private struct Key: Hashable, Sendable {
        var sender: String
        var allowance: Route.Allowance
    }

    private struct Bucket: Sendable {
        var tokens: Double
        var at: ContinuousClock.Instant
    }

    private let limits: RateLimits
    private let now: @Sendable () -> ContinuousClock.Instant
    private let buckets = Locked<[Key: Bucket]>([:])
    private let refusals = Locked<Int64>(0)

    /// A limiter.
    ///
    /// - Parameter now: The present moment, for tests.
    public init(
        _ limits: RateLimits = RateLimits(), now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock().now }
    ) {
        self.limits = limits
        self.now = now
    }

    /// How many requests were refused.
    public var refused: Int64 { refusals.withLock { $0 } }

    /// Counts a request that was refused elsewhere because there are too many.
    func noteRefusal() { refusals.withLock { $0 += 1 } }

    /// Takes a request from a sender's allowance, or says that there is none left.
    func take(from sender: String, _ allowance: Route.Allowance) throws(Problem) {
        let limit: RateLimits.Allowance
        switch allowance {
        case .usual: limit = limits.usual
        case .halting: limit = limits.halting
        case .none: return
        }
        let now = now()
        let wait: Double? = buckets.withLock { buckets in
            let key = Key(sender: sender, allowance: allowance)
            var bucket = buckets[key] ?? Bucket(tokens: limit.burst, at: now)
            bucket.tokens = min(limit.burst, bucket.tokens + Self.seconds(now - bucket.at) * limit.rate)
            bucket.at = now
            defer {
                buckets[key] = bucket
                if buckets.count > limits.senders { forget(&buckets) }
            }
            guard bucket.tokens >= 1 else { return (1 - bucket.tokens) / limit.rate }
            bucket.tokens -= 1
            return nil
        }
        guard let wait else { return }
        noteRefusal()
        var problem = Problem(.tooMany, "more requests than one sender may send", hint: "wait, and ask less often")
        problem.retryAfter = max(1, Int(wait.rounded(.up)))
        throw problem
    }

    /// Forgets the half that was quiet for longest: most of their allowances are full again.
    private func forget(_ buckets: inout [Key: Bucket]) {
        let times = buckets.values.map(\.at).sorted()
        let middle = times[times.count / 2]
        buckets = buckets.filter { $0.value.at > middle }
    }

    private static func seconds(_ duration: Swift.Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
