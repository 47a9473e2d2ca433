internal import CSQLite
internal import SerinCatalogue
internal import SerinModel
internal import SerinPorts
internal import SerinRecords

/// The catalogue's database, as one thread sees it. Other processes write to it too: every transaction is short, begins with the
/// right to write, and first reads what they appended.
///
/// Unchecked: it owns a connection without SQLite's own locking; the store calls every method on its one thread.
final class CatalogueFile: @unchecked Sendable {
    static let applicationID: Int64 = 0x5352_4243
    static let schemaVersion: Int64 = 1

    let path: String
    private var connection: Connection?
    /// How long a reading waits for others; nil where the file is open for writing too.
    private var readingPatience: Int?
    private(set) var log: CatalogueLog
    /// The file's device and inode when it was opened.
    private var identity: [UInt64] = []
    /// Why nothing may be written any more.
    private var writesRefused: String?

    init(path: String, chain: Chain) {
        self.path = path
        log = CatalogueLog(chain: chain)
    }

    // MARK: Opening

    /// Connects, makes the schema in a new file, and reads the whole log.
    func open(busyMilliseconds: Int) throws(CatalogueStoreError) {
        do {
            let connection = try Connection(path: path, flags: SQLITE_OPEN_READWRITE)
            try connection.execute(
                "PRAGMA busy_timeout=\(busyMilliseconds); PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON")
            try refuseOthers(connection)
            guard try connection.useWriteAheadLog(waiting: busyMilliseconds) else {
                throw CatalogueStoreError.unavailable(
                    Failure(.denied, "cannot open the catalogue \(path): its disk does not allow write-ahead logging"))
            }
            try connection.execute("PRAGMA synchronous=FULL")
            if try isEmpty(connection) {
                // Another process may have made it meanwhile.
                try connection.transaction { if try isEmpty(connection) { try connection.execute(CatalogueFile.schema) } }
            }
            identity = Connection.fileIdentity(path)
            self.connection = connection
            try refresh(connection)
        } catch let error as SQLiteError {
            throw failure(error, "open")
        } catch let error as CatalogueStoreError {
            throw error
        } catch {
            throw .unavailable(Failure(.transient, "cannot open the catalogue \(path): \(error)"))
        }
    }

    /// Looks whether there is something to read, and lets nothing be written. False for a file that has nothing in it.
    func openForReading(busyMilliseconds: Int) throws(CatalogueStoreError) -> Bool {
        readingPatience = busyMilliseconds
        writesRefused = "it is open for reading only"
        do {
            return try Connection.reading(path, busyMilliseconds: busyMilliseconds) { connection in
                try refuseOthers(connection)
                return try !isEmpty(connection)
            }
        } catch let error as SQLiteError {
            throw failure(error, "read")
        } catch let error as CatalogueStoreError {
            throw error
        } catch {
            throw .unavailable(Failure(.transient, "cannot read the catalogue \(path): \(error)"))
        }
    }

    private func isEmpty(_ connection: Connection) throws(SQLiteError) -> Bool {
        try connection.integer("PRAGMA user_version") ?? 0 == 0
    }

    private func refuseOthers(_ connection: Connection) throws {
        switch try connection.owner(ifOwn: CatalogueFile.applicationID) {
        case .nobody, .own(CatalogueFile.schemaVersion): return
        case .other(let application):
            throw CatalogueStoreError.damaged(
                Failure(
                    .invalid,
                    "cannot open the catalogue \(path): it is another application's database (application id \(application))"))
        case .own(let version):
            throw CatalogueStoreError.unavailable(
                Failure(
                    .invalid,
                    "cannot open the catalogue \(path): it has schema \(version), and this build knows \(CatalogueFile.schemaVersion)",
                    hint: "use the version of Serin that wrote it, or a later one"))
        }
    }

    private static let schema = """
        CREATE TABLE entry(
            sequence INTEGER PRIMARY KEY CHECK(sequence > 0),
            at       INTEGER NOT NULL,
            body     TEXT    NOT NULL,
            previous BLOB    NOT NULL CHECK(length(previous) = 32),
            hash     BLOB    NOT NULL CHECK(length(hash) = 32)
        ) STRICT;
        CREATE TRIGGER entry_only_at_the_end BEFORE INSERT ON entry
            WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM entry)
            BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
        CREATE TRIGGER entry_is_not_changed BEFORE UPDATE ON entry
            BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
        CREATE TRIGGER entry_is_not_deleted BEFORE DELETE ON entry
            BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
        CREATE TABLE lease(target TEXT PRIMARY KEY, token INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
        CREATE TABLE last_token(only INTEGER PRIMARY KEY CHECK(only = 1), token INTEGER NOT NULL) STRICT;
        INSERT INTO last_token VALUES(1, 0);
        CREATE TABLE job(id TEXT PRIMARY KEY, state TEXT NOT NULL, created INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
        CREATE INDEX job_by_state ON job(state, created);
        PRAGMA application_id=\(applicationID);
        PRAGMA user_version=\(schemaVersion);
        """

    func close() {
        connection = nil
        readingPatience = nil
    }

    // MARK: Transactions

    /// What a transaction wants committed besides its rows.
    struct Outcome<Value> {
        var value: Value
        /// The log after it; nil when it appended nothing.
        var log: CatalogueLog?
    }

    /// Reads with everything that others have committed.
    func reading<Value>(_ body: (Connection) throws -> Value) throws(CatalogueStoreError) -> Value {
        do {
            if let readingPatience {
                return try Connection.reading(path, busyMilliseconds: readingPatience) { connection in
                    try refresh(connection)
                    return try body(connection)
                }
            }
            guard let connection else { throw closed }
            try refresh(connection)
            return try body(connection)
        } catch let error as SQLiteError {
            throw failure(error, "read")
        } catch let error as CatalogueStoreError {
            throw error
        } catch {
            throw .damaged(Failure(.invalid, "cannot read the catalogue \(path): \(error)"))
        }
    }

    /// Runs a transaction with the right to write, after everything that others have committed. All of it becomes durable, or none.
    func writing<Value>(_ body: (Connection) throws -> Outcome<Value>) throws(CatalogueStoreError) -> Value {
        if let writesRefused {
            throw .unavailable(Failure(.transient, "cannot write the catalogue \(path): \(writesRefused)"))
        }
        guard let connection else { throw closed }
        guard Connection.fileIdentity(path) == identity else {
            throw .unavailable(
                Failure(.conflict, "cannot write the catalogue \(path): the file was removed or replaced since it was opened"))
        }
        var isCommitting = false
        do {
            try connection.execute("BEGIN IMMEDIATE")
            try refresh(connection)
            let outcome = try body(connection)
            isCommitting = true
            try connection.execute("COMMIT")
            if let log = outcome.log { self.log = log }
            return outcome.value
        } catch let error as SQLiteError {
            undo(connection)
            // A failed sync may have written the transaction all the same, and repeating it proves nothing.
            let isUncertain = error.primary == SQLITE_IOERR || error.primary == SQLITE_CORRUPT
            if isUncertain { writesRefused = "an earlier write failed (\(words(error))); it must be opened again" }
            throw failure(error, "write", isUnknown: isCommitting && isUncertain)
        } catch let error as CatalogueStoreError {
            undo(connection)
            throw error
        } catch {
            undo(connection)
            throw .damaged(Failure(.invalid, "cannot write the catalogue \(path): \(error)"))
        }
    }

    private func undo(_ connection: Connection) {
        do {
            if connection.isInTransaction { try connection.execute("ROLLBACK") }
        } catch {
            writesRefused = "a transaction could not be taken back; it must be opened again"
        }
    }

    /// Takes in what is new in the log.
    private func refresh(_ connection: Connection) throws {
        let known = log.last?.sequence ?? 0
        let statement = try connection.prepare(
            "SELECT sequence, at, body, previous, hash FROM entry WHERE sequence >= ?1 ORDER BY sequence")
        try statement.bind(1, max(known, 1))
        var isFirst = known > 0
        while try statement.step() {
            let entry = Entry(
                sequence: statement.integer(0), epoch: 1, rollout: nil,
                at: Instant(millisecondsSince1970: statement.integer(1)), body: statement.bytes(2), previous: statement.bytes(3),
                hash: statement.bytes(4))
            if isFirst {
                isFirst = false
                guard entry == log.last else { throw rewritten(known) }
                continue
            }
            do {
                try log.take(entry)
            } catch {
                throw CatalogueStoreError.damaged(
                    Failure(
                        .invalid, "the catalogue \(path) does not hold together: \(error)",
                        hint: "keep the file as evidence, and rebuild the catalogue from the manifests at the destinations"))
            }
        }
        if isFirst { throw rewritten(known) }
    }

    private func rewritten(_ known: Int64) -> CatalogueStoreError {
        .damaged(Failure(.invalid, "the catalogue \(path) was rewritten: entry \(known) is not the one that was there"))
    }

    // MARK: Failures

    private var closed: CatalogueStoreError {
        .unavailable(Failure(.invalid, "cannot use the catalogue \(path): it is closed"))
    }

    private func words(_ error: SQLiteError) -> String { "\(error.message) (SQLite error \(error.code))" }

    private func failure(_ error: SQLiteError, _ verb: String, isUnknown: Bool = false) -> CatalogueStoreError {
        let text = "cannot \(verb) the catalogue \(path): \(words(error))"
        switch error.primary {
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return .damaged(
                Failure(
                    .invalid, text,
                    hint: "keep the file as evidence, and rebuild the catalogue from the manifests at the destinations"))
        case SQLITE_BUSY, SQLITE_LOCKED:
            return .unavailable(Failure(.transient, text, hint: "another process is writing to it for too long"))
        case SQLITE_FULL: return .unavailable(Failure(.transient, text, hint: "make room on the disk"))
        // The files beside it need room even for reading, and SQLite calls that an error of the disk.
        case SQLITE_IOERR where Connection.hasNoRoom(path):
            return .unavailable(
                Failure(
                    isUnknown ? .unknown : .transient, "\(text): no space is left on its disk", hint: "make room on the disk"))
        case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH, SQLITE_CANTOPEN:
            let hint =
                readingPatience == nil
                ? "the folder and the file must be writable for this user"
                : Connection.hasLog(path)
                    ? "its last entries are in \(path)-wal: copy the folder to a writable place, and name that with --state"
                    : "the file must be readable for this user"
            return .unavailable(Failure(.denied, text, hint: hint))
        default: return .unavailable(Failure(isUnknown ? .unknown : .transient, text))
        }
    }
}
