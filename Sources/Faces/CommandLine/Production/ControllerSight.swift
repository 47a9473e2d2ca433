internal import Glibc
internal import SerinModel

/// What a watchdog sees of its controller: bytes on the socket that it was given as standard input.
struct ControllerSight: Sendable {
    let lastSign: LastSign

    /// Looks without waiting, and takes what has come since the last look.
    func look() -> SignOfLife {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(STDIN_FILENO, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        let code = errno
        if count > 0 { return buffer.prefix(count).contains(Self.inCharge) ? .alive : .silent }
        if count < 0, code == EAGAIN || code == EINTR { return .silent }
        // Started without a line to any controller, it has what the controllers keep alone to go by.
        if count < 0, code == ENOTSOCK, let moment = lastSign.moment, SystemClock().now() - moment < Self.recent { return .alive }
        return .gone
    }

    /// A sign is touched at least every second.
    private static let recent = Duration.seconds(3)
    /// What a controller in charge sends; another one sends 0.
    static let inCharge: UInt8 = 1
}
