internal import CSQLite
internal import Glibc
public import SerinModel
public import SerinPorts

/// Inbox and outbox in one SQLite file (WAL, `synchronous=FULL`), beside the journals and apart from them: a flood of messages
/// must not wait for a rollout's journal, nor the other way round.
///
/// All of SQLite's work is done on a thread of the store's own, one call after the other. One process opens it at a time.
public final class SQLiteMessages: Inbox, Outbox {
    private let file: MessageFile
    private let thread: StoreThread

    private init(file: MessageFile, thread: StoreThread) {
        self.file = file
        self.thread = thread
    }

    deinit { thread.stop() }

    /// The file of the messages under a state folder.
    public static func path(under root: String) -> String { root.hasSuffix("/") ? root + "messages.db" : root + "/messages.db" }

    /// Opens the file, making it when it is missing, for its owner alone. Its folder must be there.
    public static func open(_ path: String) async throws(Failure) -> SQLiteMessages {
        // A file-size limit then fails the write instead of ending the process.
        signal(SIGXFSZ, SIG_IGN)
        guard let thread = StoreThread.start() else {
            throw Failure(.transient, "cannot open the messages \(path): the system has no thread to give")
        }
        let messages = SQLiteMessages(file: MessageFile(path: path), thread: thread)
        try await messages.perform { file throws(Failure) in
            do throws(StoreError) { try makePrivateFile(path, called: "messages") } catch {
                throw Failure(.denied, error.description)
            }
            try file.open()
        }
        return messages
    }

    private func perform<Answer: Sendable>(
        _ body: @escaping @Sendable (MessageFile) throws(Failure) -> Answer
    ) async throws(Failure) -> Answer {
        let closed = Failure(.invalid, "cannot use the messages \(file.path): they are closed")
        let result: Result<Answer, Failure> = await thread.run(stopped: .failure(closed)) { [file] in
            Result { () throws(Failure) in try body(file) }
        }
        return try result.get()
    }

    /// Takes a message.
    public func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) async throws(Failure) -> InboxEntry.Claim {
        try await perform { file throws(Failure) in try file.claim(key, isSafeToRepeat: isSafeToRepeat, at: now) }
    }

    /// Notes an answer.
    public func settle(_ key: ReplayKey, answer: [UInt8]) async throws(Failure) {
        try await perform { file throws(Failure) in try file.settle(key, answer: answer) }
    }

    /// Gives a message back.
    public func release(_ key: ReplayKey) async throws(Failure) {
        try await perform { file throws(Failure) in try file.release(key) }
    }

    /// Adds messages, all or none.
    public func add(_ entries: [OutboxEntry]) async throws(Failure) {
        try await perform { file throws(Failure) in try file.add(entries) }
    }

    /// Messages that wait.
    public func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        try await perform { file throws(Failure) in try file.waiting(for: destination, limit: limit) }
    }

    /// For whom messages wait.
    public func destinations() async throws(Failure) -> [String] {
        try await perform { file throws(Failure) in try file.destinations() }
    }

    /// How many wait.
    public func waitingCount(for destination: String) async throws(Failure) -> Int {
        try await perform { file throws(Failure) in try file.waitingCount(for: destination) }
    }

    /// Replaces a message.
    public func put(_ entry: OutboxEntry) async throws(Failure) {
        try await perform { file throws(Failure) in try file.put(entry) }
    }

    /// Messages that were given up.
    public func dead(limit: Int) async throws(Failure) -> [OutboxEntry] {
        try await perform { file throws(Failure) in try file.dead(limit: limit) }
    }

    /// Calls that were delivered.
    public func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        try await perform { file throws(Failure) in try file.deliveredCalls(to: destination, limit: limit) }
    }

    /// Forgets what is over.
    public func forget(before moment: Instant) async throws(Failure) {
        try await perform { file throws(Failure) in try file.forget(before: moment) }
    }

    /// Closes the file once the calls before this one are done.
    public func close() async {
        await thread.run(stopped: ()) { [file] in file.close() }
        thread.stop()
    }
}
