public import SerinModel
internal import SerinProcesses

/// A certificate for 127.0.0.1 that signs itself, valid for two days.
public struct TestCertificate: Sendable {
    /// The file of the certificate, which is also its own authority.
    public let certificate: String
    /// The file of its private key.
    public let key: String

    /// Makes a new one with the openssl program.
    public init(in folder: Scratch, name: String = "server") async throws(Failure) {
        certificate = folder.file("\(name).pem")
        key = folder.file("\(name).key")
        let program = Program(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
            ], environment: ["PATH": "/usr/local/bin:/usr/bin:/bin"], deadline: .seconds(30))
        let completion = try await program.run()
        guard completion.termination == .exited(0) else {
            throw Failure(.invalid, "cannot make a certificate: \(completion.text)")
        }
    }
}
