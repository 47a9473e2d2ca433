internal import SerinDatabase
internal import SerinLocks
public import SerinModel
public import SerinPolicies
public import SerinPorts

/// Reads the health of a Postgres primary and its replicas over libpq.
///
/// One connection to each server is kept open by a thread of its own, so that neither a full server nor a stopped one blinds or
/// blocks the reader. One instance serves one rollout: what it reads first, or an earlier one read, is what "since the start" means.
/// Versions 13 to 18.
public final class PostgresHealth: DatabaseHealth {
    /// Larger than any limit and still an exact number: the lag of a replica that is missing, frozen, paused or without a
    /// receiver, and what a lost slot keeps back.
    public static let beyondEveryLimit = ReplicationLag.beyondEveryLimit

    let signals: Set<DatabaseSignal>
    private let primary: ServerThread
    private let replicas: [ServerThread]
    let history: Locked<HealthHistory>

    /// Starts a thread for each server; nothing is connected before the first reading.
    ///
    /// `secret` gives the connection string that a reference stands for. It is called at each connection, on the server's thread,
    /// and its result is shown nowhere. `start` is what an earlier controller of the rollout compared with.
    public init(
        policy: PostgresPolicy, start: DatabaseStart? = nil,
        secret: @escaping @Sendable (SecretReference) throws(Failure) -> String
    ) throws(Failure) {
        history = Locked(HealthHistory(from: start))
        signals = Set(policy.limits.map(\.signal))
        primary = try ServerThread(policy.primary, role: "primary", lookup: secret)
        var replicas: [ServerThread] = []
        for reference in policy.replicas { replicas.append(try ServerThread(reference, role: "replica", lookup: secret)) }
        self.replicas = replicas
    }

    /// Reads the signals that the policy limits, all servers at once. A signal that could not be read has no value and says why.
    public func read(deadline: Duration) async -> DatabaseReading {
        let start = ContinuousClock.now
        // The threads stop a little earlier than the caller, so that what did answer is not thrown away.
        let limit = start + .milliseconds(deadline.milliseconds - min(200, deadline.milliseconds / 10))
        let end = start + .milliseconds(deadline.milliseconds)
        async let askedReplicas = readReplicas(limit: limit, end: end)
        let asked = await readPrimary(limit: limit, end: end)
        let looked = await askedReplicas
        let reading: PrimaryReading
        switch asked {
        case .failure(let error): return answer(to: error, replicas: looked)
        case .success(let success): reading = success
        }
        if let failure = history.withLock({ $0.recognise(reading) }) {
            return noData(failure.message, failures: [failure] + failures(of: looked))
        }
        let replicas = await followUp(looked, reading: reading, limit: limit, end: end)
        var assembled = assemble(reading, replicas: replicas)
        assembled.start = history.withLock { $0.start }
        return assembled
    }

    /// Whether the policy names the replicas that must exist.
    var hasNamedReplicas: Bool { !replicas.isEmpty }

    private func readPrimary(limit: TimeLimit, end: TimeLimit) async -> Result<PrimaryReading, DatabaseError> {
        let signals = self.signals
        let watchesAttached = replicas.isEmpty
        return await within(end, on: primary, name: "the primary") { session in
            Result { () throws(DatabaseError) in
                try session.perform(limit: limit) { connection throws(DatabaseError) in
                    try PrimaryReading(connection, signals: signals, watchesAttached: watchesAttached, limit: limit)
                }
            }
        }
    }

    private func readReplicas(limit: TimeLimit, end: TimeLimit) async -> [Look] {
        guard !signals.isDisjoint(with: [.replicationLag, .replicationLagBytes]) else { return [] }
        return await onEachReplica { [self] thread, number in
            await within(end, on: thread, name: "replica \(number + 1)") { session in
                Result { () throws(DatabaseError) in
                    try session.perform(limit: limit) { connection throws(DatabaseError) in
                        try NamedReplica(connection, limit: limit)
                    }
                }
            }
        }
    }

    /// Looks again for half a second at replicas that are behind: one that passes the primary's position meanwhile is not late.
    private func followUp(_ looks: [Look], reading: PrimaryReading, limit: TimeLimit, end: TimeLimit) async -> [Look] {
        guard let position = reading.facts.position else { return looks }
        return await onEachReplica { [self] thread, number in
            guard number < looks.count, case .success(let look) = looks[number], look.isFollowing(position: position) else {
                return number < looks.count ? looks[number] : .failure(.silence("replica \(number + 1)"))
            }
            return await within(end, on: thread, name: look.name) { session in
                Result { () throws(DatabaseError) in
                    try session.perform(limit: limit) { connection throws(DatabaseError) in
                        try look.awaiting(position, since: reading.readAt, connection, limit: limit)
                    }
                }
            }
        }
    }

    private func onEachReplica(_ body: @escaping @Sendable (ServerThread, Int) async -> Look) async -> [Look] {
        guard !signals.isDisjoint(with: [.replicationLag, .replicationLagBytes]) else { return [] }
        return await withTaskGroup(of: (Int, Look).self) { group in
            for (number, thread) in replicas.enumerated() {
                group.addTask { (number, await body(thread, number)) }
            }
            var looks: [(Int, Look)] = []
            for await look in group { looks.append(look) }
            return looks.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// Runs the work on the server's thread; gives up at the end even when the thread is stuck, say in a name look-up.
    private func within<Value: Sendable>(
        _ end: TimeLimit, on thread: ServerThread, name: String,
        _ work: @escaping @Sendable (Session) -> Result<Value, DatabaseError>
    ) async -> Result<Value, DatabaseError> {
        await withTaskGroup(of: Result<Value, DatabaseError>?.self) { group in
            group.addTask { await thread.perform(work) }
            group.addTask {
                // Cancelled when the work is done first.
                try? await Task.sleep(until: end, clock: .continuous)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .failure(.silence(name))
        }
    }
}
