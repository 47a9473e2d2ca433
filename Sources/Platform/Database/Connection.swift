internal import CLibPQ
internal import Glibc
public import SerinModel

/// The monotonic moment after which nothing is waited for any more.
public typealias TimeLimit = ContinuousClock.Instant

/// The rows of one answer, every value as text.
public struct Rows: Sendable {
    /// The values by row and column; nil is SQL's NULL.
    public var values: [[String?]]

    /// The first row, which a query without `FROM` always has.
    public var first: [String?] { values.first ?? [] }
}

/// What a session is for, and what it may do.
public struct SessionPurpose: Sendable, Hashable {
    /// The name under which `pg_stat_activity` shows the session.
    public var applicationName: String
    /// The statements sent right after connecting: time limits, search path, whether it may write.
    public var setUp: String
    /// What to do when the server refuses the role something.
    public var deniedHint: String

    /// A purpose.
    public init(applicationName: String, setUp: String, deniedHint: String) {
        self.applicationName = applicationName
        self.setUp = setUp
        self.deniedHint = deniedHint
    }
}

/// Why the database did not answer: a failure for people, and the server's code for the reader.
public struct DatabaseError: Error {
    /// The words and the class.
    public var failure: Failure
    /// The SQLSTATE the server sent; nil when it sent none.
    public var state: String?
    /// Whether the connection is of no more use.
    public var isConnectionLost: Bool

    /// An error with its words.
    public init(failure: Failure, state: String?, isConnectionLost: Bool) {
        self.failure = failure
        self.state = state
        self.isConnectionLost = isConnectionLost
    }

    /// Whether the server is gone, stopped or just starting or ending (class 57P), as opposed to refusing us.
    public var isAbsence: Bool { isConnectionLost && failure.kind == .transient && (state?.hasPrefix("57P") ?? true) }
}

/// Codes of the server (PostgreSQL documentation, appendix A).
public enum SQLState {
    /// No connection is free.
    public static let tooManyConnections = "53300"
    /// A time limit or another session cancelled the statement.
    public static let queryCanceled = "57014"
}

/// One libpq connection, used by one thread, on which every wait ends at a given moment.
///
/// libpq's blocking calls would wait for ever on a server that is stopped but keeps its sockets open, so only the non-blocking
/// interface is used. A query that is given up is not cancelled with `PQcancel`, which waits for that same server: the connection
/// is closed, and `statement_timeout` ends the query on the server's side.
public final class Connection {
    private let handle: OpaquePointer
    private let purpose: SessionPurpose
    /// The server's name in messages.
    public let name: String

    /// Connects and limits what the session may do; libpq looks a host name up without a limit, so the caller keeps a limit too.
    ///
    /// - Parameters:
    ///   - text: The connection string, as libpq reads it.
    ///   - name: What the server is called in messages.
    ///   - limit: For connecting and setting up; connecting itself takes 3 s at most.
    public init(_ text: String, name: String, purpose: SessionPurpose, limit: TimeLimit) throws(DatabaseError) {
        self.name = name
        self.purpose = purpose
        let settings: [(String, String)] = [
            ("dbname", text), ("application_name", purpose.applicationName), ("connect_timeout", "3"),
            ("tcp_user_timeout", "5000"),
            ("keepalives_idle", "15"), ("client_encoding", "UTF8"),
        ]
        var keywords = settings.map { strdup($0.0).map { UnsafePointer($0) } } + [nil]
        var values = settings.map { strdup($0.1).map { UnsafePointer($0) } } + [nil]
        defer { for pointer in keywords + values { free(UnsafeMutablePointer(mutating: pointer)) } }
        guard let handle = PQconnectStartParams(&keywords, &values, 1) else {
            throw DatabaseError(
                failure: Failure(.transient, "cannot connect to \(name): out of memory"), state: nil, isConnectionLost: true)
        }
        self.handle = handle
        // Only the verbose form carries the code, and the code is the same in every language of the server.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        try connect(min(limit, ContinuousClock.now + .seconds(3)))
        PQsetnonblocking(handle, 1)
        // `SET` and not `options`: connection poolers refuse the latter.
        _ = try query(purpose.setUp, limit: limit)
    }

    deinit { PQfinish(handle) }

    /// The server's version as a number, such as 150020.
    public var version: Int { Int(PQserverVersion(handle)) }

    private func connect(_ limit: TimeLimit) throws(DatabaseError) {
        guard PQstatus(handle) != CONNECTION_BAD else { throw lost("connect to") }
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED else { throw lost("connect to") }
            guard wait(for: state == PGRES_POLLING_READING ? POLLIN : POLLOUT, limit) else {
                throw silence("connect to")
            }
            state = PQconnectPoll(handle)
        }
    }

    /// Sends one statement, or several without parameters, and returns the rows of the last.
    /// One with a NUL is refused: the server would see what stands before it and nothing else.
    public func query(_ sql: String, limit: TimeLimit) throws(DatabaseError) -> Rows {
        guard !sql.utf8.contains(0) else {
            throw DatabaseError(
                failure: Failure(.invalid, "cannot ask \(name): the SQL holds a NUL byte"), state: nil, isConnectionLost: false)
        }
        guard PQsendQuery(handle, sql) == 1 else { throw lost("ask") }
        while true {
            let left = PQflush(handle)
            if left == 0 { break }
            guard left == 1 else { throw lost("ask") }
            guard wait(for: POLLIN | POLLOUT, limit) else { throw silence("ask") }
            guard PQconsumeInput(handle) == 1 else { throw lost("ask") }
        }
        var rows = Rows(values: [])
        var error: DatabaseError?
        while true {
            while PQisBusy(handle) == 1 {
                guard wait(for: POLLIN, limit) else { throw silence("ask") }
                guard PQconsumeInput(handle) == 1 else { throw lost("ask") }
            }
            guard let result = PQgetResult(handle) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK: rows = copy(result)
            case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: break
            default:
                error = failure("ask", String(cString: PQresultErrorMessage(result)), isLost: PQstatus(handle) == CONNECTION_BAD)
            }
        }
        if let error { throw error }
        guard PQstatus(handle) == CONNECTION_OK else { throw lost("ask") }
        return rows
    }

    private func copy(_ result: OpaquePointer) -> Rows {
        let columns = PQnfields(result)
        return Rows(
            values: (0..<PQntuples(result)).map { row in
                (0..<columns).map { column in
                    PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
                }
            })
    }

    /// Waits until the socket is ready; false when the limit passes first.
    private func wait(for events: Int32, _ limit: TimeLimit) -> Bool {
        while true {
            let left = ContinuousClock.now.duration(to: limit).components
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
            guard milliseconds > 0 else { return false }
            var polled = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
            let count = poll(&polled, 1, Int32(clamping: milliseconds))
            if count > 0 { return true }
            if count < 0, errno != EINTR { return true }
        }
    }

    private func silence(_ verb: String) -> DatabaseError {
        DatabaseError(
            failure: Failure(.transient, "cannot \(verb) \(name): no answer in time"), state: nil, isConnectionLost: true)
    }

    private func lost(_ verb: String) -> DatabaseError {
        failure(verb, String(cString: PQerrorMessage(handle)), isLost: true)
    }

    private func failure(_ verb: String, _ message: String, isLost: Bool) -> DatabaseError {
        let said = ServerMessage(message)
        return DatabaseError(
            failure: Failure(said.kind, "cannot \(verb) \(name): \(said.text)", hint: said.hint(ofDenial: purpose.deniedHint)),
            state: said.state,
            isConnectionLost: isLost)
    }
}
