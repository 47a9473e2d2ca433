internal import CSQLite

/// What SQLite answered instead of success.
struct SQLiteError: Error {
    /// The extended result code.
    var code: Int32
    /// SQLite's words, without the statement's values.
    var message: String

    /// The primary result code.
    var primary: Int32 { code & 0xFF }

    /// Whether a file could not be made or written, or not be locked for it.
    var meansNoWriting: Bool { [SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN, SQLITE_READONLY].contains(primary) }

    /// Whether the file is not what was written: no database, one whose pages make no sense, or one without our tables. A statement
    /// of ours that makes no sense to SQLite (`SQLITE_ERROR`) has no other cause.
    var meansDamage: Bool { [SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_ERROR].contains(primary) }
}

/// One SQLite connection. It belongs to one thread and is closed with its last reference.
final class Connection {
    private let handle: OpaquePointer
    /// How many pages the write-ahead log held after the latest commit; counted once `watchLog` was called.
    fileprivate(set) var logPages: Int32 = 0

    /// Opens a database file.
    init(path: String, flags: Int32) throws(SQLiteError) {
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
            sqlite3_close_v2(opened)
            throw SQLiteError(code: code, message: message)
        }
        handle = opened
    }

    deinit { sqlite3_close_v2(handle) }

    /// Runs statements that return no rows.
    func execute(_ text: String) throws(SQLiteError) {
        let code = sqlite3_exec(handle, text, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code) }
    }

    /// Counts the pages of the write-ahead log from now on, and leaves folding it into the file to the caller: SQLite does one or
    /// the other.
    func watchLog() {
        sqlite3_wal_hook(
            handle,
            { context, _, _, pages in
                guard let context else { return SQLITE_OK }
                Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().logPages = pages
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Prepares one statement.
    func prepare(_ text: String) throws(SQLiteError) -> Statement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(handle, text, -1, &statement, nil)
        guard code == SQLITE_OK, let statement else { throw error(code) }
        return Statement(handle: statement, connection: self)
    }

    /// The first column of the first row as a number; nil without a row.
    func integer(_ text: String) throws(SQLiteError) -> Int64? { try first(text) { $0.integer(0) } }

    /// The first column of the first row as text; nil without a row.
    func text(_ text: String) throws(SQLiteError) -> String? {
        try first(text) { String(decoding: $0.bytes(0), as: UTF8.self) }
    }

    /// Runs a statement to its end: what a pragma writes may fail only after it has given its row.
    private func first<Value>(_ text: String, _ value: (Statement) -> Value) throws(SQLiteError) -> Value? {
        let statement = try prepare(text)
        guard try statement.step() else { return nil }
        let first = value(statement)
        while try statement.step() {}
        return first
    }

    /// Whether a transaction is open.
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    fileprivate func error(_ code: Int32) -> SQLiteError {
        SQLiteError(code: code, message: String(cString: sqlite3_errmsg(handle)))
    }
}

/// One prepared statement, finalised with its last reference, always before its connection is closed.
final class Statement {
    private let handle: OpaquePointer
    private let connection: Connection

    fileprivate init(handle: OpaquePointer, connection: Connection) {
        self.handle = handle
        self.connection = connection
    }

    deinit { sqlite3_finalize(handle) }

    /// Makes it ready to run again, with no values bound.
    func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }

    func bind(_ index: Int32, _ value: Int64) throws(SQLiteError) { try check(sqlite3_bind_int64(handle, index, value)) }

    func bind(_ index: Int32, text: [UInt8]) throws(SQLiteError) {
        let code = text.withUnsafeBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text(handle, index, $0.baseAddress, Int32(truncatingIfNeeded: $0.count), transient)
            }
        }
        try check(code)
    }

    func bind(_ index: Int32, blob: [UInt8]) throws(SQLiteError) {
        try check(sqlite3_bind_blob64(handle, index, blob, UInt64(blob.count), transient))
    }

    /// Runs to the next row; false at the end.
    func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw connection.error(code)
        }
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// A text's or blob's bytes.
    func bytes(_ column: Int32) -> [UInt8] {
        let start = sqlite3_column_blob(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        guard let start, count > 0 else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw connection.error(code) }
    }
}

/// SQLITE_TRANSIENT, a macro that Swift cannot import: SQLite copies the bytes before the call returns.
private var transient: sqlite3_destructor_type? { unsafeBitCast(-1, to: sqlite3_destructor_type?.self) }
