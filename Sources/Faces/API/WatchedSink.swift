internal import SerinLocks

/// Passes the parts of an answer on for as long as its reader may have them, who is asked about again now and then.
final class WatchedSink: ResponseSink {
    private let sink: any ResponseSink
    private let pause: Duration
    private let mayRead: @Sendable () async -> Bool
    private let askedAt = Locked(ContinuousClock().now)

    /// - Parameters:
    ///   - pause: How long an answer stays good.
    ///   - mayRead: Whether the reader may still have it.
    init(_ sink: any ResponseSink, every pause: Duration, mayRead: @escaping @Sendable () async -> Bool) {
        self.sink = sink
        self.pause = pause
        self.mayRead = mayRead
    }

    func send(_ bytes: [UInt8]) async -> Bool {
        let now = ContinuousClock().now
        if now - askedAt.withLock({ $0 }) >= pause {
            guard await mayRead() else { return false }
            askedAt.withLock { $0 = now }
        }
        return await sink.send(bytes)
    }
}
