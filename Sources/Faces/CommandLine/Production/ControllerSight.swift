internal import Glibc
internal import SerinSQLite

/// What a watchdog sees of its controller: bytes on the socket that it was given as standard input, and the service's lock.
struct ControllerSight: Sendable {
    let folder: SerinSQLite.StateFolder

    /// Looks without waiting, and takes what has come since the last look.
    func look() -> SignOfLife {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(STDIN_FILENO, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        let code = errno
        if count > 0 { return .alive }
        if count < 0, code == EAGAIN || code == EINTR { return .silent }
        let holder = ServiceLock.holder(of: folder)
        // Started without a line to any controller, it has the lock alone to go by.
        if count < 0, code == ENOTSOCK, holder != nil { return .alive }
        return .gone(successor: holder?.pid)
    }
}
