internal import SerinDatabase
internal import SerinLocks
internal import SerinModel

/// The session advisory lock that one controller at a time holds on a database it migrates, wherever it runs.
///
/// It is held by a session that does nothing else: outside any transaction, without a snapshot. CREATE INDEX CONCURRENTLY waits for
/// every session that has one, so a lock taken inside the transaction of a migration, or of a reader, would make it wait for ever.
struct DatabaseLock: Sendable {
    /// One number a database, as advisory locks are: what other programs should not take.
    static let migrating: Int64 = 0x5365_7269_6E20_4D47
    /// Held around a whole `serin migrate up` with its backup, which takes the lease itself.
    static let gated: Int64 = 0x5365_7269_6E20_4D48
    /// Held by the very session that runs a script, which may call itself whatever it likes.
    static let working: Int64 = 0x5365_7269_6E20_4D49

    /// The sessions that hold a lock of the present database, as a query.
    static func holders(of key: Int64) -> String {
        """
        SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND (l.classid::bigint << 32 | l.objid::bigint) = \(key)
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """
    }

    let database: MigrationDatabase
    var key = DatabaseLock.migrating

    /// Runs the body while the lock is held. When the session is lost the body's task is cancelled.
    ///
    /// - Throws: `conflict` when another session has the lock.
    func hold<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async throws(Failure) -> Value {
        let keeper = try await Keeper.take(self)
        defer { keeper.letGo() }
        let result: Value? = await withTaskGroup(of: Value?.self) { group in
            group.addTask { await body() }
            group.addTask {
                await keeper.untilLost()
                return nil
            }
            var value: Value?
            // Whichever ends first, the other is ended; the body says itself how that ended.
            while let next = await group.next() {
                group.cancelAll()
                if let next { value = next }
            }
            return value
        }
        guard let result else { throw Failure(.unknown, "the work under the lock ended without an answer") }
        return result
    }

    /// The session with the lock, on a thread of its own.
    private final class Keeper: Sendable {
        private struct State: Sendable {
            var isLetGo = false
        }

        private let state = Locked(State())
        private let end: AsyncStream<Never>
        private let endInlet: AsyncStream<Never>.Continuation

        private init() { (end, endInlet) = AsyncStream.makeStream() }

        static func take(_ lock: DatabaseLock) async throws(Failure) -> Keeper {
            let keeper = Keeper()
            let result: Result<Void, Failure> = await withCheckedContinuation { answer in
                onNewThread { keeper.run(lock) { answer.resume(returning: $0) } }
            }
            try result.get()
            return keeper
        }

        func letGo() { state.withLock { $0.isLetGo = true } }

        /// Returns when the session is lost, or the task is cancelled.
        func untilLost() async { for await _ in end {} }

        private func run(_ lock: DatabaseLock, _ answer: (Result<Void, Failure>) -> Void) {
            let session: Connection
            do throws(Failure) {
                session = try lock.database.connect()
                try lock.take(in: session)
            } catch { return answer(.failure(error)) }
            answer(.success(()))
            var looks = 0
            while !state.withLock({ $0.isLetGo }) {
                rest(.milliseconds(20))
                looks += 1
                guard looks % 50 == 0 else { continue }
                // Held by the session alone: whoever lost the session has lost the lock.
                do throws(Failure) { _ = try session.rows("SELECT 1", within: .seconds(10)) } catch { break }
            }
            endInlet.finish()
        }
    }

    private func take(in session: Connection) throws(Failure) {
        // The session of a process that was just killed lives for a moment longer.
        let limit = timeLimit(.seconds(3))
        while try session.value("SELECT pg_try_advisory_lock(\(key))") != "t" {
            guard ContinuousClock.now < limit else {
                let holder = try session.rows(
                    """
                    SELECT application_name, pid::text, coalesce(host(client_addr), 'local') FROM pg_stat_activity
                    WHERE pid IN (\(DatabaseLock.holders(of: key)))
                    """
                ).first
                let words = holder.map { " (\($0[0] ?? "?"), session \($0[1] ?? "?") from \($0[2] ?? "?"))" } ?? ""
                throw Failure(
                    .conflict, "another controller migrates \(database.name)\(words)",
                    hint: "wait until it is done, and repeat")
            }
            rest(.milliseconds(50))
        }
    }
}
