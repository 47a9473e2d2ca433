internal import SerinModel
internal import SerinPolicies

/// The limits on the database, watched from poll to poll. A value that could not be read is never healthy.
struct DatabaseGate: Sendable, Hashable {
    /// How long a value may be unknown before it counts as beyond its limit, where the limit itself does not allow longer.
    static let grace = Duration.seconds(60)

    /// One limit and since when it is not met.
    fileprivate struct Watch: Sendable, Hashable {
        var limit: DatabaseLimit
        var baseline: Double?
        var exceededSince: Instant?
        var unknownSince: Instant?
    }

    private var watches: [Watch]
    /// What is out of its limits, in words; empty when nothing is.
    private(set) var sentence = ""

    init(policy: PostgresPolicy?) {
        watches = policy?.limits.map { Watch(limit: $0) } ?? []
    }

    /// Whether nothing is watched.
    var isEmpty: Bool { watches.isEmpty }

    /// Takes the values before the rollout; returns what refuses it.
    mutating func begin(_ reading: DatabaseReading?) -> [String] {
        var problems: [String] = []
        for index in watches.indices {
            let limit = watches[index].limit
            let found = reading?.values.first { $0.signal == limit.signal }
            watches[index].baseline = found?.value
            guard let value = found?.value, !value.isNaN else {
                problems.append("postgres \(limit.signal.rawValue): no data" + (found.map { detail($0) } ?? ""))
                continue
            }
            if let max = limit.max, value > max {
                problems.append(
                    "postgres \(limit.signal.rawValue) is \(amount(value)) before the rollout, above its limit \(amount(max))")
            }
        }
        return problems
    }

    /// Judges one poll.
    mutating func judge(_ reading: DatabaseReading?, at now: Instant) -> PollFindings.Database {
        var worst = PollFindings.Database.within
        sentence = ""
        for index in watches.indices {
            let limit = watches[index].limit
            let found = reading?.values.first { $0.signal == limit.signal }
            // A value that could not be read is no sign of recovery: a limit that was passed before stays passed since then.
            guard let value = found?.value, !value.isNaN else {
                let since = watches[index].unknownSince ?? now
                watches[index].unknownSince = since
                note("\(limit.signal.rawValue) is unknown since \(since.timeOfDay)" + (found.map { detail($0) } ?? ""))
                worst = worse(worst, now - since >= max(Self.grace, limit.lasting) ? .beyond : .unsure)
                continue
            }
            watches[index].unknownSince = nil
            guard let bound = watches[index].bound(for: value) else {
                watches[index].exceededSince = nil
                continue
            }
            let since = watches[index].exceededSince ?? now
            watches[index].exceededSince = since
            note(
                "\(limit.signal.rawValue) \(amount(value)) above \(amount(bound)) since \(since.timeOfDay)"
                    + (found.map { detail($0) } ?? ""))
            worst = worse(worst, now - since >= limit.lasting ? .beyond : .unsure)
        }
        return worst
    }

    private mutating func note(_ text: String) { sentence += sentence.isEmpty ? text : "; \(text)" }

    private func detail(_ value: DatabaseValue) -> String { value.detail.isEmpty ? "" : " (\(value.detail))" }

    private func worse(_ left: PollFindings.Database, _ right: PollFindings.Database) -> PollFindings.Database {
        if left == .beyond || right == .beyond { return .beyond }
        return left == .unsure || right == .unsure ? .unsure : .within
    }
}

extension DatabaseGate.Watch {
    /// The limit that a value is beyond; nil when it is within every one.
    fileprivate func bound(for value: Double) -> Double? {
        if let max = limit.max, value > max { return max }
        guard let ratio = limit.maxRatio else { return nil }
        // Twice nothing is nothing: the value before counts as at least the smallest amount worth a rollback.
        let bound = ratio * Swift.max(baseline ?? 0, limit.signal.smallest)
        return value > bound ? bound : nil
    }
}

extension DatabaseSignal {
    /// The value below which a ratio to the value before the rollout means nothing, in the signal's unit.
    fileprivate var smallest: Double {
        switch self {
        case .blockedSessions, .longestLockWait, .ungrantedLocks, .replicationLag, .longestTransaction, .idleInTransaction,
            .deadlocks:
            1
        case .replicationLagBytes, .slotRetained: 1_048_576
        case .connectionSaturation: 0.05
        }
    }
}

/// A number for people: no decimals from 100, one from 10, two below.
private func amount(_ value: Double) -> String { Numbers.short(value) }
