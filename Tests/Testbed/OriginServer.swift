internal import Glibc
internal import SerinLocks
public import SerinModel

/// A tiny web server behind a balancer: every answer names its cohort in the header field `X-Cohort`.
///
/// `/` answers at once, `/slow/MS` after so many milliseconds, `/stream/MS` in twenty pieces over that time.
public final class OriginServer: Sendable {
    /// The loopback port it listens on, the same after a restart.
    public let port: Int
    /// What it calls itself: `canary`, `control`.
    public let cohort: String
    private let listener: Locked<LoopbackListener>
    private let served = Locked(0)

    /// Starts a server on a free port.
    public init(cohort: String) throws(Failure) {
        self.cohort = cohort
        let first = LoopbackListener()
        listener = Locked(first)
        let served = self.served
        port = try first.start(port: 0) { serve($0, cohort: cohort, served: served) }
    }

    /// Requests answered or begun so far.
    public var requests: Int { served.withLock { $0 } }

    /// Ends it as a crash does: connections are cut, new ones refused.
    public func stop() { listener.withLock { $0.stop() } }

    /// Starts it again on the same port.
    public func start() throws(Failure) {
        let next = LoopbackListener()
        let cohort = self.cohort
        let served = self.served
        _ = try next.start(port: port) { serve($0, cohort: cohort, served: served) }
        listener.withLock { $0 = next }
    }

    deinit { stop() }
}

/// Answers one connection's requests, one after the other.
private func serve(_ connection: Int32, cohort: String, served: Locked<Int>) {
    var one: Int32 = 1
    setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    var pending: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
        guard let end = endOfHead(pending) else {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0, pending.count < 65_536 else { return }
            pending += buffer[0..<count]
            continue
        }
        let words = String(decoding: pending.prefix { $0 != 0x0D }, as: UTF8.self).split(separator: " ")
        pending.removeFirst(end)
        served.withLock { $0 += 1 }
        let parts = (words.count > 1 ? words[1] : "/").split(separator: "/")
        let milliseconds = parts.count > 1 ? min(60_000, Int(parts[1]) ?? 0) : 0
        let head = "HTTP/1.1 200 OK\r\nX-Cohort: \(cohort)\r\nContent-Type: text/plain\r\n"
        if parts.first == "stream" {
            guard sendAll(Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8), to: connection) else { return }
            for piece in 0..<20 {
                usleep(UInt32(milliseconds * 1000 / 20))
                let text = "\(cohort) \(piece)\n"
                let size = String(text.utf8.count, radix: 16)
                guard sendAll(Array("\(size)\r\n\(text)\r\n".utf8), to: connection) else { return }
            }
            guard sendAll(Array("0\r\n\r\n".utf8), to: connection) else { return }
        } else {
            if parts.first == "slow" { usleep(UInt32(milliseconds * 1000)) }
            let body = cohort + "\n"
            guard sendAll(Array("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8), to: connection) else { return }
        }
    }
}

/// The place after the empty line that ends a request's head; requests here have no body.
private func endOfHead(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    for index in 3..<bytes.count
    where bytes[index] == 0x0A && bytes[index - 1] == 0x0D && bytes[index - 2] == 0x0A && bytes[index - 3] == 0x0D {
        return index + 1
    }
    return nil
}
