internal import Glibc
internal import SerinLocks
public import SerinModel

/// Accepts connections on a loopback port, or a unix socket, and serves each on a thread of its own until stopped.
public final class LoopbackListener: Sendable {
    private struct State: Sendable {
        var listener: Int32 = -1
        var connections: Set<Int32> = []
    }

    private let state = Locked(State())

    /// A listener that does not listen yet.
    public init() {}

    /// Serves on a TCP port; 0 takes a free one. Returns the port.
    public func start(port: Int, _ serve: @escaping @Sendable (Int32) -> Void) throws(Failure) -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 ? getsockname(descriptor, generic, &length) : -1
            }
        }
        try listen(descriptor, result, serve)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Serves on a unix socket.
    public func start(path: String, _ serve: @escaping @Sendable (Int32) -> Void) throws(Failure) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        unlink(path)
        var address = unixAddress(path)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try listen(descriptor, result, serve)
    }

    private func listen(_ descriptor: Int32, _ bound: Int32, _ serve: @escaping @Sendable (Int32) -> Void) throws(Failure) {
        guard bound == 0, Glibc.listen(descriptor, 512) == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw Failure(.transient, "cannot listen: \(reason)")
        }
        state.withLock { $0.listener = descriptor }
        let state = self.state
        onNewThread {
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0 {
                    if errno == EINTR { continue }
                    break
                }
                let isWelcome = state.withLock { state in
                    if state.listener == descriptor { state.connections.insert(connection) }
                    return state.listener == descriptor
                }
                guard isWelcome else {
                    close(connection)
                    continue
                }
                onNewThread {
                    serve(connection)
                    // Closed under the lock, so that `stop` never shuts down a descriptor that has become another's.
                    state.withLock { state in
                        state.connections.remove(connection)
                        _ = close(connection)
                    }
                }
            }
            close(descriptor)
        }
    }

    /// Stops listening and cuts every connection.
    public func stop() {
        state.withLock { state in
            if state.listener >= 0 { shutdown(state.listener, Int32(SHUT_RDWR)) }
            state.listener = -1
            for connection in state.connections { shutdown(connection, Int32(SHUT_RDWR)) }
        }
    }

    deinit { stop() }
}

/// The address of a unix socket; a path that is too long is cut.
func unixAddress(_ path: String) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix($0.count - 1)) }
    return address
}

/// Sends all bytes; false when the other side is gone.
public func sendAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var sent = 0
    while sent < bytes.count {
        let count = bytes.withUnsafeBytes {
            send(descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        sent += count
    }
    return true
}
