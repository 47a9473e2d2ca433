internal import CSQLite
internal import SerinAccess
internal import SerinCrypto
internal import SerinModel
internal import SerinRecords

/// The database of who may do what, as one thread sees it. Other processes write to it too: every transaction is short, and first
/// reads what they appended.
///
/// Unchecked: it owns a connection without SQLite's own locking; the store calls every method on its one thread.
final class AccessFile: @unchecked Sendable {
    private static let applicationID: Int64 = 0x5352_4143
    private static let schemaVersion: Int64 = 1

    let path: String
    private var connection: Connection?
    private var log: AccessLog
    /// The file's device and inode when it was opened.
    private var identity: [UInt64] = []

    init(path: String, chain: Chain) {
        self.path = path
        log = AccessLog(chain: chain)
    }

    private static let schema = """
        CREATE TABLE entry(
            sequence INTEGER PRIMARY KEY CHECK(sequence > 0),
            at       INTEGER NOT NULL,
            body     TEXT    NOT NULL,
            previous BLOB    NOT NULL CHECK(length(previous) = 32),
            hash     BLOB    NOT NULL CHECK(length(hash) = 32)
        ) STRICT;
        CREATE TRIGGER entry_is_not_changed BEFORE UPDATE ON entry
            BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
        CREATE TRIGGER entry_is_not_deleted BEFORE DELETE ON entry
            BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
        CREATE TABLE used(token TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        PRAGMA application_id=\(applicationID);
        PRAGMA user_version=\(schemaVersion);
        """

    /// Opens the file, making its tables where there are none.
    ///
    /// - Parameter writes: Whether it is to be written to by this connection. One that only reads waits for no writer, and must be opened
    ///   after one that writes.
    func open(busyMilliseconds: Int, writes: Bool) throws(Failure) {
        try attempt("open") {
            let connection = try Connection(path: path, flags: SQLITE_OPEN_READWRITE)
            try connection.execute(
                "PRAGMA busy_timeout=\(busyMilliseconds); PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON")
            // Where the disk allows no such log, the file is as durable with SQLite's own.
            if writes {
                _ = try connection.useWriteAheadLog(waiting: busyMilliseconds)
                try connection.execute("PRAGMA synchronous=FULL")
            } else {
                try connection.execute("PRAGMA query_only=ON")
            }
            // One that has its tables is opened while another process writes.
            if writes, try !hasTables(connection) {
                try connection.transaction {
                    if try !hasTables(connection) { try connection.execute(AccessFile.schema) }
                }
            }
            identity = Connection.fileIdentity(path)
            self.connection = connection
            try refresh(connection)
        }
    }

    /// Whether its tables were made. A file of somebody else's is an error.
    private func hasTables(_ connection: Connection) throws -> Bool {
        switch try connection.owner(ifOwn: AccessFile.applicationID) {
        case .nobody: return false
        case .own(AccessFile.schemaVersion): return true
        case .own, .other:
            throw Failure(
                .invalid, "cannot open the tokens \(path): it is another application's database, or of another version",
                hint: "use the version of Serin that wrote it, or a later one")
        }
    }

    func close() { connection = nil }

    func append(_ line: AccessLine) throws(Failure) -> Int64 {
        try using("write") { connection in
            let (log, entry) = try connection.transaction {
                try refresh(connection)
                let (log, entry) = try self.log.appending(line)
                let insert = try connection.prepare("INSERT INTO entry VALUES(?1, ?2, ?3, ?4, ?5)")
                try insert.bind(1, entry.sequence)
                try insert.bind(2, entry.at.millisecondsSince1970)
                try insert.bind(3, text: entry.body)
                try insert.bind(4, blob: entry.previous)
                try insert.bind(5, blob: entry.hash)
                _ = try insert.step()
                return (log, entry)
            }
            self.log = log
            return entry.sequence
        }
    }

    func state() throws(Failure) -> AccessState {
        try using("read") { connection in
            try refresh(connection)
            return log.state
        }
    }

    func entries(after sequence: Int64, limit: Int) throws(Failure) -> [AccessEntry] {
        try using("read") { connection in
            try refresh(connection)
            let statement = try connection.prepare(
                "SELECT sequence, at, body, previous, hash FROM entry WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")
            try statement.bind(1, sequence)
            try statement.bind(2, Int64(limit))
            var entries: [AccessEntry] = []
            while try statement.step() {
                let entry = entry(statement)
                entries.append(
                    AccessEntry(
                        sequence: entry.sequence, line: try AccessLog.line(of: entry), hash: Hexadecimal.text(of: entry.hash)))
            }
            return entries
        }
    }

    func note(_ uses: [String: Instant]) throws(Failure) {
        try using("write") { connection in
            try connection.transaction {
                let upsert = try connection.prepare(
                    "INSERT INTO used VALUES(?1, ?2) ON CONFLICT(token) DO UPDATE SET at = max(at, excluded.at)")
                for (token, at) in uses {
                    try upsert.bind(1, text: Array(token.utf8))
                    try upsert.bind(2, at.millisecondsSince1970)
                    _ = try upsert.step()
                    upsert.reset()
                }
            }
        }
    }

    func uses() throws(Failure) -> [String: Instant] {
        try using("read") { connection in
            let statement = try connection.prepare("SELECT token, at FROM used")
            var uses: [String: Instant] = [:]
            while try statement.step() {
                uses[String(decoding: statement.bytes(0), as: UTF8.self)] = Instant(millisecondsSince1970: statement.integer(1))
            }
            return uses
        }
    }

    // MARK: The log

    private func entry(_ statement: Statement) -> Entry {
        Entry(
            sequence: statement.integer(0), epoch: 1, rollout: nil, at: Instant(millisecondsSince1970: statement.integer(1)),
            body: statement.bytes(2), previous: statement.bytes(3), hash: statement.bytes(4))
    }

    /// Takes in what is new in the log. The entry that was the last must still be there as it was.
    private func refresh(_ connection: Connection) throws {
        let known = log.last?.sequence ?? 0
        let statement = try connection.prepare(
            "SELECT sequence, at, body, previous, hash FROM entry WHERE sequence >= ?1 ORDER BY sequence")
        try statement.bind(1, max(known, 1))
        var isKnown = known == 0
        while try statement.step() {
            let entry = entry(statement)
            guard isKnown else {
                isKnown = entry == log.last
                guard isKnown else { break }
                continue
            }
            do throws(Failure) { try log.take(entry) } catch {
                throw Failure(
                    .invalid, "the tokens \(path) do not hold together: \(error.message)",
                    hint: "keep the file as evidence, move it away, and make new tokens")
            }
        }
        guard isKnown else {
            throw Failure(.invalid, "the tokens \(path) were rewritten: entry \(known) is not the one that was there")
        }
    }

    // MARK: Transactions

    private func using<Value>(_ verb: String, _ body: (Connection) throws -> Value) throws(Failure) -> Value {
        guard let connection else { throw Failure(.invalid, "cannot \(verb) the tokens \(path): they are closed") }
        guard Connection.fileIdentity(path) == identity else {
            throw Failure(
                .conflict, "cannot \(verb) the tokens \(path): the file was removed or replaced since it was opened",
                hint: "start the daemon again")
        }
        return try attempt(verb) { try body(connection) }
    }

    private func attempt<Value>(_ verb: String, _ body: () throws -> Value) throws(Failure) -> Value {
        do { return try body() } catch let error as SQLiteError {
            let text = "cannot \(verb) the tokens \(path): \(error.message)"
            switch error.primary {
            case SQLITE_CORRUPT, SQLITE_NOTADB: throw Failure(.invalid, text, hint: "keep the file as evidence, and move it away")
            case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH, SQLITE_CANTOPEN:
                throw Failure(.denied, text, hint: "the folder and the file must be writable for this user")
            default: throw Failure(.transient, text)
            }
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(.transient, "cannot \(verb) the tokens \(path): \(error)")
        }
    }
}
