internal import CSerinHTTPD
internal import Glibc
public import SerinModel

/// What a server shows and asks for in TLS handshakes (1.2 and 1.3).
public struct TLS: Sendable, Hashable, CustomStringConvertible {
    /// The certificate with its chain, PEM.
    let certificate: String
    /// The private key, PEM.
    let key: String
    /// The authorities that sign client certificates, PEM; nil when none is asked for.
    let clientAuthorities: String?

    /// Checks the parts, all PEM.
    ///
    /// - Parameters:
    ///   - certificate: The server's certificate, then those that lead to its authority.
    ///   - key: Its private key.
    ///   - clientAuthorities: Whose client certificates identify peers. A peer may still connect without one.
    public init(certificate: String, key: String, clientAuthorities: String? = nil) throws(Failure) {
        // A NUL would end the text early.
        guard ![certificate, key, clientAuthorities ?? ""].contains(where: { $0.utf8.contains(0) }) else {
            throw Failure(.invalid, "cannot use the TLS certificate: it is no PEM text")
        }
        if let complaint = serin_httpd_check_tls(certificate, key, clientAuthorities) {
            throw Failure(
                .invalid, "cannot use the TLS certificate, its key or the client authorities: \(String(cString: complaint))",
                hint: "all three are PEM files; the key belongs to the first certificate")
        }
        self.certificate = certificate
        self.key = key
        self.clientAuthorities = clientAuthorities
    }

    /// What is wrong with the time of its certificate; nil while it is good. Clients that check it turn away, those that do not go on.
    public func complaint(at now: Instant) -> String? {
        var (begins, ends): (Int64, Int64) = (0, 0)
        guard serin_httpd_tls_times(certificate, &begins, &ends) == 1 else { return nil }
        let (first, last) = (Instant(secondsSince1970: begins), Instant(secondsSince1970: ends))
        if now > last { return "the certificate expired at \(last)" }
        return now < first ? "the certificate is good only from \(first)" : nil
    }

    /// Nothing of the key.
    public var description: String { clientAuthorities == nil ? "TLS" : "TLS with client certificates" }
}

/// Where a server listens, and how.
public enum Listener: Sendable {
    /// On a unix socket; peers are identified by the kernel.
    case unix(UnixSocket)
    /// On a TCP socket, encrypted when there is a certificate.
    case tcp(TCPSocket, tls: TLS? = nil)

    /// Where, for messages.
    public var place: String {
        switch self {
        case .unix(let socket): socket.path
        case .tcp(let socket, let tls): "\(tls == nil ? "http" : "https")://\(socket.address)"
        }
    }

    var descriptor: Int32 {
        switch self {
        case .unix(let socket): socket.descriptor
        case .tcp(let socket, _): socket.descriptor
        }
    }

    var tls: TLS? {
        switch self {
        case .unix: nil
        case .tcp(_, let tls): tls
        }
    }

    /// What is wrong with the time of its certificate; nil while it is good, or there is none.
    public func complaint(at now: Instant) -> String? { tls?.complaint(at: now).map { "\(place): \($0)" } }

    /// Closes it without having served.
    func abandon() {
        close(descriptor)
        unlinkFile()
    }

    /// Removes the socket's file, when it has one.
    func unlinkFile() {
        if case .unix(let socket) = self { socket.unlinkFile() }
    }
}
