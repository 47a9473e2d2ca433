internal import Glibc
public import SerinModel

/// A TCP socket on which a server listens.
public struct TCPSocket: Sendable, Hashable {
    /// Where, with the port that the kernel chose when none was asked for: `127.0.0.1:8443`, `[::1]:8443`.
    public let address: String
    /// The port.
    public let port: UInt16
    /// Whether only this computer can connect.
    public let isLoopback: Bool
    /// Its descriptor, listening.
    let descriptor: Int32

    /// Listens at an address.
    ///
    /// - Parameter place: A port of the loopback address, or `HOST:PORT` with a numeric host or `localhost`: `8443`,
    ///   `127.0.0.1:8443`, `[::]:8443`. With port 0 the kernel chooses.
    public init(listeningAt place: String) throws(Failure) {
        let (host, number) = try Self.parse(place)
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(number)", &hints, &found) == 0, let found else {
            throw Failure(.invalid, "cannot listen at \(place): '\(host)' is no numeric address", hint: "such as 127.0.0.1:8443")
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(
            found.pointee.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0
        )
        guard descriptor >= 0 else { throw Self.failure(place, errno) }
        var succeeded = false
        defer { if !succeeded { close(descriptor) } }
        var yes: Int32 = 1
        guard setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size)) == 0,
            bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0, listen(descriptor, 512) == 0
        else { throw Self.failure(place, errno) }
        var actual = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = withUnsafeMutablePointer(to: &actual) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard code == 0 else { throw Self.failure(place, errno) }
        // The port stands at the same place in both families' addresses.
        port = withUnsafeBytes(of: &actual) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
        isLoopback = host.hasPrefix("127.") || host == "::1"
        address = (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
        self.descriptor = descriptor
        succeeded = true
    }

    /// The host and port of a place.
    private static func parse(_ place: String) throws(Failure) -> (host: String, port: UInt16) {
        let colon = place.lastIndex(of: ":")
        var host = colon.map { String(place[..<$0]) } ?? "127.0.0.1"
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if host == "localhost" { host = "127.0.0.1" }
        guard let port = UInt16(colon.map { String(place[place.index(after: $0)...]) } ?? place), !host.isEmpty else {
            throw Failure(.invalid, "cannot listen at '\(place)'", hint: "HOST:PORT such as 127.0.0.1:8443, or a port alone")
        }
        return (host, port)
    }

    private static func failure(_ place: String, _ code: Int32) -> Failure {
        Failure(.transient, "cannot listen at \(place): \(String(cString: strerror(code)))")
    }
}
