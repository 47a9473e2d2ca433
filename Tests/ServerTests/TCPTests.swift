import FoundationEssentials
import Glibc
import SerinAPI
import SerinLocks
import SerinModel
import SerinProcesses
import SerinServer
import SerinTransport
import Testbed
import Testing

private let peer = Route("GET", "/peer", summary: "", access: .open) { request, _ in
    .json(
        200,
        .object([
            "uid": request.peer.uid.map { .integer($0) } ?? .null, "address": request.peer.address.map { .string($0) } ?? .null,
            "encrypted": .bool(request.peer.isEncrypted),
            "subject": request.peer.certificate.map { .string($0.subject) } ?? .null,
            "fingerprint": request.peer.certificate.map { .string($0.fingerprint) } ?? .null,
            "names": .array((request.peer.certificate?.names ?? []).map { .string($0) }),
        ]))
}

private let echo = Route("POST", "/echo", summary: "", access: .open) { request, _ in
    Response(status: 200, body: .bytes(request.body))
}

private let ticks = Route("GET", "/ticks", summary: "", access: .open) { _, _ in
    Response(
        status: 200,
        body: .stream { sink in
            for number in 0..<50 {
                guard await sink.send([UInt8](repeating: 0x61 + UInt8(number % 26), count: 9000)) else { return }
            }
        })
}

/// Authorities and certificates of a test, made by openssl.
private struct Certificates {
    let scratch: Scratch

    init() async throws {
        scratch = try Scratch("serin-tls")
        for authority in ["own", "other"] {
            try await openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=\(authority)", "-keyout", scratch.file("\(authority).key"), "-out", scratch.file("\(authority).crt"))
        }
        try await issue("server", by: "own", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth")
        try await issue(
            "client", by: "own",
            "subjectAltName=DNS:deploy.example.org,URI:spiffe://example/deploy\nextendedKeyUsage=clientAuth")
        try await issue("stranger", by: "other", "extendedKeyUsage=clientAuth")
    }

    private func issue(_ name: String, by authority: String, _ extensions: String) async throws {
        try scratch.write("\(name).ext", extensions)
        try await openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=Example/CN=\(name)", "-keyout",
            scratch.file("\(name).key"), "-out", scratch.file("\(name).csr"))
        try await openssl(
            "x509", "-req", "-in", scratch.file("\(name).csr"), "-CA", scratch.file("\(authority).crt"), "-CAkey",
            scratch.file("\(authority).key"), "-CAcreateserial", "-days", "2", "-extfile", scratch.file("\(name).ext"), "-out",
            scratch.file("\(name).crt"))
    }

    private func openssl(_ arguments: String...) async throws {
        let done = try await Program("/usr/bin/openssl", arguments, environment: [:], deadline: .seconds(60)).run()
        #expect(done.termination == .exited(0), "\(done.text)")
    }

    func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: scratch.file(name))), as: UTF8.self)
    }

    var tls: TLS {
        get throws {
            try TLS(
                certificate: text("server.crt"), key: text("server.key"), clientAuthorities: text("own.crt"))
        }
    }
}

/// Serves on a port of the loopback address while a body runs.
private func serve(
    tls: TLS? = nil, report: @escaping @Sendable (String) -> Void = { _ in }, _ body: (_ url: String) async throws -> Void
) async throws {
    let scratch = try Scratch("serin-tcp")
    defer { scratch.remove() }
    let listeners: [Listener] = [
        .unix(try UnixSocket(listeningAt: scratch.file("s.sock"))), .tcp(try TCPSocket(listeningAt: "0"), tls: tls),
    ]
    let server = try HTTPServer(listeners: listeners, router: Router([peer, echo, ticks]), report: report)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await server.run() }
        do { try await body(listeners[1].place) } catch {
            server.stop()
            try await group.waitForAll()
            throw error
        }
        server.stop()
        try await group.waitForAll()
    }
    #expect(!UnixSocket.answers(at: scratch.file("s.sock")), "every listener is closed")
}

private func curl(_ arguments: String...) async throws -> (code: Int32, JSONValue) {
    let done = try await Program(
        "/usr/bin/curl", ["--silent", "--max-time", "20"] + arguments, environment: [:], deadline: .seconds(60)
    ).run()
    guard case .exited(let code) = done.termination else { return (-1, .null) }
    return (code, code == 0 ? try JSONValue(parsing: done.output) : .null)
}

@Suite(.serialized) struct TCPTests {
    @Test func onePortAndOneSocketShareARouter() async throws {
        try await serve { url in
            #expect(url.hasPrefix("http://127.0.0.1:"))
            let (code, peer) = try await curl("\(url)/peer")
            #expect(code == 0)
            #expect(peer["uid"] == .null)
            #expect(peer["address"]?.text == "127.0.0.1")
            #expect(peer["encrypted"] == .bool(false))
        }
    }

    @Test func aClientCertificateIdentifiesItsHolder() async throws {
        let made = try await Certificates()
        defer { made.scratch.remove() }
        let said = Locked<[String]>([])
        try await serve(tls: try made.tls, report: { line in said.withLock { $0.append(line) } }) { url in
            #expect(url.hasPrefix("https://127.0.0.1:"))
            let trust = ["--cacert", made.scratch.file("own.crt")]
            let (code, peer) = try await curl(
                trust[0], trust[1], "--cert", made.scratch.file("client.crt"), "--key", made.scratch.file("client.key"),
                "\(url)/peer")
            #expect(code == 0)
            #expect(peer["encrypted"] == .bool(true))
            // As RFC 4514 writes it: the last part first.
            #expect(peer["subject"]?.text == "CN=client,O=Example")
            #expect(peer["names"]?.items?.compactMap(\.text) == ["dns:deploy.example.org", "uri:spiffe://example/deploy"])
            #expect(peer["fingerprint"]?.text?.count == 64)
            // Without one the connection stands, and nobody is identified by it.
            let (anonymous, nobody) = try await curl(trust[0], trust[1], "\(url)/peer")
            #expect(anonymous == 0)
            #expect(nobody["subject"] == .null)
            // One of another authority, and one that is for servers, end it.
            for name in ["stranger", "server"] {
                let (refused, _) = try await curl(
                    trust[0], trust[1], "--cert", made.scratch.file("\(name).crt"), "--key",
                    made.scratch.file("\(name).key"), "\(url)/peer")
                #expect(refused != 0, "\(name)")
            }
            // Said once a minute, so that whoever comes again and again fills no log.
            #expect(
                said.withLock { $0 } == [
                    "127.0.0.1 showed a certificate that is of no authority that is known here: the connection was closed"
                ])
            // TLS 1.1 is no more.
            #expect(try await curl(trust[0], trust[1], "--tls-max", "1.1", "\(url)/peer").code != 0)
        }
    }

    @Test func longBodiesAndGrowingAnswersPassThroughTLS() async throws {
        let made = try await Certificates()
        defer { made.scratch.remove() }
        try await serve(tls: try made.tls) { url in
            let body = String(repeating: "0123456789", count: 50_000)
            try made.scratch.write("body", body)
            for (path, arguments, size) in [
                ("/echo", ["--data-binary", "@\(made.scratch.file("body"))"], 500_000), ("/ticks", [], 450_000),
            ] {
                let done = try await Program(
                    "/usr/bin/curl",
                    [
                        "--silent", "--show-error", "--max-time", "30", "--cacert", made.scratch.file("own.crt"), "--output",
                        made.scratch.file("answer"), "--write-out", "%{size_download}",
                    ] + arguments + [url + path],
                    environment: [:], deadline: .seconds(60)
                ).run()
                #expect(done.text == "\(size)", "\(path)")
            }
        }
    }

    @Test func aCertificateOutOfItsTimeIsNamed() async throws {
        let made = try await Certificates()
        defer { made.scratch.remove() }
        let tls = try made.tls
        let now = Instant(secondsSince1970: Int64(time(nil)))
        #expect(tls.complaint(at: now) == nil)
        #expect(tls.complaint(at: now + .hours(72))?.hasPrefix("the certificate expired at 20") == true)
        #expect(tls.complaint(at: now - .hours(2))?.hasPrefix("the certificate is good only from 20") == true)
    }

    @Test func whatIsNoCertificateOrNotItsKeyIsRefused() async throws {
        let made = try await Certificates()
        defer { made.scratch.remove() }
        #expect(throws: Failure.self) { try TLS(certificate: "x", key: made.text("server.key")) }
        #expect(throws: Failure.self) { try TLS(certificate: made.text("server.crt"), key: made.text("client.key")) }
        #expect(throws: Failure.self) {
            try TLS(certificate: made.text("server.crt"), key: made.text("server.key"), clientAuthorities: "none")
        }
        #expect(!"\(try made.tls)".contains("PRIVATE"))
    }

    @Test(arguments: ["", "x", "host:1", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":1", "[::1]"])
    func whatIsNoAddressIsRefused(_ place: String) {
        #expect(throws: Failure.self) { try TCPSocket(listeningAt: place) }
    }

    @Test func aTakenPortIsRefused() throws {
        let first = try TCPSocket(listeningAt: "127.0.0.1:0")
        #expect(first.isLoopback)
        #expect(throws: Failure.self) { try TCPSocket(listeningAt: "\(first.port)") }
        #expect(try TCPSocket(listeningAt: "0.0.0.0:0").isLoopback == false)
    }
}
