internal import Glibc
public import SerinCatalogue
internal import SerinCrypto
public import SerinModel
public import SerinPorts
internal import SerinRecords

/// The catalogue in one SQLite file (WAL, `synchronous=FULL`) that several processes use at once.
///
/// All of SQLite's work is done on a thread of the store's own, one call after the other.
public final class SQLiteCatalogue: CatalogueStore {
    private let file: CatalogueFile
    private let thread: StoreThread

    private init(file: CatalogueFile, thread: StoreThread) {
        self.file = file
        self.thread = thread
    }

    deinit { thread.stop() }

    /// The file of the catalogue under a state folder.
    public static func path(under root: String) -> String { root.hasSuffix("/") ? root + "catalogue.db" : root + "/catalogue.db" }

    /// Opens the catalogue, making the file when it is missing, for its owner alone.
    ///
    /// - Parameters:
    ///   - path: The file; its folder must be there.
    ///   - patience: How long to wait for another process that is writing.
    public static func open(_ path: String, patience: Duration = .seconds(10)) async throws(CatalogueStoreError)
        -> SQLiteCatalogue
    {
        let catalogue = try start(path)
        do throws(CatalogueStoreError) {
            try await catalogue.perform { file throws(CatalogueStoreError) in
                do throws(StoreError) { try makePrivateFile(path, called: "catalogue") } catch {
                    throw .unavailable(Failure(.denied, error.description))
                }
                try file.open(busyMilliseconds: Int(clamping: patience.milliseconds))
            }
        } catch {
            await catalogue.close()
            throw error
        }
        return catalogue
    }

    /// Opens a catalogue that is there for reading alone, also where nothing can be written. Nil where nothing is in it. It keeps nobody
    /// from writing for longer than one call takes.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - patience: How long to wait for another process that is writing.
    public static func read(_ path: String, patience: Duration = .seconds(10)) async throws(CatalogueStoreError)
        -> SQLiteCatalogue?
    {
        if access(path, R_OK) != 0, let refusal = othersFile(path, called: "catalogue") {
            throw .unavailable(Failure(.denied, refusal.description))
        }
        let catalogue = try start(path)
        do throws(CatalogueStoreError) {
            let hasEntries = try await catalogue.perform { file throws(CatalogueStoreError) in
                try file.openForReading(busyMilliseconds: Int(clamping: patience.milliseconds))
            }
            if hasEntries { return catalogue }
        } catch {
            await catalogue.close()
            throw error
        }
        await catalogue.close()
        return nil
    }

    private static func start(_ path: String) throws(CatalogueStoreError) -> SQLiteCatalogue {
        // A file-size limit then fails the write instead of ending the process.
        signal(SIGXFSZ, SIG_IGN)
        let file = CatalogueFile(path: path, chain: Chain(digest: SHA256.digestOrEmpty))
        guard let thread = StoreThread.start() else {
            throw .unavailable(Failure(.transient, "cannot open the catalogue \(path): the system has no thread to give"))
        }
        return SQLiteCatalogue(file: file, thread: thread)
    }

    private func perform<Answer: Sendable>(
        _ body: @escaping @Sendable (CatalogueFile) throws(CatalogueStoreError) -> Answer
    ) async throws(CatalogueStoreError) -> Answer {
        let closed = CatalogueStoreError.unavailable(Failure(.invalid, "cannot use the catalogue \(file.path): it is closed"))
        let result: Result<Answer, CatalogueStoreError> = await thread.run(stopped: .failure(closed)) { [file] in
            Result { () throws(CatalogueStoreError) in try body(file) }
        }
        return try result.get()
    }

    /// Appends all lines in one transaction, or none.
    @discardableResult
    public func append(_ lines: [CatalogueLine], under lease: TargetLease?) async throws(CatalogueStoreError) -> Int64 {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in
                if let lease { try file.check(lease, connection) }
                let log = try file.append(lines, connection)
                return CatalogueFile.Outcome(value: log.last?.sequence ?? 0, log: log)
            }
        }
    }

    /// Every backup that ever was.
    public func state() async throws(CatalogueStoreError) -> CatalogueState {
        try await perform { file throws(CatalogueStoreError) in try file.reading { _ in file.log.state } }
    }

    /// Entries of the log after a number.
    public func entries(after sequence: Int64, limit: Int) async throws(CatalogueStoreError) -> [CatalogueEntry] {
        try await perform { file throws(CatalogueStoreError) in
            try file.reading { try file.entries(after: sequence, limit: limit, $0) }
        }
    }

    /// Takes the lease of a target.
    public func takeLease(_ request: LeaseRequest) async throws(CatalogueStoreError) -> TargetLease {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in
                var log: CatalogueLog?
                if let existing = try file.lease(of: request.target, connection) {
                    guard let reason = existing.reasonForTakeover(at: request.at, isAlive: existing.holder.isAlive) else {
                        throw CatalogueStoreError.held(existing)
                    }
                    let note = existing.takeover(by: request.by, holder: request.holder, because: reason, at: request.at)
                    log = try file.append([.note(note)], connection)
                }
                let lease = request.lease(token: try file.nextToken(connection))
                try file.put(lease, connection)
                return CatalogueFile.Outcome(value: lease, log: log)
            }
        }
    }

    /// Prolongs a lease.
    public func renewLease(
        _ lease: TargetLease, at now: Instant, for duration: Duration
    ) async throws(CatalogueStoreError) -> TargetLease {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in
                try file.check(lease, connection)
                let renewed = lease.renewed(at: now, for: duration)
                try file.put(renewed, connection)
                return CatalogueFile.Outcome(value: renewed)
            }
        }
    }

    /// Gives a lease back.
    public func releaseLease(_ lease: TargetLease) async throws(CatalogueStoreError) {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in CatalogueFile.Outcome(value: try file.remove(lease, connection)) }
        }
    }

    /// All leases, by target.
    public func leases() async throws(CatalogueStoreError) -> [TargetLease] {
        try await perform { file throws(CatalogueStoreError) in try file.reading { try file.leases($0) } }
    }

    /// Adds a job.
    public func addJob(_ job: BackupJob) async throws(CatalogueStoreError) {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in
                guard try file.job(job.id, connection) == nil else {
                    throw CatalogueStoreError.refused(CatalogueRefusal("job \(job.id) is known already"))
                }
                return CatalogueFile.Outcome(value: try file.put(job, connection))
            }
        }
    }

    /// Changes a job.
    @discardableResult
    public func changeJob(_ id: BackupID, _ change: JobChange, at now: Instant) async throws(CatalogueStoreError) -> BackupJob {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in
                guard let job = try file.job(id, connection) else {
                    throw CatalogueStoreError.refused(CatalogueRefusal("no job \(id) is known"))
                }
                return CatalogueFile.Outcome(value: try file.change(job, change, at: now, connection))
            }
        }
    }

    /// Gives a worker the oldest job that waits.
    public func claimJob(for worker: LeaseHolder, at now: Instant) async throws(CatalogueStoreError) -> BackupJob? {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in
                guard let job = try file.oldestPendingJob(connection) else { return CatalogueFile.Outcome(value: nil) }
                return CatalogueFile.Outcome(value: try file.change(job, .started(worker), at: now, connection))
            }
        }
    }

    /// Marks jobs as stuck.
    public func reapJobs(at now: Instant, patience: Duration) async throws(CatalogueStoreError) -> [BackupJob] {
        try await perform { file throws(CatalogueStoreError) in
            try file.writing { connection in
                var stuck: [BackupJob] = []
                for job in try file.jobs(connection) {
                    let isAlive = job.worker.flatMap(\.isAlive)
                    guard let reason = job.reasonForStuck(at: now, patience: patience, isAlive: isAlive) else { continue }
                    stuck.append(try file.change(job, .stuck(reason), at: now, connection))
                }
                return CatalogueFile.Outcome(value: stuck)
            }
        }
    }

    /// All jobs, the newest first.
    public func jobs() async throws(CatalogueStoreError) -> [BackupJob] {
        try await perform { file throws(CatalogueStoreError) in try file.reading { try file.jobs($0) } }
    }

    /// Closes the file once the calls before this one are done.
    public func close() async {
        await thread.run(stopped: ()) { [file] in file.close() }
        thread.stop()
    }
}
