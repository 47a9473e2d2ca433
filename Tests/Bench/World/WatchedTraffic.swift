internal import SerinLocks
internal import SerinModel
internal import SerinPorts

/// A real driver that notes when a weight was read back.
final class WatchedTraffic: Traffic {
    private let driver: any Traffic
    private let zeroAt = Locked<ContinuousClock.Instant?>(nil)
    private let last = Locked<Weight?>(nil)

    init(_ driver: any Traffic) { self.driver = driver }

    var name: String { driver.name }
    var settleTime: SerinModel.Duration { driver.settleTime }

    /// The first time since `forget` at which 0 was read back.
    var zeroConfirmedAt: ContinuousClock.Instant? { zeroAt.withLock { $0 } }
    /// What was read last.
    var weight: Weight? { last.withLock { $0 } }

    func forget() { zeroAt.withLock { $0 = nil } }

    func read(deadline: SerinModel.Duration) async throws(Failure) -> WeightReading {
        let reading = try await driver.read(deadline: deadline)
        let now = ContinuousClock().now
        last.withLock { $0 = reading.weight }
        if reading.weight == .zero { zeroAt.withLock { if $0 == nil { $0 = now } } }
        return reading
    }

    func apply(_ weight: Weight, expected: WeightReading?, deadline: SerinModel.Duration) async throws(Failure) {
        try await driver.apply(weight, expected: expected, deadline: deadline)
    }

    func zero(deadline: SerinModel.Duration) async throws(Failure) { try await driver.zero(deadline: deadline) }

    func counts(deadline: SerinModel.Duration) async throws(Failure) -> TrafficCounts? {
        try await driver.counts(deadline: deadline)
    }

    func preflight(deadline: SerinModel.Duration) async throws(Failure) { try await driver.preflight(deadline: deadline) }
}
