internal import CSQLite
internal import Glibc

extension String {
    /// The address of the database at this path as one that nobody changes meanwhile, so that SQLite needs no lock beside it.
    var fixedDatabase: String {
        let escaped = utf8.map { byte in
            byte == UInt8(ascii: "/") ? "/" : "%" + String(byte >> 4, radix: 16) + String(byte & 0xF, radix: 16)
        }
        return "file:" + escaped.joined() + "?mode=ro&immutable=1"
    }
}

/// What all databases of the state folder have in common: how they are recognised, their log mode, and their transactions.
extension Connection {
    /// Whose database a file is.
    enum Owner {
        /// Nobody's yet: it holds nothing.
        case nobody
        /// Ours, with this schema.
        case own(version: Int64)
        /// Another application's.
        case other(application: Int64)
    }

    /// Reads whose database it is from its header. In one statement, so in one moment: another process may be making it.
    func owner(ifOwn applicationID: Int64) throws(SQLiteError) -> Owner {
        let header = try prepare(
            """
            SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)
            """)
        _ = try header.step()
        let (application, version, tables) = (header.integer(0), header.integer(1), header.integer(2))
        if application == 0, version == 0, tables == 0 { return .nobody }
        return application == applicationID ? .own(version: version) : .other(application: application)
    }

    /// Whether the file system of a file has less room than the files beside it begin with.
    static func hasNoRoom(_ path: String) -> Bool {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return false }
        // What is set aside for root is no room for others.
        let blocks = geteuid() == 0 ? status.f_bfree : status.f_bavail
        return UInt64(blocks) * UInt64(status.f_frsize) < 64 << 10
    }

    /// Reads a database that others may write, also where nothing can be written: on a full disk, or on one for reading only.
    ///
    /// SQLite keeps the index of a write-ahead log in a file beside it. Where that cannot be made no other process has the file open, so it
    /// can be had alone, with the index in memory. And where not even the log can be made, nobody can write to the file.
    ///
    /// - Parameters:
    ///   - milliseconds: How long it waits for another process.
    ///   - body: Is called again where the first way fails under it.
    static func reading<Value>(
        _ path: String, busyMilliseconds milliseconds: Int, _ body: (Connection) throws -> Value
    ) throws -> Value {
        func read(_ name: String, flags: Int32, mode: String, patience milliseconds: Int = milliseconds) throws -> Value {
            let connection = try Connection(path: name, flags: flags)
            try connection.execute(
                "PRAGMA locking_mode=\(mode); PRAGMA busy_timeout=\(milliseconds); PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA query_only=ON"
            )
            return try body(connection)
        }
        // Two that want the file for themselves would each keep what the other waits for, so each lets go between its tries.
        func readAlone() throws -> Value {
            let limit = ContinuousClock.now + .milliseconds(milliseconds)
            while true {
                do { return try read(path, flags: SQLITE_OPEN_READWRITE, mode: "EXCLUSIVE", patience: 0) } catch let error
                    as SQLiteError
                {
                    guard error.primary == SQLITE_BUSY, ContinuousClock.now < limit else { throw error }
                    // sleeps: on the store's own thread, until the limit; not in step with another process
                    usleep(useconds_t(5000 + getpid() % 16 * 500))
                }
            }
        }
        do { return try read(path, flags: SQLITE_OPEN_READWRITE, mode: "NORMAL") } catch let error as SQLiteError {
            guard error.meansNoWriting else { throw error }
            do { return try readAlone() } catch let other as SQLiteError {
                guard other.meansNoWriting, !hasLog(path) else { throw other.meansNoWriting ? error : other }
                return try read(path.fixedDatabase, flags: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, mode: "NORMAL")
            }
        }
    }

    /// Whether a database has changes in its write-ahead log that may not be in the file.
    static func hasLog(_ path: String) -> Bool {
        var status = stat()
        return stat(path + "-wal", &status) == 0 && status.st_size > 0
    }

    /// Has changes written to a log beside the file first. False where the disk does not allow that.
    ///
    /// - Parameter milliseconds: How long it waits for another process, since SQLite does not wait by itself where two change a new
    ///   file's mode at once.
    func useWriteAheadLog(waiting milliseconds: Int = 0) throws(SQLiteError) -> Bool {
        var left = milliseconds == 0 ? 0 : max(1, milliseconds / 5)
        while true {
            do throws(SQLiteError) {
                return try text("PRAGMA journal_mode=WAL") == "wal"
            } catch {
                guard error.primary == SQLITE_BUSY, left > 0 else { throw error }
                left -= 1
                // sleeps: on the store's own thread, a bounded number of times
                usleep(5000)
            }
        }
    }

    /// Runs a body with the right to write; all of it becomes durable, or none.
    func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try execute("BEGIN IMMEDIATE")
        do {
            let value = try body()
            try execute("COMMIT")
            return value
        } catch {
            if isInTransaction { try execute("ROLLBACK") }
            throw error
        }
    }

    /// The device and inode of a file; nothing when it is gone.
    static func fileIdentity(_ path: String) -> [UInt64] {
        var status = stat()
        return stat(path, &status) == 0 ? [UInt64(status.st_dev), UInt64(status.st_ino)] : []
    }
}
