public import SerinCatalogue
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

    let settings: RestoreSettings
    let notes: RestoreNotes
    private let holder: LeaseHolder
    private let now: @Sendable () -> Instant

    /// A swap.
    ///
    /// - Parameter holder: This process, as the target's lease names it: no backup and no migration runs beside a swap.
    public init(
        _ settings: RestoreSettings, target: String, catalogue: any CatalogueStore, holder: LeaseHolder,
        now: @escaping @Sendable () -> Instant
    ) {
        self.settings = settings
        notes = RestoreNotes(target: target, catalogue: catalogue, now: now)
        self.holder = holder
        self.now = now
    }

    /// Swaps. Whatever writes is stopped before, when the plan says how, and started again in any case.
    ///
    /// - Parameter limit: How long it is tried to be alone with the databases.
    /// - Throws: Also `conflict` while something else works on the target.
    public func swap(
        _ restored: RestoredDatabase, permit: RestorePermit, within limit: Duration = .seconds(30)
    ) async throws(Failure) -> Outcome {
        try permit.allows(.swap, restored.backup, restored.live)
        guard restored.passed else {
            let bad = restored.checks.first { !$0.passed }
            throw Failure(
                .denied, "\(restored.name) did not pass its checks and takes no place: \(bad?.name ?? "nothing was checked")")
        }
        let known = try await notes.databases().last { $0.name == restored.name }
        try known?.expectRestored()
        try await refuseMixedOwners(of: restored.backup)
        return try await exchange(in: restored.name, permit, limit) { (server) throws(Failure) in
            try DatabaseSwap.settle(server, restored.name, isPart: known?.role == .part, agreed: permit.differences)
        }
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
        // It has been the live one: what it has is what it had.
        return try await exchange(in: replaced, permit, limit) { (server) throws(Failure) in
            try DatabaseSwap.differences(try server.maintenance, server.live, replaced)
        }
    }

    /// Makes the one that comes in as like the live one as can be, and refuses what nobody agreed to lose.
    ///
    /// - Returns: What was agreed to.
    private static func settle(
        _ server: RestoreServer, _ incoming: String, isPart: Bool, agreed: Int
    ) throws(Failure) -> [String] {
        let looks = LiveDifferences(server: server, incoming: incoming)
        if isPart, try looks.liveTables() > 0 {
            throw Failure(
                .denied,
                "\(incoming) holds a part of a database only, and never takes the place of \(server.live), which has tables",
                hint: "serin backup merge brings the rows of a table back")
        }
        let found = try looks.settle()
        guard found.count <= agreed else {
            try looks.shut()
            let words = found.prefix(20).map { "\n  \($0)" }.joined() + (found.count > 20 ? "\n  …" : "")
            throw Failure(
                .denied,
                "\(server.live) has what \(incoming) lacks (\(found.count) differences, and \(agreed) were agreed to):\(words)\n",
                hint: "settle them in \(incoming) and swap again; or --differences \(found.count), if they may go: "
                    + "what is replaced keeps them")
        }
        return found.map { "agreed to be missing: \($0)" }
    }

    /// Opens the live database and another one again, where a swap that was killed has left them closed to connections. What is
    /// about to be looked at or swapped must be open.
    public func reopen(_ incoming: String, by principal: Principal) async throws(Failure) {
        let settings = settings
        try await notes.leased(holder, by: principal) { () throws(Failure) in
            try await onOwnThread { _ throws(Failure) in
                let server = try RestoreServer.swapping(settings)
                try server.reopen([server.live, incoming])
            }
        }
    }

    /// Whether a swap would be refused for rights, so that nobody restores or approves for it in vain.
    ///
    /// - Parameters:
    ///   - incoming: What is to be swapped in; nil for what is not made yet.
    ///   - backup: What it was or is to be restored from; nil for what was live before.
    /// - Throws: `denied` when the role that swaps lacks one, or owners in the backup could change what belongs to others; `invalid` when
    ///   the role is one of another server or database.
    public func expectRights(_ incoming: String?, of backup: BackupID?) async throws(Failure) {
        let settings = settings
        try await onOwnThread { _ throws(Failure) in try RestoreServer.swapping(settings).expectSwapRights(incoming) }
        if let backup { try await refuseMixedOwners(of: backup) }
    }

    private func refuseMixedOwners(of backup: BackupID) async throws(Failure) {
        let (settings, owners) = (settings, try await notes.owners(of: backup))
        try await onOwnThread { _ throws(Failure) in try RestoreServer(settings).refuseMixedOwners(owners) }
    }

    /// The database that a swap has put in the live one's place though it was killed before it could say so; nil when there is none.
    public func unfinished() async throws(Failure) -> SideDatabase? {
        let known = try await notes.databases()
        let settings = settings
        return try await onOwnThread { _ throws(Failure) in
            let server = try RestoreServer.swapping(settings)
            let present = try server.databases()
            guard let live = present.first(where: { $0.name == server.live }) else { return nil }
            // A swap that was killed earlier has noted the live one under the name that it was about to get. Only where what was
            // replaced is there as well have they changed places.
            guard let place = known.lastIndex(where: { $0.number == live.number && $0.name != live.name }),
                known[place...].dropFirst().contains(where: { later in
                    later.role == .replaced && present.contains { $0.name == later.name && $0.number == later.number }
                })
            else { return nil }
            return known[place]
        }
    }

    /// Does what is left of a swap that was killed once the databases had changed places: opens both, starts what was stopped.
    public func finish(_ placed: SideDatabase, permit: RestorePermit) async throws(Failure) -> Outcome {
        try permit.allows(.swap, placed.backup, placed.live)
        return try await notes.leased(holder, by: permit.by) { () throws(Failure) in
            guard let replaced = try await notes.databases().last(where: { $0.role == .replaced }) else {
                throw Failure(.invalid, "nothing is noted that \(placed.name) has replaced")
            }
            let settings = settings
            try await onOwnThread { _ throws(Failure) in
                try RestoreServer.swapping(settings).reopen([placed.live, replaced.name])
            }
            if let hook = settings.policy.resume { try await run(hook, "resume") }
            try await forget(placed, permit.by)
            return Outcome(
                replaced: replaced.name, live: placed.live, interruption: .zero,
                remarks: ["an earlier run had put it in place and was ended before it could say so"],
                keepUntil: replaced.keepUntil)
        }
    }

    private func exchange(
        in incoming: String, _ permit: RestorePermit, _ limit: Duration,
        _ compare: @escaping @Sendable (RestoreServer) throws(Failure) -> [String]
    ) async throws(Failure) -> Outcome {
        if let placed = try await unfinished() { try await forget(placed, permit.by) }
        return try await notes.leased(holder, by: permit.by) { () throws(Failure) in
            try await exchangeAlone(in: incoming, permit, limit, compare)
        }
    }

    private func forget(_ placed: SideDatabase, _ principal: Principal) async throws(Failure) {
        var gone = placed
        gone.isDropped = true
        try await notes.remember(gone, by: principal)
    }

    private func exchangeAlone(
        in incoming: String, _ permit: RestorePermit, _ limit: Duration,
        _ compare: @escaping @Sendable (RestoreServer) throws(Failure) -> [String]
    ) async throws(Failure) -> Outcome {
        let settings = settings
        let (filling, server) = try await onOwnThread { _ throws(Failure) in
            (try RestoreServer(settings), try RestoreServer.swapping(settings))
        }
        guard server.live == permit.database else {
            throw Failure(.denied, "the permit is for \(permit.database), not \(server.live)")
        }
        let mark = mark()
        var (name, number, remarks) = try await onOwnThread { _ throws(Failure) in
            try server.expectSwapRights(incoming)
            try server.reopen([server.live, incoming])
            _ = try server.number(of: incoming)
            let remarks = try compare(server)
            return (try server.freeName(beside: "replaced", mark), try server.number(of: server.live), remarks)
        }
        remarks += try await notes.erase(in: incoming, filling, by: permit.by)
        // Noted before it is done: whatever happens in between, the number says which database it is about.
        let known = SideDatabase(
            name: name, number: number, live: server.live, role: .replaced, backup: permit.backup, at: now(),
            keepUntil: now() + settings.policy.keepReplaced)
        try await notes.remember(known, by: permit.by)
        var outcome = try await quiesced { () throws(Failure) in
            // Who was noted meanwhile; and the last word stays the one about what is replaced.
            let erased = try await notes.erase(in: incoming, filling, by: permit.by)
            if !erased.isEmpty { try await notes.remember(known, by: permit.by) }
            var outcome = try await rename(server, live: server.live, away: name, in: incoming, limit)
            outcome.remarks += erased
            return outcome
        }
        outcome.keepUntil = known.keepUntil
        outcome.remarks = remarks + outcome.remarks
        // It is not beside the live one any more. Without this note its name would still tell it apart.
        if let gone = try? await notes.databases().last(where: { $0.name == incoming }) { try? await forget(gone, permit.by) }
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
        let environment = try PostgresClient(settings.swapURL ?? settings.url, settings.environment).program(path, [])
            .environment
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
            let began = ContinuousClock.now
            try DatabaseExchange(server: server, live: live, away: away, incoming: incoming).run(within: limit, stop)
            let passed = began.duration(to: .now).components
            let time = Duration.milliseconds(passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000)
            return Outcome(replaced: away, live: live, interruption: time, remarks: [])
        }
    }

    private static func differences(_ session: Connection, _ live: String, _ incoming: String) throws(Failure) -> [String] {
        let rows = try session.rows(
            """
            SELECT d.datname, pg_get_userbyid(d.datdba), (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(d.datacl) a),
                (SELECT string_agg(s.setconfig::text, ' ') FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),
                shobj_description(d.oid, 'pg_database')
            FROM pg_database d WHERE d.datname IN (\(sqlText(live)), \(sqlText(incoming)))
            """)
        guard let old = rows.first(where: { $0.first == live }), let new = rows.first(where: { $0.first == incoming }),
            old.count == 5, new.count == 5
        else { return [] }
        return zip(["owner", "grants", "settings", "comment"], 1...4).compactMap { what, place in
            old[place] == new[place]
                ? nil : "\(what) of the database: \(old[place] ?? "none") before, \(new[place] ?? "none") now"
        }
    }
}
