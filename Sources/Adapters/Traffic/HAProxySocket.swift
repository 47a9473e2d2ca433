internal import Glibc
internal import SerinLocks
internal import SerinModel

/// HAProxy's runtime socket: one line of commands a connection, then the answer until HAProxy closes it.
///
/// Each exchange blocks a thread of its own, never the cooperative pool, and ends by its deadline. No exchange waits for another.
struct HAProxySocket: Sendable {
    /// The socket's path.
    let path: String
    /// The longest answer accepted, in bytes.
    var answerLimit = 4 << 20
    /// One for a poll and one for what comes in between.
    private let threads = KeptThreads(limit: 2)

    init(path: String) { self.path = path }

    /// Sends one line and returns the answer. Fails with `unknown` when the line may have been read but no answer came.
    func ask(_ line: String, deadline: Duration) async throws(Failure) -> String {
        let exchange = HAProxyExchange(path: path, line: line, deadline: deadline, answerLimit: answerLimit)
        let result: Result<String, Failure> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                exchange.start(on: threads) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            exchange.cancel()
        }
        return try result.get()
    }
}

/// One exchange with the runtime socket, which blocks its thread.
private final class HAProxyExchange: Sendable {
    private struct Connection: Sendable {
        var descriptor: Int32?
        var isCancelled = false
    }

    private let path: String
    private let line: [UInt8]
    private let limit: ContinuousClock.Instant
    private let answerLimit: Int
    private let connection = Locked(Connection())

    init(path: String, line: String, deadline: Duration, answerLimit: Int) {
        self.path = path
        self.line = Array(line.utf8) + [0x0A]
        self.answerLimit = answerLimit
        limit = ContinuousClock().now + .milliseconds(deadline.milliseconds)
    }

    func start(on threads: KeptThreads, _ finish: @escaping @Sendable (Result<String, Failure>) -> Void) {
        let code = threads.run({ self.result() }, finish: finish)
        if code != 0 { finish(.failure(Failure(.transient, "no thread to be had: \(String(cString: strerror(code)))"))) }
    }

    /// Wakes the thread wherever it waits.
    func cancel() {
        connection.withLock { connection in
            connection.isCancelled = true
            if let descriptor = connection.descriptor { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    private func result() -> Result<String, Failure> {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return .failure(Failure(.transient, reason(errno))) }
        let mayGoOn = connection.withLock { connection in
            connection.descriptor = descriptor
            return !connection.isCancelled
        }
        defer {
            connection.withLock { $0.descriptor = nil }
            close(descriptor)
        }
        guard mayGoOn else { return .failure(Failure(.transient, "given up by the caller")) }
        do throws(Failure) {
            try connect(descriptor)
            // Giving up before there was a connection to cut left only its mark.
            guard !connection.withLock({ $0.isCancelled }) else { throw Failure(.transient, "given up by the caller") }
            try send(descriptor)
            return .success(try receive(descriptor))
        } catch {
            return .failure(error)
        }
    }

    private func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

    private func connect(_ descriptor: Int32) throws(Failure) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw Failure(
                .invalid, "the path of the socket is longer than \(MemoryLayout.size(ofValue: address.sun_path) - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        while true {
            let code = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 ? 0 : errno
                }
            }
            switch code {
            case 0: return
            case EAGAIN, EINTR:
                // The queue of connections is full: there is nothing to wait on but time.
                guard ContinuousClock().now < limit else { throw Failure(.transient, "too many connections are waiting") }
                usleep(2_000)
            case EACCES, EPERM:
                throw Failure(.denied, reason(code), hint: "let this user write to the socket: `stats socket … mode 660 group …`")
            case ENOENT, ECONNREFUSED:
                throw Failure(.transient, reason(code), hint: "is HAProxy running with `stats socket \(path)`?")
            default: throw Failure(.transient, reason(code))
            }
        }
    }

    private func send(_ descriptor: Int32) throws(Failure) {
        var sent = 0
        while sent < line.count {
            let count = line.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + sent }, line.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                // Without its final line feed a command is never carried out.
                guard wait(descriptor, for: POLLOUT) else { throw Failure(.transient, "the deadline passed before all was sent") }
            } else if errno != EINTR {
                throw Failure(.transient, reason(errno))
            }
        }
    }

    private func receive(_ descriptor: Int32) throws(Failure) -> String {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 {
                answer += buffer[0..<count]
                guard answer.count <= answerLimit else {
                    throw Failure(.invalid, "the answer is longer than \(answerLimit) bytes")
                }
            } else if count == 0 {
                if connection.withLock({ $0.isCancelled }) { throw Failure(.unknown, "given up by the caller") }
                // Even success is an empty line; nothing at all means that the connection was cut.
                guard !answer.isEmpty else { throw Failure(.unknown, "the connection was closed without an answer") }
                return String(decoding: answer, as: UTF8.self)
            } else if errno == EAGAIN {
                guard wait(descriptor, for: POLLIN) else { throw Failure(.unknown, "no answer within the deadline") }
            } else if errno != EINTR {
                throw Failure(.unknown, reason(errno))
            }
        }
    }

    /// False when the deadline passes first.
    private func wait(_ descriptor: Int32, for events: Int32) -> Bool {
        let left = ContinuousClock().now.duration(to: limit).components
        let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
        guard milliseconds > 0 else { return false }
        var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&polled, 1, Int32(clamping: milliseconds)) != 0
    }
}
