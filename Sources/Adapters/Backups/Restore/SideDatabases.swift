public import SerinCatalogue
internal import SerinDatabase
public import SerinModel
public import SerinPorts
internal import SerinProcesses

/// The databases that restores and swaps left at the server: shows them, drops them when asked to, and drops those whose time is
/// over. The live one is never among them.
public struct SideDatabases: Sendable {
    /// One at the server.
    public struct Entry: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// What the catalogue knows of it; nil for one that only its name speaks for, which nothing drops by itself.
        public var known: SideDatabase?
        /// Its size in bytes; nil when it may not be asked.
        public var size: Int64?
        /// How many sessions use it.
        public var sessions: Int

        /// One of them.
        public init(name: String, known: SideDatabase?, size: Int64?, sessions: Int) {
            self.name = name
            self.known = known
            self.size = size
            self.sessions = sessions
        }
    }

    private let settings: RestoreSettings
    private let notes: RestoreNotes

    /// The databases beside the live one of these settings.
    public init(
        _ settings: RestoreSettings, target: String, catalogue: any CatalogueStore, now: @escaping @Sendable () -> Instant
    ) {
        self.settings = settings
        notes = RestoreNotes(target: target, catalogue: catalogue, now: now)
    }

    /// The number that the server gave the live database; nil when there is none.
    public func liveNumber() async throws(Failure) -> String? {
        let settings = settings
        return try await onOwnThread { _ throws(Failure) in
            let server = try RestoreServer.swapping(settings)
            return try server.databases().first { $0.name == server.live }?.number
        }
    }

    /// What is there, the oldest first; what only its name speaks for comes last.
    public func list() async throws(Failure) -> [Entry] {
        let known = try await notes.databases()
        let settings = settings
        return try await onOwnThread { _ throws(Failure) in
            let server = try RestoreServer.swapping(settings)
            let found = try server.databases()
            let noted = known.compactMap { database in
                found.first { $0.name == database.name && $0.number == database.number }
                    .map { Entry(name: $0.name, known: database, size: $0.size, sessions: $0.sessions) }
            }
            let others = found.filter { one in !noted.contains { $0.name == one.name } && server.isNameOfOurs(one.name) }
            return noted.filter { $0.name != server.live }
                + others.map { Entry(name: $0.name, known: nil, size: $0.size, sessions: $0.sessions) }
        }
    }

    /// One by its name; nil when it is not there.
    public func entry(_ name: String) async throws(Failure) -> Entry? { try await list().first { $0.name == name } }

    /// The one that was replaced last: what a swap is taken back with.
    public func lastReplaced() async throws(Failure) -> Entry? { try await list().last { $0.known?.role == .replaced } }

    /// Drops one.
    ///
    /// - Throws: `denied` for the live one and for one that is not in the list, `conflict` while somebody uses it.
    public func drop(_ name: String, by principal: Principal) async throws(Failure) {
        guard let entry = try await entry(name) else {
            throw Failure(
                .denied, "\(name) is no database that a restore or a swap left here, so it is not dropped",
                hint: "serin backup restored list shows those that are")
        }
        guard entry.sessions == 0 else {
            throw Failure(.conflict, "\(name) is used by \(entry.sessions) sessions", hint: "end them first")
        }
        let settings = settings
        // Without force: who connects meanwhile keeps it.
        try await onOwnThread { _ throws(Failure) in
            let server = try RestoreServer.swapping(settings)
            try server.dropUnused(name)
            guard try server.isThere(server.live) else { return }
            // What a merge from it that was killed has left.
            let session = try server.session(server.live)
            if try server.isAloneMerging(session) { try server.dropMerges(session, from: name) }
        }
        if var known = entry.known {
            known.isDropped = true
            try await notes.remember(known, by: principal)
        }
    }

    /// Removes what merges that were killed have left in the live database.
    public func sweepMerges() async throws(Failure) {
        let settings = settings
        try await onOwnThread { _ throws(Failure) in try RestoreServer.swapping(settings).sweepMerges() }
    }

    /// Drops the replaced ones whose time is over; asks the server only when there are any.
    public func dropDue(at moment: Instant, by principal: Principal) async throws(Failure) -> Pruned {
        var pruned = Pruned()
        let due = try await due(at: moment)
        guard !due.isEmpty else { return pruned }
        let present = try await list()
        for database in due {
            // Renamed, or dropped by somebody: not ours to judge any more.
            guard present.contains(where: { $0.known == database }) else { continue }
            do throws(Failure) {
                try await drop(database.name, by: principal)
                pruned.dropped.append(database)
            } catch { pruned.failures.append((database.name, error)) }
        }
        return pruned
    }

    /// Those whose time is over, by the notes alone.
    public func due(at moment: Instant) async throws(Failure) -> [SideDatabase] {
        SideDatabase.due(in: try await notes.databases(), at: moment)
    }

    /// What came of `dropDue`.
    public struct Pruned: Sendable {
        /// Those that are gone.
        public var dropped: [SideDatabase] = []
        /// Those that could not be dropped, and why.
        public var failures: [(name: String, failure: Failure)] = []

        /// Nothing yet.
        public init() {}
    }
}
