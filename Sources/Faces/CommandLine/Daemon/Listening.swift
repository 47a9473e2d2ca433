internal import SerinController
internal import SerinModel
internal import SerinServer

/// Where a daemon listens beside its unix socket.
struct Listening: Sendable {
    /// `HOST:PORT`, or a port of the loopback address.
    var places: [String] = []
    /// The file with the certificate and its chain, PEM.
    var certificate: String?
    /// The file with the private key, PEM.
    var key: String?
    /// The file with the authorities of client certificates, PEM.
    var clientAuthorities: String?

    init() {}

    /// What a command line says.
    init(_ input: inout Arguments) throws(UsageError) {
        places = try input.every(
            "--listen", value: "HOST:PORT",
            help: "listen there as well (a port alone: on the loopback address); may stand several times"
        ) { $0.isEmpty ? nil : $0 }
        certificate = try input.text("--tls-certificate", value: "FILE", help: "PEM: encrypt what --listen names")
        key = try input.text("--tls-key", value: "FILE", help: "PEM: the certificate's private key")
        clientAuthorities = try input.text(
            "--tls-client-ca", value: "FILE", help: "PEM: authorities whose client certificates identify peers")
        guard !input.isDescribing else { return }
        guard (certificate == nil) == (key == nil), clientAuthorities == nil || certificate != nil else {
            throw UsageError("--tls-certificate and --tls-key go together, and --tls-client-ca with both")
        }
        guard certificate == nil || !places.isEmpty else { throw UsageError("--tls-certificate needs --listen HOST:PORT") }
    }

    /// Opens the sockets. Without TLS only the computer itself is listened to, since credentials would be readable on the way.
    func listeners() throws(Failure) -> [Listener] {
        var tls: TLS?
        if let certificate, let key {
            tls = try TLS(
                certificate: try Self.text(of: certificate), key: try Self.text(of: key),
                clientAuthorities: try clientAuthorities.map(Self.text(of:)))
        }
        var listeners: [Listener] = []
        for place in places {
            let socket = try TCPSocket(listeningAt: place)
            guard tls != nil || socket.isLoopback else {
                throw Failure(
                    .invalid, "cannot listen at \(place) without TLS: tokens could be read on the way",
                    hint: "--tls-certificate FILE --tls-key FILE, or listen at 127.0.0.1 behind a proxy")
            }
            listeners.append(.tcp(socket, tls: tls))
        }
        return listeners
    }

    private static func text(of file: String) throws(Failure) -> String {
        guard let bytes = try contents(ofFile: file, limit: 1 << 20) else {
            throw Failure(.invalid, "cannot read \(file): there is no such file")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
