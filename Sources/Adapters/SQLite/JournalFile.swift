internal import CSQLite
internal import Glibc
internal import SerinModel
internal import SerinPorts
internal import SerinRecords

/// The journal's database, as one thread sees it.
///
/// Unchecked: it owns a connection without SQLite's own locking; the store calls every method on its one thread.
final class JournalFile: @unchecked Sendable {
    static let applicationID: Int64 = 0x5352_494E
    static let schemaVersion: Int64 = 1

    let path: String
    let chain: Chain
    private(set) var connection: Connection?
    private var insert: Statement?
    private(set) var last: Entry?
    private var reserve: Reserve?
    private(set) var hasReserve = false
    private var beforeCommit: (@Sendable () -> Void)?
    /// Why nothing may be written any more.
    private var writesRefused: StoreError?

    init(path: String, chain: Chain) {
        self.path = path
        self.chain = chain
    }

    // MARK: Opening

    /// Connects for writing, makes the schema in a new file, and checks the end of the chain.
    func open(reserve: Reserve, beforeCommit: (@Sendable () -> Void)?) throws(StoreError) {
        try connect(to: path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, isWritable: true)
        self.reserve = reserve
        self.beforeCommit = beforeCommit
        try checkTail()
        hasReserve = reserve.occupy()
    }

    /// Connects for reading alone.
    func openForReading() throws(StoreError) {
        if isOnFixedGround {
            try connectToFixed()
        } else {
            do throws(StoreError) { try connect(to: path, flags: SQLITE_OPEN_READWRITE, isWritable: false) } catch {
                // On a disk so full that not even an empty log can be made, what was folded in can still be read.
                guard case .unavailable = error, !Connection.hasLog(path) else { throw error }
                try connectToFixed()
            }
        }
        writesRefused = .unavailable("cannot append to the journal \(path): it is open for reading only")
        last = try readLast()
    }

    /// Whether SQLite could neither take its lock nor tidy up here: a disk for reading only, or somebody else's folder.
    private var isOnFixedGround: Bool { access(folder, W_OK) != 0 || access(path, W_OK) != 0 }

    /// Connects without a lock. Refused for what somebody is writing, and for what was not folded into the file.
    private func connectToFixed() throws(StoreError) {
        if ServiceLock.holder(ofFile: folder + "/lock") != nil {
            throw .locked("cannot open the journal \(path): \(holder) holds it")
        }
        guard !Connection.hasLog(path) else {
            throw .unavailable(
                "cannot read the journal \(path): its last entries are in \(path)-wal, and the folder cannot be written to fold them in\n"
                    + "hint: copy the folder to a writable place and name that with --state")
        }
        try connect(to: path.fixedDatabase, flags: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, isWritable: false)
    }

    private func connect(to name: String, flags: Int32, isWritable: Bool) throws(StoreError) {
        do {
            let connection = try Connection(path: name, flags: flags)
            // Exclusive before anything is read: one connection alone, with the WAL's index in its own memory.
            // A journal is appended to and read in order: pages kept in memory serve nobody, and a daemon has a journal a service.
            try connection.execute(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA busy_timeout=300; PRAGMA trusted_schema=OFF; PRAGMA cache_size=-256")
            let isNew = try identify(connection, isWritable: isWritable)
            if isWritable {
                guard try connection.useWriteAheadLog() else {
                    throw StoreError.unavailable("cannot open the journal \(path): its disk does not allow write-ahead logging")
                }
                try connection.execute("PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON")
                connection.watchLog()
                if isNew { try createSchema(connection) }
                insert = try connection.prepare(
                    "INSERT INTO entry(sequence, epoch, rollout, at, body, previous, hash) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            } else {
                try connection.execute("PRAGMA query_only=ON")
            }
            self.connection = connection
        } catch let error as SQLiteError {
            throw opening(error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .unavailable("cannot open the journal \(path): \(error)")
        }
    }

    /// Refuses what is no journal of this schema. True for a new file, which has nothing in it yet.
    private func identify(_ connection: Connection, isWritable: Bool) throws -> Bool {
        switch try connection.owner(ifOwn: JournalFile.applicationID) {
        case .own(JournalFile.schemaVersion): return false
        case .nobody:
            guard !isWritable else { return true }
            throw StoreError.damaged(
                "cannot read the journal \(path): there is nothing in it; it was emptied, or the controller that was making it was stopped\n"
                    + "hint: the next controller of the service makes it anew")
        case .other(let application):
            throw StoreError.damaged(
                "cannot open the journal \(path): it is another application's database (application id \(application))")
        case .own(let version):
            throw StoreError.damaged(
                "cannot open the journal \(path): it has schema \(version), and this build knows \(JournalFile.schemaVersion)\n"
                    + "hint: use the version of Serin that wrote it")
        }
    }

    private func createSchema(_ connection: Connection) throws(SQLiteError) {
        try connection.execute(
            """
            BEGIN IMMEDIATE;
            CREATE TABLE entry(
                sequence INTEGER PRIMARY KEY CHECK(sequence > 0),
                epoch    INTEGER NOT NULL CHECK(epoch > 0),
                rollout  TEXT,
                at       INTEGER NOT NULL,
                body     TEXT    NOT NULL,
                previous BLOB    NOT NULL CHECK(length(previous) = 32),
                hash     BLOB    NOT NULL CHECK(length(hash) = 32)
            ) STRICT;
            CREATE INDEX entry_of_rollout ON entry(rollout, sequence);
            PRAGMA application_id=\(JournalFile.applicationID);
            PRAGMA user_version=\(JournalFile.schemaVersion);
            COMMIT;
            """)
    }

    private func opening(_ error: SQLiteError) -> StoreError {
        switch error.primary {
        case SQLITE_BUSY, SQLITE_LOCKED: .locked("cannot open the journal \(path): \(holder) holds it")
        case SQLITE_NOTADB: .damaged("cannot open the journal \(path): it is no database")
        case _ where error.meansDamage: .damaged("cannot open the journal \(path): \(words(error))")
        default: .unavailable("cannot open the journal \(path): \(words(error))")
        }
    }

    private var folder: String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "." }

    /// Who has the lock beside the file, for the message.
    private var holder: String {
        ServiceLock.holder(ofFile: folder + "/lock")?.description ?? "another process"
    }

    /// Checks that the last entries hold together and belong to the journal's count; the whole chain is `verifyChain`'s task.
    private func checkTail() throws(StoreError) {
        let count = 32
        let tail: [Entry] = try read(
            "SELECT \(JournalFile.columns) FROM entry ORDER BY sequence DESC LIMIT ?1", [.integer(Int64(count + 1))]
        ).reversed()
        let start = tail.count > count ? tail.first : nil
        var verification = ChainVerification(chain: chain, after: start, readsBodies: false)
        for entry in start == nil ? tail : Array(tail.dropFirst()) { verification.take(entry) }
        if let fault = verification.faults.first {
            throw .damaged(
                "cannot use the journal \(path): \(fault)\nhint: `serin verify` names everything that does not hold together")
        }
        last = tail.last
    }

    // MARK: Appending

    /// Links the drafts to the last entry and commits them in one transaction.
    func append(_ drafts: [Draft], epoch: Int64) throws(StoreError) -> [Entry] {
        if let writesRefused { throw writesRefused }
        guard let connection, let insert else { throw .unavailable("cannot append to the journal \(path): it is closed") }
        let linked: [Entry]
        do {
            linked = try chain.link(drafts, after: last, epoch: epoch)
        } catch {
            throw .unavailable("cannot append to the journal \(path): \(error)")
        }
        guard let end = linked.last else { return [] }
        var isCommitting = false
        do {
            try connection.execute("BEGIN IMMEDIATE")
            for entry in linked { try write(entry, with: insert) }
            beforeCommit?()
            isCommitting = true
            try connection.execute("COMMIT")
        } catch {
            throw undo(error, connection, wasCommitting: isCommitting)
        }
        last = end
        return linked
    }

    private func write(_ entry: Entry, with insert: Statement) throws(SQLiteError) {
        insert.reset()
        defer { insert.reset() }
        try insert.bind(1, entry.sequence)
        try insert.bind(2, entry.epoch)
        if let rollout = entry.rollout { try insert.bind(3, text: Array(rollout.description.utf8)) }
        try insert.bind(4, entry.at.millisecondsSince1970)
        try insert.bind(5, text: entry.body)
        try insert.bind(6, blob: entry.previous)
        try insert.bind(7, blob: entry.hash)
        _ = try insert.step()
    }

    /// Folds the write-ahead log into the file once it holds 1 MiB (256 pages): far less than the reserve, which on a full disk must
    /// hold both what is written and what the file grows by. Apart from the append that filled it, which SQLite's own way would
    /// let wait for three more syncs.
    func foldLog() {
        guard writesRefused == nil, let connection, connection.logPages >= 256 else { return }
        // What cannot be folded in stays in the log, is read from there, and is tried again after the next append.
        try? connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    }

    /// Takes a failed transaction back. Where it is not certain that nothing of it can come to light later, writing ends here.
    private func undo(_ error: SQLiteError, _ connection: Connection, wasCommitting: Bool) -> StoreError {
        var isCertain = false
        do {
            if connection.isInTransaction { try connection.execute("ROLLBACK") }
            isCertain = try connection.integer("SELECT max(sequence) FROM entry") ?? 0 == last?.sequence ?? 0
        } catch {
            isCertain = false
        }
        let what = "cannot append to the journal \(path): \(words(error))"
        if error.primary == SQLITE_FULL, isCertain {
            let wasReleased = reserve?.release() ?? false
            hasReserve = false
            return .unavailable(
                wasReleased
                    ? "\(what); the reserve of \((reserve?.size ?? 0) >> 10) KiB was released, so that a rollback can be journaled"
                    : "\(what), and the reserve is used up\nhint: make room on the disk")
        }
        // A failed sync may have written the transaction all the same, and repeating it proves nothing.
        let mayRetry = isCertain && !wasCommitting && error.primary != SQLITE_IOERR && error.primary != SQLITE_CORRUPT
        guard !mayRetry else { return .unavailable(what) }
        let refusal = StoreError.uncertain("\(what); nobody knows whether it was written, so the store must be opened again")
        writesRefused = refusal
        return refusal
    }

    /// Ends the connection; statements first.
    func close() {
        insert = nil
        connection = nil
    }

    /// SQLite's words with its code.
    func words(_ error: SQLiteError) -> String { "\(error.message) (SQLite error \(error.code))" }
}
