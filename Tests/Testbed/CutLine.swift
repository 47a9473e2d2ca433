internal import Glibc
internal import SerinLocks
public import SerinModel

/// A line to a server on loopback that is cut in the middle of an answer: the first connections over which the server has sent so
/// many bytes meet their end, the others pass.
public final class CutLine: Sendable {
    /// What happens to such a connection.
    public enum Cut: String, Sendable, CaseIterable {
        /// Both sides see an orderly end.
        case ends
        /// Both sides see a reset.
        case resets
        /// Nothing moves any more, and nobody is told.
        case falls
    }

    private struct State: Sendable {
        var left: Int
        var cuts = 0
    }

    private let listener = LoopbackListener()
    private let state: Locked<State>
    /// Where clients connect to.
    public let port: Int

    /// Starts it.
    ///
    /// - Parameters:
    ///   - bytes: After how many bytes of the server a connection is cut.
    ///   - times: How many connections are cut; those after them pass whole.
    public init(to server: Int, _ cut: Cut, after bytes: Int, times: Int = 1) throws(Failure) {
        let state = Locked(State(left: times))
        self.state = state
        port = try listener.start(port: 0) { client in
            let connection = connected(port: server)
            guard connection >= 0 else { return }
            defer { close(connection) }
            let isCut = pump(client, connection, bytes) {
                state.withLock { state in
                    guard state.left > 0 else { return false }
                    state.left -= 1
                    state.cuts += 1
                    return true
                }
            }
            guard isCut else { return }
            switch cut {
            case .ends: break
            case .resets: for descriptor in [client, connection] { makeReset(descriptor) }
            case .falls:
                // Until the client has given up.
                var buffer = [UInt8](repeating: 0, count: 4096)
                while recv(client, &buffer, buffer.count, 0) > 0 {}
            }
        }
    }

    /// How many connections were cut.
    public var cuts: Int { state.withLock { $0.cuts } }

    /// Closes every connection and stops listening.
    public func stop() { listener.stop() }

    deinit { stop() }
}

/// Moves bytes both ways until one side ends, or the server has sent so many and the line is to be cut; whether it is.
private func pump(_ client: Int32, _ server: Int32, _ limit: Int, _ mayCut: () -> Bool) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    var sent = 0
    var passes = false
    while true {
        var polled = [
            pollfd(fd: client, events: Int16(POLLIN), revents: 0), pollfd(fd: server, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&polled, 2, -1) > 0 || errno == EINTR else { return false }
        for (index, descriptor) in [client, server].enumerated() where polled[index].revents != 0 {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0, sendAll(Array(buffer[0..<count]), to: index == 0 ? server : client) else { return false }
            if index == 1 { sent += count }
            if sent > limit, !passes {
                if mayCut() { return true }
                passes = true
            }
        }
    }
}

/// Makes the coming close of a connection a reset.
private func makeReset(_ descriptor: Int32) {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
}
