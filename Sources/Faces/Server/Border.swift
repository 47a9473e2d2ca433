internal import CMicroHTTPD
internal import CSerinHTTPD
internal import Glibc
internal import SerinAPI
internal import SerinLocks
internal import SerinModel

/// What libmicrohttpd's threads call. They block for nothing but short locks.
///
/// A connection's context is its `Exchange`, retained by the first call for a request and released by `requestCompleted`.
final class Border: Sendable {
    let limits: Limits
    /// Whether connections are encrypted.
    let isEncrypted: Bool
    /// Takes a complete request over; false when the server no longer answers.
    let submit: @Sendable (Exchange, Request) -> Bool
    /// Told of peers that are disconnected for what they showed.
    private let report: @Sendable (String) -> Void
    /// When that was last said: whoever comes again and again fills no log.
    private let reportedAt = Locked<ContinuousClock.Instant?>(nil)
    /// The requests under way.
    private let live = Locked<[ObjectIdentifier: Exchange]>([:])

    /// A connection of which no request is under way.
    private struct Waiting: Sendable {
        let socket: Int32
        /// From when on the next header may be on its way.
        let since: ContinuousClock.Instant
    }

    private struct Connections: Sendable {
        /// How many there are, with those of which a request is under way.
        var count = 0
        /// By the address of libmicrohttpd's connection.
        var waiting: [UInt: Waiting] = [:]
    }

    private let connections = Locked(Connections())

    init(
        limits: Limits, isEncrypted: Bool, report: @escaping @Sendable (String) -> Void,
        submit: @escaping @Sendable (Exchange, Request) -> Bool
    ) {
        self.report = report
        self.limits = limits
        self.isEncrypted = isEncrypted
        self.submit = submit
    }

    /// Ends every request under way, so that no connection stays suspended: libmicrohttpd cannot stop with one.
    func abandonAll() {
        let exchanges = live.withLock { $0 }
        for exchange in exchanges.values { exchange.abandon() }
    }

    /// Notes that a connection begins, before anything is read from it.
    nonisolated func open(_ connection: OpaquePointer) {
        let waiting = Waiting(socket: serin_httpd_socket(connection), since: ContinuousClock().now)
        connections.withLock { connections in
            connections.count += 1
            connections.waiting[UInt(bitPattern: connection)] = waiting
        }
    }

    /// Notes that a connection is over, before its socket is closed.
    nonisolated func close(_ connection: OpaquePointer) {
        connections.withLock { connections in
            connections.count -= 1
            connections.waiting[UInt(bitPattern: connection)] = nil
        }
    }

    /// Hangs up on connections whose header takes too long. Their threads see that and close them.
    func closeLate(at now: ContinuousClock.Instant) {
        connections.withLock { connections in
            let isCrowded = connections.count > limits.connections / 2
            let patience = limits.header.milliseconds / (isCrowded ? 5 : 1)
            for waiting in connections.waiting.values where now - waiting.since > .milliseconds(patience) {
                // Under the lock, so that the number is still this connection's.
                shutdown(waiting.socket, Int32(SHUT_RDWR))
            }
        }
    }

    /// Whether every answer was written.
    var isIdle: Bool { live.withLock { $0.isEmpty } }

    /// Forgets an exchange that is over; its connection may be silent for a while before the next.
    nonisolated func forget(_ exchange: Exchange, on connection: OpaquePointer) {
        live.withLock { $0[ObjectIdentifier(exchange)] = nil }
        let since = ContinuousClock().now + .milliseconds(limits.idle.milliseconds)
        let waiting = Waiting(socket: serin_httpd_socket(connection), since: since)
        connections.withLock { $0.waiting[UInt(bitPattern: connection)] = waiting }
    }

    /// The exchange of a request whose header has arrived; nil when the connection must be closed.
    nonisolated func begin(_ connection: OpaquePointer, method: String, path: String) -> Exchange? {
        let fields = collect(connection, .HEADER_KIND)
        let query = collect(connection, .GET_ARGUMENT_KIND)
        guard let fields, let query, let peer = peer(of: connection) else { return nil }
        connections.withLock { _ = $0.waiting.removeValue(forKey: UInt(bitPattern: connection)) }
        let request = Request(method: method, path: path, query: query, headers: fields, peer: peer)
        let exchange = Exchange(connection: connection, request: request, limits: limits)
        live.withLock { $0[ObjectIdentifier(exchange)] = exchange }
        return exchange
    }

    /// Who is at the other end; nil when it must be disconnected. That is said once a minute at the most.
    private nonisolated func peer(of connection: OpaquePointer) -> Peer? {
        do throws(Failure) {
            return try Peer(of: connection, isEncrypted: isEncrypted)
        } catch {
            let now = ContinuousClock().now
            let isDue = reportedAt.withLock { last in
                if let said = last, now - said < .seconds(60) { return false }
                last = now
                return true
            }
            if isDue { report(error.message) }
            return nil
        }
    }

    private final class Collection {
        var pairs: [Request.Pair] = []
    }

    private nonisolated func collect(_ connection: OpaquePointer, _ kind: MHD_ValueKind) -> [Request.Pair]? {
        let collection = Collection()
        let count = MHD_get_connection_values(
            connection, kind,
            { context, _, name, value in
                guard let context, let name else { return .YES }
                Unmanaged<Collection>.fromOpaque(context).takeUnretainedValue().pairs.append(
                    Request.Pair(String(cString: name), value.map { String(cString: $0) } ?? ""))
                return .YES
            }, Unmanaged.passUnretained(collection).toOpaque())
        return Int(count) <= limits.fields ? collection.pairs : nil
    }

    /// Does what a complete request asks for next.
    nonisolated func advance(_ exchange: Exchange, _ connection: OpaquePointer) -> MHD_Result {
        switch exchange.advance() {
        case .answer(let response): return queue(response, of: exchange, on: connection)
        case .submit(let request):
            if !submit(exchange, request) { exchange.complete(Problem(.unavailable, "the server is stopping").response) }
            return .YES
        }
    }

    private nonisolated func queue(_ answer: Response, of exchange: Exchange, on connection: OpaquePointer) -> MHD_Result {
        let response: OpaquePointer?
        switch answer.body {
        case .bytes(let bytes):
            // Copied by libmicrohttpd, which never writes to it: the mutable pointer is its signature's alone.
            response = bytes.withUnsafeBytes { source in
                MHD_create_response_from_buffer(
                    source.count, UnsafeMutableRawPointer(mutating: source.baseAddress), .RESPMEM_MUST_COPY)
            }
        case .stream:
            response = MHD_create_response_from_callback(
                serin_httpd_size_unknown, 16 << 10, readStream, Unmanaged.passRetained(exchange).toOpaque(), releaseStream)
        }
        guard let response else { return .NO }
        defer { MHD_destroy_response(response) }
        for header in answer.headers { MHD_add_response_header(response, header.name, header.value) }
        return MHD_queue_response(connection, UInt32(answer.status), response)
    }
}

private let readStream: MHD_ContentReaderCallback = { context, _, buffer, capacity in
    guard let context, let buffer else { return serin_httpd_end_of_stream }
    let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
    let count = exchange.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: capacity))
    return count < 0 ? serin_httpd_end_of_stream : count
}

private let releaseStream: MHD_ContentReaderFreeCallback = { context in
    guard let context else { return }
    Unmanaged<Exchange>.fromOpaque(context).release()
}

/// The first call for a request announces its header, later ones bring the body, the last has none.
let requestArrived: MHD_AccessHandlerCallback = { context, connection, url, method, _, body, size, exchangeContext in
    guard let context, let connection, let url, let method, let size, let exchangeContext else { return .NO }
    let border = Unmanaged<Border>.fromOpaque(context).takeUnretainedValue()
    guard let known = exchangeContext.pointee else {
        let exchange = border.begin(connection, method: String(cString: method), path: String(cString: url))
        guard let exchange else { return .NO }
        exchangeContext.pointee = Unmanaged.passRetained(exchange).toOpaque()
        return .YES
    }
    let exchange = Unmanaged<Exchange>.fromOpaque(known).takeUnretainedValue()
    guard size.pointee > 0 else { return border.advance(exchange, connection) }
    defer { size.pointee = 0 }
    return exchange.takeBody(UnsafeRawBufferPointer(start: body, count: size.pointee)) ? .YES : .NO
}

/// Called first and last for a connection.
let connectionChanged: MHD_NotifyConnectionCallback = { context, connection, _, change in
    guard let context, let connection else { return }
    let border = Unmanaged<Border>.fromOpaque(context).takeUnretainedValue()
    if change == .CONNECTION_NOTIFY_STARTED { border.open(connection) } else { border.close(connection) }
}

let requestCompleted: MHD_RequestCompletedCallback = { context, connection, exchangeContext, _ in
    guard let context, let connection, let exchangeContext, let known = exchangeContext.pointee else { return }
    exchangeContext.pointee = nil
    let exchange = Unmanaged<Exchange>.fromOpaque(known).takeRetainedValue()
    exchange.finished()
    Unmanaged<Border>.fromOpaque(context).takeUnretainedValue().forget(exchange, on: connection)
}
