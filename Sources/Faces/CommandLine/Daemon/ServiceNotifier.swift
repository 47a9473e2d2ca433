internal import Glibc
internal import SerinModel

/// Tells the service manager that started this process where it stands, by datagrams to the socket that it names (sd_notify(3)).
/// Without one nothing is told.
struct ServiceNotifier: Sendable {
    private let socketPath: String?
    /// How long it waits for a sign of life before it starts the process anew; nil: for ever.
    let watchdog: Duration?

    init(environment: [String: String]) {
        socketPath = environment["NOTIFY_SOCKET"].flatMap { ["/", "@"].contains($0.first) ? $0 : nil }
        let isMeant = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        watchdog = isMeant && microseconds >= 1000 ? Duration(milliseconds: microseconds / 1000) : nil
    }

    /// Everything is open: whoever waits for the service may go on.
    func ready(_ status: String) { send("READY=1\nSTATUS=\(plain(status))") }

    /// The configuration is read anew; `ready` ends it.
    func reloading() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        send("RELOADING=1\nMONOTONIC_USEC=\(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)")
    }

    /// It ends in order.
    func stopping() { send("STOPPING=1") }

    /// It is alive and decides.
    func alive() { send("WATCHDOG=1") }

    private func send(_ text: String) {
        guard let socketPath else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(socketPath.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        // `@` stands for the abstract namespace, whose names begin with a zero.
        if bytes.first == 0x40 { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let message = Array(text.utf8)
        // A manager that does not take it sees to it by its own time limits.
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, message, message.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
