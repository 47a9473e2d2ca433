internal import Glibc
internal import SerinDatabase
internal import SerinModel

/// What one look at the primary brought.
struct PrimaryReading: Sendable {
    /// Who it is.
    var facts: ServerFacts
    /// The name in messages.
    var name: String
    /// When its position was read.
    var readAt: ContinuousClock.Instant
    /// The values that need no memory of earlier looks.
    var values: [DatabaseSignal: DatabaseValue] = [:]
    /// The standbys attached; nil when not asked or not known.
    var standbys: [AttachedStandby]?
    /// The deadlock counters; nil when not asked or not known.
    var deadlocks: [DeadlockCount.Counter]?
    /// What could not be read, although the server answers.
    var failures: [Failure] = []

    /// Looks at the server. Throws when it does not answer at all; a single failed query is part of the reading.
    init(
        _ connection: Connection, signals: Set<DatabaseSignal>, watchesAttached: Bool, limit: TimeLimit
    ) throws(DatabaseError) {
        facts = ServerFacts(try connection.query(HealthQueries.facts, limit: limit).first)
        readAt = ContinuousClock.now
        name = connection.name
        if let failure = facts.missingGrant(on: name) { throw refusal(failure) }
        if facts.isInRecovery {
            throw refusal(
                Failure(
                    .conflict, "cannot judge \(name): it is a standby now, no primary",
                    hint: "point the connection string at the primary"))
        }
        try readLocks(connection, signals, limit)
        try readTransactions(connection, signals, limit)
        try readConnections(connection, signals, limit)
        try readSlots(connection, signals, limit)
        if signals.contains(.deadlocks) {
            deadlocks = try ask(connection, HealthQueries.deadlocks, limit)?.values.compactMap { row in
                guard row.count >= 3, let count = row[1].flatMap(Double.init) else { return nil }
                return DeadlockCount.Counter(database: row[0] ?? "", count: count, reset: row[2] ?? "")
            }
        }
        if watchesAttached, !signals.isDisjoint(with: [.replicationLag, .replicationLagBytes]) {
            try readStandbys(connection, limit)
        }
    }

    private func refusal(_ failure: Failure) -> DatabaseError {
        DatabaseError(failure: failure, state: nil, isConnectionLost: false)
    }

    /// The rows; nil when this one query failed.
    private mutating func ask(_ connection: Connection, _ sql: String, _ limit: TimeLimit) throws(DatabaseError) -> Rows? {
        do throws(DatabaseError) { return try connection.query(sql, limit: limit) } catch {
            if error.isConnectionLost { throw error }
            failures.append(error.failure)
            return nil
        }
    }

    private mutating func set(_ signal: DatabaseSignal, _ value: Double?, _ detail: String) {
        values[signal] = DatabaseValue(signal, value, detail: detail)
    }

    private mutating func readLocks(
        _ connection: Connection, _ signals: Set<DatabaseSignal>, _ limit: TimeLimit
    ) throws(DatabaseError) {
        guard !signals.isDisjoint(with: [.blockedSessions, .longestLockWait, .ungrantedLocks]),
            let row = try ask(connection, HealthQueries.locks(version: connection.version), limit)?.first, row.count >= 5
        else { return }
        let root = row[4].map { "blocked by \($0)" } ?? ""
        set(.blockedSessions, row[0].flatMap(Double.init), root)
        // The start of a wait is NULL for an instant after it began; that is a wait of no time.
        set(
            .longestLockWait, row[1].flatMap(Double.init),
            row[3].map { "pid \($0) waits" + (root.isEmpty ? "" : ", \(root)") } ?? "")
        set(.ungrantedLocks, row[2].flatMap(Double.init), root)
    }

    private mutating func readTransactions(
        _ connection: Connection, _ signals: Set<DatabaseSignal>, _ limit: TimeLimit
    ) throws(DatabaseError) {
        guard !signals.isDisjoint(with: [.longestTransaction, .idleInTransaction]),
            let row = try ask(connection, HealthQueries.transactions, limit)?.first, row.count >= 4
        else { return }
        set(.longestTransaction, row[0].flatMap(Double.init) ?? 0, row[1] ?? "no open transaction")
        set(.idleInTransaction, row[2].flatMap(Double.init) ?? 0, row[3] ?? "no session idle in a transaction")
    }

    private mutating func readConnections(
        _ connection: Connection, _ signals: Set<DatabaseSignal>, _ limit: TimeLimit
    ) throws(DatabaseError) {
        guard signals.contains(.connectionSaturation),
            let row = try ask(connection, HealthQueries.connections, limit)?.first, row.count >= 2,
            let used = row[0].flatMap(Double.init), let allowed = row[1].flatMap(Double.init), allowed > 0
        else { return }
        set(.connectionSaturation, min(1, used / allowed), "\(whole(used)) of \(whole(allowed)) connections")
    }

    private mutating func readSlots(
        _ connection: Connection, _ signals: Set<DatabaseSignal>, _ limit: TimeLimit
    ) throws(DatabaseError) {
        guard signals.contains(.slotRetained), let rows = try ask(connection, HealthQueries.slots, limit) else { return }
        guard let row = rows.values.first, row.count >= 4, let slot = row[0] else {
            return set(.slotRetained, 0, "no replication slot")
        }
        let status = row[1] ?? ""
        let activity = row[2] == "t" ? "active" : "inactive"
        let retained = status == "lost" ? ReplicationLag.beyondEveryLimit : row[3].flatMap(Double.init) ?? 0
        set(.slotRetained, retained, "slot \(slot) is \(activity), \(status.isEmpty ? "nothing reserved" : status)")
    }

    /// Reads the standbys, and again for half a second while one is behind without a known lag: a busy replica passes the position
    /// read first, a frozen one does not.
    private mutating func readStandbys(_ connection: Connection, _ limit: TimeLimit) throws(DatabaseError) {
        guard let position = facts.position else { return }
        var found = try ask(connection, HealthQueries.standbys, limit)?.values.compactMap { AttachedStandby($0) }
        for _ in 0..<5 {
            guard let current = found, current.contains(where: { $0.needsSecondLook(position: position) }),
                ContinuousClock.now + .milliseconds(200) < limit
            else { break }
            pause(milliseconds: 100)
            let elapsed = seconds(ContinuousClock.now - readAt)
            found = try ask(connection, HealthQueries.standbys, limit)?.values.compactMap { AttachedStandby($0) }.map { standby in
                var standby = standby
                if let replayed = standby.replayed, replayed >= position { standby.caughtUpWithin = elapsed }
                return standby
            }
        }
        standbys = found
    }
}

/// Blocks the calling thread, which must be a server's own.
func pause(milliseconds: Int32) { poll(nil, 0, milliseconds) }

/// A length of time in seconds.
func seconds(_ duration: Swift.Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
}
