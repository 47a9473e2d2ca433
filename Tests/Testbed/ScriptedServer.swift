internal import Glibc
internal import SerinLocks
public import SerinModel

/// A TCP or unix socket server that answers requests exactly as a test says: whole, in pieces, late, cut short, or never.
///
/// It reads just enough HTTP to know where a request ends; everything it sends is the test's. Each connection has its own thread.
public final class ScriptedServer: Sendable {
    /// A request as it arrived.
    public struct Request: Sendable, Hashable {
        /// `GET`, `POST`, …
        public var method: String
        /// The path with its query.
        public var target: String
        /// The header lines after the first.
        public var headers: [String]
        /// The body.
        public var body: [UInt8]
        /// Which connection it came on, from 0.
        public var connection: Int

        /// The value of a header, whatever the case of its name.
        public func header(_ name: String) -> String? {
            let start = name.lowercased() + ": "
            return headers.first { $0.lowercased().hasPrefix(start) }.map { String($0.dropFirst(start.count)) }
        }

        /// The body as text.
        public var text: String { String(decoding: body, as: UTF8.self) }

        /// A field of an `application/x-www-form-urlencoded` body, decoded; nil when there is none.
        public func field(_ name: String) -> String? {
            for pair in text.split(separator: "&") {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if parts.first == name[...], parts.count == 2 { return decoded(parts[1]) }
            }
            return nil
        }

        private func decoded(_ text: Substring) -> String {
            var bytes: [UInt8] = []
            var rest = text.utf8.makeIterator()
            while let byte = rest.next() {
                if byte == 0x25, let high = rest.next(), let low = rest.next() {
                    bytes.append(UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16) ?? 0x3F)
                } else {
                    bytes.append(byte == 0x2B ? 0x20 : byte)
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// One thing to do in answer to a request, in order. After the last the connection waits for the next request.
    public enum Step: Sendable {
        /// Sends bytes.
        case send([UInt8])
        /// Waits, at most until the server stops.
        case pause(Duration)
        /// Says nothing more until the server stops.
        case hang
        /// Closes the connection; with `reset`, by RST.
        case close(reset: Bool)

        /// A whole HTTP answer with its length.
        public static func http(
            _ status: Int, _ body: String, type: String = "application/json", headers: [String] = []
        ) -> Step {
            http(status, bytes: Array(body.utf8), type: type, headers: headers)
        }

        /// A whole HTTP answer with its length.
        public static func http(
            _ status: Int, bytes: [UInt8], type: String = "application/json", headers: [String] = []
        ) -> Step {
            let lines = ["HTTP/1.1 \(status) Scripted", "Content-Type: \(type)", "Content-Length: \(bytes.count)"] + headers
            return .send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + bytes)
        }

        /// Text as it is.
        public static func text(_ text: String) -> Step { .send(Array(text.utf8)) }
    }

    private struct State: Sendable {
        var requests: [Request] = []
        var open: [Int: Int32] = [:]
        var isStopped = false
    }

    /// The port on the loopback interface, 0 for a unix socket.
    public let port: Int
    private let listener: Int32
    private let respond: @Sendable (Request) -> [Step]
    private let state = Locked(State())

    /// Starts listening, on a free loopback port or on a unix socket.
    public init(unixSocket: String? = nil, respond: @escaping @Sendable (Request) -> [Step]) throws(Failure) {
        self.respond = respond
        let descriptor: Int32
        if let unixSocket {
            descriptor = try listenUnix(unixSocket)
            port = 0
        } else {
            (descriptor, port) = try listenTCP()
        }
        listener = descriptor
        onNewThread { [self] in accept() }
    }

    /// `http://127.0.0.1:port`.
    public var url: String { "http://127.0.0.1:\(port)" }

    /// Every request so far, in the order of arrival.
    public var requests: [Request] { state.withLock { $0.requests } }

    /// How many connections have been made.
    public var connections: Int { Set(requests.map(\.connection)).count }

    /// Closes every connection and stops listening.
    public func stop() {
        state.withLock { state in
            state.isStopped = true
            // Under the lock: a descriptor that left the list may be another file's by now.
            for descriptor in state.open.values { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private func accept() {
        var count = 0
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0 { break }
            let number = count
            count += 1
            let goesOn = state.withLock { state in
                if !state.isStopped { state.open[number] = descriptor }
                return !state.isStopped
            }
            guard goesOn else {
                Glibc.close(descriptor)
                break
            }
            onNewThread { [self] in
                serve(descriptor, number)
                state.withLock { _ = $0.open.removeValue(forKey: number) }
                Glibc.close(descriptor)
            }
        }
        Glibc.close(listener)
    }

    private func serve(_ descriptor: Int32, _ number: Int) {
        var pending: [UInt8] = []
        while let request = readRequest(descriptor, &pending, number) {
            state.withLock { $0.requests.append(request) }
            for step in respond(request) where !perform(step, descriptor) { return }
        }
    }

    /// False when the connection is to be closed.
    private func perform(_ step: Step, _ descriptor: Int32) -> Bool {
        switch step {
        case .send(let bytes):
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    send(descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
                }
                if count <= 0 { return false }
                sent += count
            }
            return true
        case .pause(let duration):
            let clock = ContinuousClock()
            let limit = clock.now + .milliseconds(duration.milliseconds)
            while clock.now < limit, !isStopped { usleep(5_000) }
            return !isStopped
        case .hang:
            while !isStopped { usleep(5_000) }
            return false
        case .close(let reset):
            if reset {
                var option = linger(l_onoff: 1, l_linger: 0)
                setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
            }
            return false
        }
    }

    private func readRequest(_ descriptor: Int32, _ pending: inout [UInt8], _ number: Int) -> Request? {
        let end: [UInt8] = [13, 10, 13, 10]
        var buffer = [UInt8](repeating: 0, count: 65_536)
        func more() -> Bool {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 { pending += buffer[0..<count] }
            return count > 0
        }
        var head: Int?
        while head == nil {
            head = pending.indices.first { pending[$0...].starts(with: end) }
            if head == nil, !more() { return nil }
        }
        let lines = String(decoding: pending[0..<(head ?? 0)], as: UTF8.self).split(separator: "\r\n").map(String.init)
        let words = (lines.first ?? "").split(separator: " ").map(String.init)
        let length = lines.first { $0.lowercased().hasPrefix("content-length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
        let start = (head ?? 0) + 4
        while pending.count < start + length { if !more() { return nil } }
        let body = Array(pending[start..<start + length])
        pending.removeFirst(start + length)
        return Request(
            method: words.first ?? "", target: words.count > 1 ? words[1] : "", headers: Array(lines.dropFirst()), body: body,
            connection: number)
    }
}

private func listenTCP() throws(Failure) -> (Int32, Int) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(descriptor, generic, length) == 0 && listen(descriptor, 256) == 0
                ? getsockname(descriptor, generic, &length) : -1
        }
    }
    guard result == 0 else { throw Failure(.transient, "cannot listen: \(String(cString: strerror(errno)))") }
    return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
}

private func listenUnix(_ path: String) throws(Failure) -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes.prefix($0.count - 1)) }
    let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 ? listen(descriptor, 64) : -1
        }
    }
    guard result == 0 else { throw Failure(.transient, "cannot listen on \(path): \(String(cString: strerror(errno)))") }
    return descriptor
}
