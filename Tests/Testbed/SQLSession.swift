internal import CLibPQ
internal import Glibc
internal import SerinModel

/// One libpq connection for statements of tests, which are too many to start a client for each.
struct SQLSession {
    private let handle: OpaquePointer
    private let limit: ContinuousClock.Instant

    private init(_ handle: OpaquePointer, _ limit: ContinuousClock.Instant) {
        self.handle = handle
        self.limit = limit
    }

    /// Runs statements in one message and gives all rows as `psql -qAt` prints them. Blocks for as long as `deadline`.
    static func run(_ text: String, at url: String, within deadline: Duration) throws(Failure) -> String {
        guard let handle = PQconnectStart(url) else { throw Failure(.transient, "no memory for a connection") }
        defer { PQfinish(handle) }
        let session = SQLSession(handle, .now + .milliseconds(deadline.milliseconds))
        try session.connect()
        return try session.send(text)
    }

    private func connect() throws(Failure) {
        guard PQstatus(handle) != CONNECTION_BAD else { throw failure }
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED else { throw failure }
            try wait(for: state == PGRES_POLLING_READING ? POLLIN : POLLOUT)
            state = PQconnectPoll(handle)
        }
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
    }

    private func send(_ text: String) throws(Failure) -> String {
        guard PQsendQuery(handle, text) == 1 else { throw failure }
        var lines: [String] = []
        var error: Failure?
        while true {
            while PQisBusy(handle) == 1 {
                try wait(for: POLLIN)
                guard PQconsumeInput(handle) == 1 else { throw failure }
            }
            guard let result = PQgetResult(handle) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK: lines += rows(of: result)
            case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: break
            default: error = Failure(.invalid, String(cString: PQresultErrorMessage(result)))
            }
        }
        if let error { throw error }
        return lines.joined(separator: "\n")
    }

    private func rows(of result: OpaquePointer) -> [String] {
        let columns = PQnfields(result)
        return (0..<PQntuples(result)).map { row in
            (0..<columns).map { String(cString: PQgetvalue(result, row, $0)) }.joined(separator: "|")
        }
    }

    private func wait(for events: Int32) throws(Failure) {
        let left = ContinuousClock.now.duration(to: limit)
        var polled = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
        guard left > .zero, poll(&polled, 1, Int32(clamping: left.components.seconds * 1000 + 999)) > 0 else {
            throw Failure(.transient, "no answer in time")
        }
    }

    private var failure: Failure { Failure(.invalid, String(cString: PQerrorMessage(handle))) }
}
