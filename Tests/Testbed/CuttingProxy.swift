internal import Glibc
public import SerinModel

/// Stands before a server and cuts each connection before the server's answer gets through.
public final class CuttingProxy: Sendable {
    /// The server behind.
    public enum Target: Sendable {
        /// A loopback port.
        case port(Int)
        /// A unix socket.
        case path(String)
    }

    /// What happens to a request.
    public enum Mode: Sendable {
        /// The server carries it out; its answer is lost.
        case losesTheAnswer
        /// The server never gets it.
        case losesTheRequest
        /// The server never gets it, and the connection stays open.
        case keepsSilent
    }

    private let listener = LoopbackListener()

    /// Starts it on a unix socket.
    public init(before target: Target, mode: Mode, path: String) throws(Failure) {
        try listener.start(path: path) { relay($0, to: target, mode: mode) }
    }

    /// Ends it.
    public func stop() { listener.stop() }
}

private func relay(_ client: Int32, to target: CuttingProxy.Target, mode: CuttingProxy.Mode) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    var request: [UInt8] = []
    // A request may come in two pieces, head and body: it is over when nothing more comes for a moment.
    while true {
        var polled = pollfd(fd: client, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, request.isEmpty ? 5_000 : 30) > 0 else { break }
        let count = recv(client, &buffer, buffer.count, 0)
        guard count > 0 else { return }
        request += buffer[0..<count]
    }
    switch mode {
    case .losesTheRequest: return
    case .keepsSilent: _ = recv(client, &buffer, buffer.count, 0)
    case .losesTheAnswer:
        let server = connected(to: target)
        guard server >= 0 else { return }
        defer { close(server) }
        guard sendAll(request, to: server) else { return }
        // The first bytes of the answer mean that the request was carried out.
        _ = recv(server, &buffer, buffer.count, 0)
    }
}

private func connected(to target: CuttingProxy.Target) -> Int32 {
    switch target {
    case .port(let port): connected(port: port)
    case .path(let path): connected(path: path)
    }
}
