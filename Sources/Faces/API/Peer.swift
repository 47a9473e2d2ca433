/// The other end of a connection: what the kernel and the TLS handshake say of it.
public struct Peer: Sendable, Hashable {
    /// A client certificate that an own authority has signed, that is in time and made for clients.
    public struct Certificate: Sendable, Hashable {
        /// The subject's distinguished name (RFC 4514), such as `CN=deploy,O=Example`.
        public var subject: String
        /// SHA-256 of the certificate, lower-case hexadecimal.
        public var fingerprint: String
        /// The subject's alternative names with their kind: `dns:deploy.example.org`, `email:…`, `uri:spiffe://…`.
        public var names: [String]

        /// A certificate.
        public init(subject: String, fingerprint: String, names: [String] = []) {
            self.subject = subject
            self.fingerprint = fingerprint
            self.names = names
        }
    }

    /// The user at the other end of a unix socket; nil over TCP.
    public var uid: UInt32?
    /// The numeric address of a TCP peer without its port; nil over a unix socket.
    public var address: String?
    /// Whether the connection is encrypted.
    public var isEncrypted: Bool
    /// The client certificate; nil when none was asked for or sent.
    public var certificate: Certificate?

    /// A peer; without arguments one of which nothing is known.
    public init(uid: UInt32? = nil, address: String? = nil, isEncrypted: Bool = false, certificate: Certificate? = nil) {
        self.uid = uid
        self.address = address
        self.isEncrypted = isEncrypted
        self.certificate = certificate
    }
}
