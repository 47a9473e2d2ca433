internal import Glibc
public import SerinAccess
internal import SerinCrypto
internal import SerinLocks
public import SerinModel
public import SerinPorts
internal import SerinRecords

/// Who may do what, in one SQLite file (WAL, `synchronous=FULL`) that several processes use at once: a token that the command line
/// revokes is revoked for the daemon's next request.
///
/// What is read is read on one connection and thread, what is written is written on others: a disk that takes no write, or another
/// process that writes for long, keeps nobody's token from being known.
public final class SQLiteAccess: AccessStore {
    /// One connection and the thread that all its work is done on, one call after the other.
    private struct Side: Sendable {
        let file: AccessFile
        let thread: StoreThread

        init(_ path: String) throws(Failure) {
            guard let thread = StoreThread.start() else {
                throw Failure(.transient, "cannot open the tokens \(path): the system has no thread to give")
            }
            self.thread = thread
            file = AccessFile(path: path, chain: Chain(digest: SHA256.digestOrEmpty))
        }

        func perform<Answer: Sendable>(
            _ body: @escaping @Sendable (AccessFile) throws(Failure) -> Answer
        ) async throws(Failure) -> Answer {
            let closed = Failure(.invalid, "cannot use the tokens \(file.path): they are closed")
            let result: Result<Answer, Failure> = await thread.run(stopped: .failure(closed)) { [file] in
                Result { () throws(Failure) in try body(file) }
            }
            return try result.get()
        }
    }

    /// How long an end waits for what is still to be written.
    private static let closingPatience = Duration.seconds(2)

    private let reading: Side
    private let writing: Side
    private let notes = Locked(UseNotes())

    private init(_ path: String) throws(Failure) {
        writing = try Side(path)
        do throws(Failure) { reading = try Side(path) } catch {
            writing.thread.stop()
            throw error
        }
    }

    deinit {
        reading.thread.stop()
        writing.thread.stop()
    }

    /// The file under a state folder.
    public static func path(under root: String) -> String { root.hasSuffix("/") ? root + "access.db" : root + "/access.db" }

    /// Opens the file, making it when it is missing, for its owner alone. Its folder must be there.
    ///
    /// - Parameter patience: How long to wait for another process that is writing.
    public static func open(_ path: String, patience: Duration = .seconds(10)) async throws(Failure) -> SQLiteAccess {
        // A file-size limit then fails the write instead of ending the process.
        signal(SIGXFSZ, SIG_IGN)
        let store = try SQLiteAccess(path)
        let milliseconds = Int(clamping: patience.milliseconds)
        try await store.writing.perform { file throws(Failure) in
            do throws(StoreError) { try makePrivateFile(path, called: "tokens") } catch {
                throw Failure(.denied, error.description)
            }
            try file.open(busyMilliseconds: milliseconds, writes: true)
        }
        try await store.reading.perform { file throws(Failure) in
            try file.open(busyMilliseconds: milliseconds, writes: false)
        }
        return store
    }

    /// Appends a line.
    @discardableResult
    public func append(_ line: AccessLine) async throws(Failure) -> Int64 {
        try await writing.perform { file throws(Failure) in try file.append(line) }
    }

    /// What the log leads to.
    public func state() async throws(Failure) -> AccessState {
        try await reading.perform { file throws(Failure) in try file.state() }
    }

    /// Entries of the log after a number.
    public func entries(after sequence: Int64, limit: Int) async throws(Failure) -> [AccessEntry] {
        try await reading.perform { file throws(Failure) in try file.entries(after: sequence, limit: limit) }
    }

    /// Notes a use, which the writing thread writes when it comes to it.
    public func noteUse(of token: String, at now: Instant) {
        guard notes.withLock({ $0.note(token, at: now) }) else { return }
        writing.thread.post { [file = writing.file, notes] in Self.write(notes, to: file) }
    }

    /// When each token was last used.
    public func uses() async throws(Failure) -> [String: Instant] {
        let written = try await reading.perform { file throws(Failure) in try file.uses() }
        return written.merging(notes.withLock { $0.latest }) { max($0, $1) }
    }

    private static func write(_ notes: Locked<UseNotes>, to file: AccessFile) {
        let uses = notes.withLock { $0.take() }
        var isWritten = true
        // When a token was last used is for people's interest: what cannot be written is tried again with the next use.
        if !uses.isEmpty { do throws(Failure) { try file.note(uses) } catch { isWritten = false } }
        notes.withLock { $0.ended(uses, isWritten: isWritten) }
    }

    /// Closes the file once the calls before this one are done, or the disk had a moment for them.
    public func close() async {
        let (ends, end) = AsyncStream.makeStream(of: Never.self)
        // Whoever closes last folds the log into the file, so it is the one that writes.
        let isOpen = reading.thread.post { [reading, writing, notes] in
            reading.file.close()
            writing.thread.post {
                Self.write(notes, to: writing.file)
                writing.file.close()
                end.finish()
            }
            writing.thread.stop()
        }
        reading.thread.stop()
        guard isOpen else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in ends {} }
            // An early end means that all was written.
            group.addTask { try? await Task.sleep(for: .milliseconds(Self.closingPatience.milliseconds)) }
            await group.next()
            group.cancelAll()
        }
    }
}
