internal import Glibc
public import SerinAccess
internal import SerinCrypto
public import SerinModel
public import SerinPorts
internal import SerinRecords

/// Who may do what, in one SQLite file (WAL, `synchronous=FULL`) that several processes use at once: a token that the command line
/// revokes is revoked for the daemon's next request.
///
/// All of SQLite's work is done on a thread of the store's own, one call after the other.
public final class SQLiteAccess: AccessStore {
    private let file: AccessFile
    private let thread: StoreThread

    private init(file: AccessFile, thread: StoreThread) {
        self.file = file
        self.thread = thread
    }

    deinit { thread.stop() }

    /// The file under a state folder.
    public static func path(under root: String) -> String { root.hasSuffix("/") ? root + "access.db" : root + "/access.db" }

    /// Opens the file, making it when it is missing, for its owner alone. Its folder must be there.
    ///
    /// - Parameter patience: How long to wait for another process that is writing.
    public static func open(_ path: String, patience: Duration = .seconds(10)) async throws(Failure) -> SQLiteAccess {
        // A file-size limit then fails the write instead of ending the process.
        signal(SIGXFSZ, SIG_IGN)
        guard let thread = StoreThread.start() else {
            throw Failure(.transient, "cannot open the tokens \(path): the system has no thread to give")
        }
        let store = SQLiteAccess(file: AccessFile(path: path, chain: Chain(digest: SHA256.digestOrEmpty)), thread: thread)
        try await store.perform { file throws(Failure) in
            do throws(StoreError) { try makePrivateFile(path, called: "tokens") } catch {
                throw Failure(.denied, error.description)
            }
            try file.open(busyMilliseconds: Int(clamping: patience.milliseconds))
        }
        return store
    }

    private func perform<Answer: Sendable>(
        _ body: @escaping @Sendable (AccessFile) throws(Failure) -> Answer
    ) async throws(Failure) -> Answer {
        let closed = Failure(.invalid, "cannot use the tokens \(file.path): they are closed")
        let result: Result<Answer, Failure> = await thread.run(stopped: .failure(closed)) { [file] in
            Result { () throws(Failure) in try body(file) }
        }
        return try result.get()
    }

    /// Appends a line.
    @discardableResult
    public func append(_ line: AccessLine) async throws(Failure) -> Int64 {
        try await perform { file throws(Failure) in try file.append(line) }
    }

    /// What the log leads to.
    public func state() async throws(Failure) -> AccessState {
        try await perform { file throws(Failure) in try file.state() }
    }

    /// Entries of the log after a number.
    public func entries(after sequence: Int64, limit: Int) async throws(Failure) -> [AccessEntry] {
        try await perform { file throws(Failure) in try file.entries(after: sequence, limit: limit) }
    }

    /// Notes a use.
    public func noteUse(of token: String, at now: Instant) async throws(Failure) {
        try await perform { file throws(Failure) in try file.noteUse(of: token, at: now) }
    }

    /// When each token was last used.
    public func uses() async throws(Failure) -> [String: Instant] {
        try await perform { file throws(Failure) in try file.uses() }
    }

    /// Closes the file once the calls before this one are done.
    public func close() async {
        await thread.run(stopped: ()) { [file] in file.close() }
        thread.stop()
    }
}
