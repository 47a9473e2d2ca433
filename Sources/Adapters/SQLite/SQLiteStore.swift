internal import Glibc
internal import SerinCrypto
public import SerinModel
public import SerinPorts
public import SerinRecords

/// The journal in one SQLite file (WAL, `synchronous=FULL`), held by one connection of one process.
///
/// All of SQLite's work is done on a thread of the store's own, one call after the other. Calls do not end early when their task
/// is cancelled: whoever must not wait for a stalled disk runs the append in a task of its own.
public final class SQLiteStore: Store {
    /// The epoch of this opening; 0 in a store opened for reading only.
    public let epoch: Int64
    private let file: JournalFile
    private let thread: StoreThread
    private let lock: ServiceLock?

    private init(epoch: Int64, file: JournalFile, thread: StoreThread, lock: ServiceLock?) {
        self.epoch = epoch
        self.file = file
        self.thread = thread
        self.lock = lock
    }

    deinit { thread.stop() }

    /// Opens a service's journal for writing, making it when it is missing, and journals the opening of the next epoch.
    ///
    /// - Parameters:
    ///   - folder: The service's folder.
    ///   - lock: The service's lock, when the caller holds it; it stays the caller's. Without one the store takes it, and
    ///     gives it back when it is closed.
    ///   - purpose: What the holder is, for those who find the lock taken: `serin run`.
    ///   - now: The moment of the opening. The last entry's time is journaled instead when that is later.
    ///   - engine: The engine version to journal.
    ///   - reserve: How much disk space to keep back for a rollback on a full disk, in bytes; 0 is none.
    ///   - beforeCommit: Called on the store's thread before each commit, to stand for a stalled disk in tests and benchmarks.
    public static func open(
        _ folder: StateFolder, lock: ServiceLock? = nil, purpose: String = "serin", at now: Instant,
        engine: String = engineVersion, reserve: Int = 16 << 20, beforeCommit: (@Sendable () -> Void)? = nil
    ) async throws(StoreError) -> SQLiteStore {
        // A file-size limit then fails the write instead of ending the process before it can lower the weight.
        signal(SIGXFSZ, SIG_IGN)
        let own = lock == nil ? try ServiceLock.acquire(folder, purpose: purpose) : nil
        let file = JournalFile(path: folder.journal, chain: Chain(digest: SHA256.digestOrEmpty))
        let space = Reserve(path: folder.reserve, size: reserve)
        return try await start(file, lock: own) { () throws(StoreError) in
            try makePrivateFile(folder.journal, called: "journal")
            try file.open(reserve: space, beforeCommit: beforeCommit)
            let epoch = (file.last?.epoch ?? 0) + 1
            let opening = Draft(
                rollout: nil, at: max(now, file.last?.at ?? now), record: .opened(epoch: epoch, engine: engine))
            let hadReserve = file.hasReserve
            do throws(StoreError) {
                _ = try file.append([opening], epoch: epoch)
            } catch {
                // A full disk has given up its reserve now; with that the opening may fit.
                guard hadReserve, !file.hasReserve else { throw error }
                _ = try file.append([opening], epoch: epoch)
            }
            return epoch
        }
    }

    /// Opens a journal for reading only. Works only while no other process holds it: a journal in use is asked for over its
    /// controller's socket. Needs the right to write the file and its folder, since reading a write-ahead log takes a lock and closing
    /// tidies it; without that right only a journal whose log was folded in can be read, as it is after an end in order.
    public static func read(_ path: String) async throws(StoreError) -> SQLiteStore {
        let file = JournalFile(path: path, chain: Chain(digest: SHA256.digestOrEmpty))
        return try await start(file, lock: nil) { () throws(StoreError) in
            guard access(path, F_OK) == 0 else { throw .unavailable("cannot read the journal \(path): \(systemMessage())") }
            try file.openForReading()
            return 0
        }
    }

    private static func start(
        _ file: JournalFile, lock: ServiceLock?, _ open: @escaping @Sendable () throws(StoreError) -> Int64
    ) async throws(StoreError) -> SQLiteStore {
        guard let thread = StoreThread.start() else {
            lock?.release()
            throw .unavailable("cannot open the journal \(file.path): the system has no thread to give")
        }
        let result: Result<Int64, StoreError> = await thread.run(stopped: .failure(.unavailable("closed"))) {
            Result { () throws(StoreError) in try open() }
        }
        switch result {
        case .success(let epoch): return SQLiteStore(epoch: epoch, file: file, thread: thread, lock: lock)
        case .failure(let error):
            await thread.run(stopped: ()) { file.close() }
            thread.stop()
            lock?.release()
            throw error
        }
    }

    private func perform<Answer: Sendable>(
        _ body: @escaping @Sendable (JournalFile) throws(StoreError) -> Answer,
        afterwards: @escaping @Sendable (JournalFile) -> Void = { _ in }
    ) async throws(StoreError) -> Answer {
        let closed = StoreError.unavailable("cannot use the journal \(file.path): it is closed")
        let result: Result<Answer, StoreError> = await thread.run(stopped: .failure(closed)) { [file] in
            Result { () throws(StoreError) in try body(file) }
        } afterwards: { [file] in
            afterwards(file)
        }
        return try result.get()
    }

    /// Appends all drafts in one transaction, or none. They survive power loss when this returns.
    ///
    /// After a write whose outcome is uncertain every further append is refused until the store is opened again.
    public func append(_ drafts: [Draft]) async throws(StoreError) -> [Entry] {
        try await perform { [epoch] file throws(StoreError) in
            try file.append(drafts, epoch: epoch)
        } afterwards: { file in
            file.foldLog()
        }
    }

    /// Entries after a sequence number, at most `limit`.
    public func entries(after sequence: Int64, rollout: RolloutID?, limit: Int) async throws(StoreError) -> [Entry] {
        try await perform { file throws(StoreError) in try file.entries(after: sequence, rollout: rollout, limit: limit) }
    }

    /// Every rollout, by its first entry.
    public func rollouts() async throws(StoreError) -> [RolloutID] {
        try await perform { file throws(StoreError) in try file.rollouts() }
    }

    /// The entries of no rollout.
    public func controllerEntries() async throws(StoreError) -> [Entry] {
        try await perform { file throws(StoreError) in try file.controllerEntries() }
    }

    /// The last entry.
    public func head() async throws(StoreError) -> Entry? {
        try await perform { file throws(StoreError) in file.last }
    }

    /// Whether disk space is still kept back for a rollback on a full disk. False: make room before the next rollout.
    public var hasReserve: Bool {
        get async throws(StoreError) { try await perform { file throws(StoreError) in file.hasReserve } }
    }

    /// Closes the file once the calls before this one are done, and gives back the lock that the store took.
    public func close() async {
        await thread.run(stopped: ()) { [file] in file.close() }
        thread.stop()
        lock?.release()
    }
}
