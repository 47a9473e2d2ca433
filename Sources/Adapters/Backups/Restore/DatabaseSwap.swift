internal import SerinCatalogue
internal import SerinDatabase
internal import SerinLocks
public import SerinModel
internal import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// Puts a restored database in the live one's place by renaming both, keeps the one that was replaced, and can take it all back.
public struct DatabaseSwap: Sendable {
    /// What was done.
    public struct Outcome: Sendable, Hashable {
        /// The database that was replaced, under its new name.
        public var replaced: String
        /// The live database's name.
        public var live: String
        /// How long neither could be connected to.
        public var interruption: Duration
        /// What the live database was told that the restored one is not: settings, grants.
        public var remarks: [String]
        /// Until when the replaced one is kept.
        public var keepUntil: Instant?

        /// What was done.
        public init(replaced: String, live: String, interruption: Duration, remarks: [String], keepUntil: Instant? = nil) {
            self.replaced = replaced
            self.live = live
            self.interruption = interruption
            self.remarks = remarks
            self.keepUntil = keepUntil
        }
    }

    private let settings: RestoreSettings
    private let notes: RestoreNotes
    private let now: @Sendable () -> Instant

    /// A swap.
    public init(
        _ settings: RestoreSettings, target: String, catalogue: any CatalogueStore, now: @escaping @Sendable () -> Instant
    ) {
        self.settings = settings
        notes = RestoreNotes(target: target, catalogue: catalogue, now: now)
        self.now = now
    }

    /// Swaps. Whatever writes is stopped before, when the plan says how, and started again in any case.
    ///
    /// - Parameter limit: How long it is tried to be alone with the databases.
    public func swap(
        _ restored: RestoredDatabase, permit: RestorePermit, within limit: Duration = .seconds(30)
    ) async throws(Failure) -> Outcome {
        try permit.allows(.swap, restored.backup, restored.live)
        guard restored.passed else {
            let bad = restored.checks.first { !$0.passed }
            throw Failure(
                .denied, "\(restored.name) did not pass its checks and takes no place: \(bad?.name ?? "nothing was checked")")
        }
        if let known = try await notes.databases().last(where: { $0.name == restored.name }), known.role != .restored {
            throw Failure(
                .denied, "\(restored.name) holds \(known.role == .masked ? "masked rows" : "some tables") and never goes live")
        }
        return try await exchange(in: restored.name, permit, limit)
    }

    /// Takes a swap back: the database that was replaced becomes the live one again. The one that was live until now is kept in
    /// its turn, with all that was written to it.
    public func undo(
        _ replaced: String, permit: RestorePermit, within limit: Duration = .seconds(30)
    ) async throws(Failure) -> Outcome {
        guard let known = try await notes.databases().last(where: { $0.name == replaced }), known.role == .replaced else {
            throw Failure(
                .denied, "\(replaced) was not replaced by a swap", hint: "serin backup restored list shows those that were")
        }
        try permit.allows(.swap, known.backup, known.live)
        return try await exchange(in: replaced, permit, limit)
    }

    private func exchange(
        in incoming: String, _ permit: RestorePermit, _ limit: Duration
    ) async throws(Failure) -> Outcome {
        let server = try RestoreServer(settings)
        guard server.live == permit.database else {
            throw Failure(.denied, "the permit is for \(permit.database), not \(server.live)")
        }
        let mark = mark()
        let (name, number) = try await onOwnThread { _ throws(Failure) in
            _ = try server.number(of: incoming)
            return (try server.freeName(beside: "replaced", mark), try server.number(of: server.live))
        }
        // Noted before it is done: whatever happens in between, the number says which database it is about.
        let known = SideDatabase(
            name: name, number: number, live: server.live, role: .replaced, backup: permit.backup, at: now(),
            keepUntil: now() + settings.policy.keepReplaced)
        try await notes.remember(known, by: permit.by)
        var outcome = try await quiesced { () throws(Failure) in
            try await rename(server, live: server.live, away: name, in: incoming, limit)
        }
        outcome.keepUntil = known.keepUntil
        // It is not beside the live one any more. Without this note its name would still tell it apart.
        if var gone = try? await notes.databases().last(where: { $0.name == incoming }) {
            gone.isDropped = true
            try? await notes.remember(gone, by: permit.by)
        }
        return outcome
    }

    /// `20261121t160307`
    private func mark() -> String {
        now().description.filter { $0 != "-" && $0 != ":" && $0 != "Z" }.lowercased()
    }

    /// Stops what writes, and starts it again in any case: also when it could be stopped in part only.
    private func quiesced(_ body: () async throws(Failure) -> Outcome) async throws(Failure) -> Outcome {
        let result: Result<Outcome, Failure>
        do throws(Failure) {
            if let hook = settings.policy.quiesce { try await run(hook, "quiesce") }
            result = .success(try await body())
        } catch { result = .failure(error) }
        guard let hook = settings.policy.resume else { return try result.get() }
        do throws(Failure) { try await run(hook, "resume") } catch {
            let words = "resume failed, start by hand what was stopped: \(error.message)"
            switch result {
            case .success(var outcome):
                outcome.remarks.append(words)
                return outcome
            case .failure(var first):
                first.message += "; and \(words)"
                throw first
            }
        }
        return try result.get()
    }

    /// Runs to its end even where the task was cancelled: who was stopped is started again.
    private func run(_ hook: BackupHook, _ word: String) async throws(Failure) {
        guard let path = hook.run.first else { throw Failure(.invalid, "\(word) names no program") }
        let environment = try PostgresClient(settings.url, settings.environment).program(path, []).environment
        let program = Program(path, Array(hook.run.dropFirst()), environment: environment, deadline: hook.deadline)
        let result: Result<Void, Failure> = await withCheckedContinuation { continuation in
            onNewThread {
                do throws(Failure) {
                    let stream = try ProgramStream(program, .reading, stall: nil, stop: try StopSignal())
                    try stream.readAll { _ in }
                    continuation.resume(returning: .success(()))
                } catch { continuation.resume(returning: .failure(error)) }
            }
        }
        do throws(Failure) { try result.get() } catch {
            throw Failure(.transient, "\(word) failed: \(error.message)", hint: word == "quiesce" ? "nothing was swapped" : nil)
        }
    }

    private func rename(
        _ server: RestoreServer, live: String, away: String, in incoming: String, _ limit: Duration
    ) async throws(Failure) -> Outcome {
        try await onOwnThread { (stop) throws(Failure) in
            let session = try server.maintenance
            for name in [live, incoming] {
                guard try session.value("SELECT true FROM pg_database WHERE datname = \(sqlText(name))") == "t" else {
                    throw Failure(.invalid, "there is no database \(name)")
                }
            }
            let remarks = try DatabaseSwap.differences(session, live, incoming)
            let end = ContinuousClock.now + .milliseconds(limit.milliseconds)
            let began = ContinuousClock.now
            do throws(Failure) {
                for name in [live, incoming] { _ = try session.rows("ALTER DATABASE \(sqlName(name)) ALLOW_CONNECTIONS false") }
                try DatabaseSwap.exchange(session, live: live, away: away, incoming: incoming, until: end, stop)
            } catch {
                for name in [live, incoming] {
                    // The first failure is the one to tell.
                    _ = try? session.rows("ALTER DATABASE \(sqlName(name)) ALLOW_CONNECTIONS true")
                }
                throw error
            }
            for name in [live, away] { _ = try session.rows("ALTER DATABASE \(sqlName(name)) ALLOW_CONNECTIONS true") }
            let passed = began.duration(to: .now).components
            let time = Duration.milliseconds(passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000)
            return Outcome(replaced: away, live: live, interruption: time, remarks: remarks)
        }
    }

    /// Ends every session and renames both in one transaction, again until nobody is in the way.
    private static func exchange(
        _ session: Connection, live: String, away: String, incoming: String, until end: ContinuousClock.Instant,
        _ stop: StopSignal
    ) throws(Failure) {
        while true {
            guard !stop.isRaised else { throw Failure(.transient, "the swap was given up") }
            _ = try session.rows(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname IN (\(sqlText(live)), \(sqlText(incoming))) AND pid <> pg_backend_pid()
                """)
            do throws(Failure) {
                _ = try session.rows("BEGIN")
                _ = try session.rows("ALTER DATABASE \(sqlName(live)) RENAME TO \(sqlName(away))")
                _ = try session.rows("ALTER DATABASE \(sqlName(incoming)) RENAME TO \(sqlName(live))")
                _ = try session.rows("COMMIT")
                return
            } catch {
                _ = try session.rows("ROLLBACK")
                guard ContinuousClock.now < end, error.kind != .denied, error.kind != .invalid else {
                    var error = error
                    error.message = "cannot put \(incoming) in the place of \(live): " + error.message
                    throw error
                }
            }
        }
    }

    private static func differences(_ session: Connection, _ live: String, _ incoming: String) throws(Failure) -> [String] {
        let rows = try session.rows(
            """
            SELECT d.datname, pg_get_userbyid(d.datdba), d.datacl::text,
                (SELECT string_agg(s.setconfig::text, ' ') FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)
            FROM pg_database d WHERE d.datname IN (\(sqlText(live)), \(sqlText(incoming)))
            """)
        guard let old = rows.first(where: { $0.first == live }), let new = rows.first(where: { $0.first == incoming }),
            old.count == 4, new.count == 4
        else { return [] }
        return zip(["owner", "grants", "settings"], 1...3).compactMap { what, place in
            old[place] == new[place]
                ? nil : "\(what) of the database: \(old[place] ?? "none") before, \(new[place] ?? "none") now"
        }
    }
}
