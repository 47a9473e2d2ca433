internal import SerinModel

/// What later readings are compared with: the primary, the standbys and the counters as they were first seen.
struct HealthHistory: Sendable {
    /// What was read first, to be journaled; nil before anything was.
    private(set) var start: DatabaseStart?
    private var deadlocks: DeadlockCount
    /// Where the primary's log was, oldest first; enough for an hour of polls every 15 s.
    private var positions: [(at: ContinuousClock.Instant, bytes: Double)] = []

    /// A history that goes on from where an earlier controller's ended.
    init(from start: DatabaseStart? = nil) {
        self.start = start
        deadlocks = DeadlockCount(from: start)
    }

    /// Remembers who the primary is. A failure when it is another one, or has restarted, since the first reading: its counters
    /// began again and its cache is cold, so nothing can be compared.
    mutating func recognise(_ reading: PrimaryReading) -> Failure? {
        if let position = reading.facts.position {
            positions.append((reading.readAt, position))
            if positions.count > 240 { positions.removeFirst() }
        }
        guard let start else {
            start = DatabaseStart(started: reading.facts.started, system: reading.facts.system)
            return nil
        }
        if start.system != reading.facts.system {
            return Failure(.conflict, "cannot judge \(reading.name): it is another database system than at the first reading")
        }
        if start.started != reading.facts.started {
            return Failure(
                .conflict, "cannot judge \(reading.name): it restarted at \(reading.facts.started), after the first reading",
                hint: "find out why it restarted, then start the rollout again")
        }
        return nil
    }

    /// Deadlocks since the first reading.
    mutating func countDeadlocks(_ counters: [DeadlockCount.Counter]) -> DatabaseValue {
        let count = deadlocks.advance(counters)
        start?.deadlocks = counters.sorted { $0.database < $1.database }
        start?.deadlocksSince = deadlocks.total
        if let count {
            return DatabaseValue(.deadlocks, count, detail: "since the first reading")
        }
        return DatabaseValue(.deadlocks, nil, detail: "the statistics were reset since the reading before")
    }

    /// The lag of every standby that was attached at the first reading.
    mutating func judgeAttached(_ reading: PrimaryReading) -> [ReplicationLag]? {
        guard let standbys = reading.standbys, let position = reading.facts.position else { return nil }
        var found: [AttachedStandby.Identity: [AttachedStandby]] = [:]
        for standby in standbys { found[standby.identity, default: []].append(standby) }
        let expected =
            start?.standbys
            ?? found.sorted { $0.key < $1.key }.map { DatabaseStart.Standbys(name: $0.key.name, count: $0.value.count) }
        start?.standbys = expected
        return expected.flatMap { expected in
            let identity = AttachedStandby.Identity(name: expected.name)
            let present = (found[identity] ?? []).prefix(expected.count)
            let missing = expected.count - present.count
            return present.map { standby in
                standby.lag(
                    position: position, reportInterval: reading.facts.reportInterval,
                    atLeast: secondsBehind(replayed: standby.replayed ?? 0, at: reading.readAt))
            } + (missing > 0 ? [.broken("\(identity.name) is not attached any more")] : [])
        }
    }

    /// The time since the primary was first seen beyond what was replayed: the lag is at least that.
    private func secondsBehind(replayed: Double, at now: ContinuousClock.Instant) -> Double {
        positions.first { $0.bytes > replayed }.map { seconds(now - $0.at) } ?? 0
    }

    /// The time since the primary was last seen at a position that was replayed: the lag is at most that; nil when there is none.
    func secondsAtMost(replayed: Double, at now: ContinuousClock.Instant) -> Double? {
        positions.last { $0.bytes <= replayed }.map { seconds(now - $0.at) }
    }
}
