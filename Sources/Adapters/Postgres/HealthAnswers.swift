internal import SerinDatabase
internal import SerinLocks
internal import SerinModel

/// From readings to values.
extension PostgresHealth {
    typealias Look = Result<NamedReplica, DatabaseError>

    /// Every signal without a value.
    func noData(_ detail: String, failures: [Failure]) -> DatabaseReading {
        DatabaseReading(values: signals.map { DatabaseValue($0, nil, detail: detail) }, failures: failures)
    }

    /// What is known when the primary cannot be read. A refusal because every connection is taken is itself a value.
    func answer(to error: DatabaseError, replicas: [Look]) -> DatabaseReading {
        var reading = noData(error.failure.message, failures: [error.failure] + failures(of: replicas))
        if error.state == SQLState.tooManyConnections {
            reading.values = reading.values.map { value in
                value.signal == .connectionSaturation
                    ? DatabaseValue(.connectionSaturation, 1, detail: error.failure.message) : value
            }
        }
        return reading
    }

    /// The failures among looks at replicas, and grants that are missing there.
    func failures(of looks: [Look]) -> [Failure] {
        looks.compactMap { look in
            switch look {
            case .success: nil
            case .failure(let error): error.failure
            }
        }
    }

    /// The values of a primary that answered.
    func assemble(_ reading: PrimaryReading, replicas: [Look]) -> DatabaseReading {
        var values = reading.values
        let lags = lagOfEach(reading, replicas: replicas)
        for (signal, path) in [
            (DatabaseSignal.replicationLag, \ReplicationLag.seconds), (.replicationLagBytes, \ReplicationLag.bytes),
        ] where signals.contains(signal) {
            guard let lags else { continue }
            let worst = ReplicationLag.worst(lags, by: path)
            values[signal] = DatabaseValue(
                signal, worst?[keyPath: path],
                detail: worst?.detail ?? "no replica is attached and the policy names none: name the replicas, or drop this limit"
            )
        }
        if let counters = reading.deadlocks { values[.deadlocks] = history.withLock { $0.countDeadlocks(counters) } }
        let reason = reading.failures.first?.message ?? "\(reading.name) did not tell"
        return DatabaseReading(
            values: signals.map { values[$0] ?? DatabaseValue($0, nil, detail: reason) },
            failures: reading.failures + failures(of: replicas))
    }

    private func lagOfEach(_ reading: PrimaryReading, replicas looks: [Look]) -> [ReplicationLag]? {
        guard hasNamedReplicas else { return history.withLock { $0.judgeAttached(reading) } }
        guard let position = reading.facts.position else { return nil }
        return looks.map { look in
            switch look {
            case .success(let replica):
                let bound = history.withLock { history in
                    replica.replayed.flatMap { history.secondsAtMost(replayed: $0, at: reading.readAt) }
                }
                return replica.lag(position: position, system: reading.facts.system, atMost: bound)
            case .failure(let error):
                return error.isAbsence ? .broken(error.failure.message) : .unknown(error.failure.message)
            }
        }
    }
}

extension DatabaseError {
    /// No answer before the caller's deadline.
    static func silence(_ name: String) -> DatabaseError {
        DatabaseError(
            failure: Failure(.transient, "cannot ask \(name): no answer in time"), state: nil, isConnectionLost: true)
    }
}

extension NamedReplica {
    /// Looks at the server.
    init(_ connection: Connection, limit: TimeLimit) throws(DatabaseError) {
        let facts = ServerFacts(try connection.query(HealthQueries.facts, limit: limit).first)
        if let failure = facts.missingGrant(on: connection.name) {
            throw DatabaseError(failure: failure, state: nil, isConnectionLost: false)
        }
        self.init(name: connection.name, facts: facts, row: try connection.query(HealthQueries.replay, limit: limit).first)
    }

    /// Whether it works and is behind, so that a second look can tell by how much.
    func isFollowing(position: Double) -> Bool {
        facts.isInRecovery && !isPaused && receiver != nil && (replayed ?? position) < position
    }

    /// Looks again until it has passed the position, for at most half a second.
    func awaiting(
        _ position: Double, since start: ContinuousClock.Instant, _ connection: Connection, limit: TimeLimit
    ) throws(DatabaseError) -> NamedReplica {
        var latest = self
        for _ in 0..<5 where latest.isFollowing(position: position) && ContinuousClock.now + .milliseconds(200) < limit {
            pause(milliseconds: 100)
            let row = try connection.query(HealthQueries.replay, limit: limit).first
            latest = NamedReplica(name: name, facts: facts, row: row)
            if let replayed = latest.replayed, replayed >= position {
                latest.caughtUpWithin = seconds(ContinuousClock.now - start)
            }
        }
        return latest
    }
}
