import SerinAPI
import SerinCrypto
import SerinIdentity
import SerinLocks
import SerinModel
import SerinSQLite
import SerinTransport
import Testbed
import Testing

@testable import SerinCommandLine

private let identities = """
    version: 1
    people:
      anna: {is: ["uid:4711", "corp:u-17", "mtls:CN=anna,O=Acme"]}
    issuers:
      github:
        kind: github
        audiences: [serin]
        rules:
          - {when: {repository: acme/shop, ref: [refs/heads/main, "refs/tags/v*"]}, roles: [releaser]}
      corp:
        issuer: https://id.acme.example
        audiences: [serin]
        algorithms: [HS256]
        secret_env: CORP_SECRET
        rules: [{when: {groups: sre}, roles: [approver], person: true}]
    certificates: [{subject: "CN=anna,O=Acme", roles: [approver], person: true}]
    local_users: [{group: 50, roles: [operator]}]
    """

/// Identifies requests by a file of identities and by the tokens of a state folder.
private func withIdentification(
    _ text: String = identities, _ body: (Scratch, Authenticators, TestProgram) async throws -> Void
) async throws {
    let scratch = try Scratch("identities")
    defer { scratch.remove() }
    let environment = ["SERIN_STATE": scratch.path, "CORP_SECRET": String(repeating: "s", count: 32)]
    let program = try TestProgram(environment: environment)
    let file = try scratch.write("identities.yaml", text)
    let settings = try IdentityFile(path: file, secrets: Secrets(environment: environment)).settings()
    let store = try await SQLiteAccess.open(SQLiteAccess.path(under: scratch.path))
    let session = try program.session()
    let identification = try Identification(
        settings, store: store, transport: try Transport(), now: { session.now }, report: { _ in })
    try await body(scratch, Authenticators([identification.remote, identification.local]), program)
    await store.close()
}

private func bearing(_ token: String, uid: UInt32? = nil) -> Request {
    Request(
        method: "GET", path: "/v1/rollouts", headers: [Request.Pair("Authorization", "Bearer \(token)")], peer: Peer(uid: uid))
}

@Suite struct IdentificationTests {
    @Test func theSamePersonIsOnePrincipalByTokenSocketAndCertificate() async throws {
        try await withIdentification { scratch, authenticator, program in
            #expect(await program.run("token", "create", "laptop", "--owner", "uid:4711", "--role", "approver") == .ok)
            let token = program.takeOutput().trimmed
            let certificate = Peer.Certificate(subject: "CN=anna,O=Acme", fingerprint: "ab")
            let requests = [
                bearing(token), bearing(token, uid: 0), Request(method: "GET", path: "/", peer: Peer(uid: 4711)),
                Request(method: "GET", path: "/", peer: Peer(isEncrypted: true, certificate: certificate)),
            ]
            for request in requests {
                let bearer = try await authenticator.identify(request)
                #expect(bearer?.principal == .person("anna"))
            }
            let first = try await authenticator.identify(requests[0])
            #expect(first?.how == .token)
        }
    }

    /// A browser shows its certificate to whoever it is made to send something.
    @Test func aCertificateAloneDoesNotAnswerForWhatAnotherSiteSends() async throws {
        try await withIdentification { _, authenticator, _ in
            let peer = Peer(isEncrypted: true, certificate: .init(subject: "CN=anna,O=Acme", fingerprint: "ab"))
            func identify(_ method: String, _ headers: [(String, String)]) async throws(Problem) -> Identity? {
                let headers = [("Host", "serin.example:8443")] + headers
                return try await authenticator.identify(
                    Request(
                        method: method, path: "/v1/rollouts/checkout:resume",
                        headers: headers.map { Request.Pair($0.0, $0.1) }, peer: peer))
            }
            for headers in [
                [("Sec-Fetch-Site", "cross-site")], [("Sec-Fetch-Site", "same-site")], [("Origin", "https://evil.example")],
                [("Origin", "null")],
            ] {
                let problem = try await #require(throws: Problem.self) { try await identify("POST", headers) }
                #expect(problem.kind == .forbidden, "\(headers)")
                #expect(try await identify("GET", headers)?.principal == .person("anna"))
            }
            for headers in [
                [], [("Sec-Fetch-Site", "same-origin")], [("Origin", "https://serin.example:8443")],
            ] as [[(String, String)]] {
                #expect(try await identify("POST", headers)?.principal == .person("anna"), "\(headers)")
            }
        }
    }

    @Test func aPipelinesTokenStartsAndHaltsAndLetsNothingGoOn() async throws {
        try await withIdentification { _, authenticator, program in
            #expect(
                await program.run(
                    "token", "create", "ci", "--pipeline", "--role", "releaser", "--role", "approver", "--for", "1h")
                    == .ok)
            let identity = try #require(try await authenticator.identify(bearing(program.takeOutput().trimmed)))
            #expect(Access.any(of: [.releaser]).refusal(of: identity) == nil)
            #expect(Access.any(of: [.operator]).refusal(of: identity) == nil)
            #expect(Access.any(of: [.approver], person: true).refusal(of: identity)?.kind == .forbidden)
        }
    }

    @Test func aTokenIsShownOnceAndEndsWhenItIsRevoked() async throws {
        try await withIdentification { _, authenticator, program in
            #expect(await program.run("token", "create", "ci", "--scope", "backup:read", "--project", "shop") == .ok)
            let token = program.takeOutput().trimmed
            let pipeline = try await authenticator.identify(bearing(token))
            #expect(pipeline?.projects == ["shop"])
            for format in ["table", "json"] {
                #expect(await program.run("token", "list", "--all", "-o", format) == .ok)
                let list = program.takeOutput()
                #expect(list.contains("ci") && list.contains("backup:read"))
                #expect(!list.contains(token.suffix(72)) && !list.contains("hash"))
            }
            #expect(await program.run("token", "revoke", "ci", "--reason", "leaked") == .ok)
            await #expect(throws: Problem.self) { try await authenticator.identify(bearing(token)) }
            #expect(await program.run("token", "revoke", "ci") == .refused)
            #expect(await program.run("token", "create", "nothing") == .usage)
        }
    }

    @Test func credentialsThatAreNotGoodAreRefusedAndNotPassedOver() async throws {
        try await withIdentification { _, authenticator, _ in
            for wrong in ["serin_0", "x", "a.b.c", ""] {
                let error = await #expect(throws: Problem.self) { try await authenticator.identify(bearing(wrong, uid: 0)) }
                #expect(error?.kind == .unidentified)
            }
            let nobody = try await authenticator.identify(Request(method: "GET", path: "/"))
            #expect(nobody == nil)
        }
    }

    @Test func aKeyThatIsNotKnownYetIsNoRefusal() async throws {
        let (first, second) = (try Testbed.SigningKey(.ed25519), try Testbed.SigningKey(.ed25519))
        let body = JSONValue.object(["keys": .array([try first.jwk("a")])]).canonicalText
        let server = try ScriptedServer { _ in [.http(200, body)] }
        defer { server.stop() }
        let text = """
            version: 1
            issuers:
              corp:
                issuer: \(server.url)
                keys_url: \(server.url)/keys
                audiences: [serin]
                algorithms: [EdDSA]
                rules: [{when: {sub: job}, roles: [releaser]}]
            """
        try await withIdentification(text) { _, authenticator, program in
            let seconds = try program.session().now.millisecondsSince1970 / 1000
            func token(_ key: Testbed.SigningKey, _ id: String) throws -> String {
                let claims = JSONValue.object([
                    "iss": .string(server.url), "aud": .string("serin"), "sub": .string("job"), "iat": .integer(seconds),
                    "exp": .integer(seconds + 300),
                ])
                return try key.token(claims, header: ["alg": .string("EdDSA"), "kid": .string(id)])
            }
            #expect(try await authenticator.identify(bearing(try token(first, "a")))?.roles == [.releaser])
            let problem = try await #require(throws: Problem.self) {
                try await authenticator.identify(bearing(try token(second, "b")))
            }
            #expect(problem.kind == .unavailable && (2...60).contains(problem.retryAfter))
            #expect(problem.hint?.contains("try again with the same in \(problem.retryAfter) s") == true)
            #expect(server.requests.count == 1)
        }
    }

    @Test func eachReasonOfARefusalHasItsLine() {
        let (lines, clock) = (Locked<[String]>([]), Locked(Instant(millisecondsSince1970: 1_795_000_000_000)))
        let log = RefusalLog({ line in lines.withLock { $0.append(line) } }, now: { clock.withLock { $0 } })
        func refuse(_ detail: String) {
            log.say(
                .refused(told: "no", detail: detail), "refused a request", from: " from 192.0.2.\(lines.withLock { $0.count })")
        }
        for number in 0..<20 { refuse("no token is known by the number '\(number)' and this secret") }
        refuse("a token that never ends")
        log.say(.refused(told: "no", detail: "a token that never ends"), "refused a sign-in")
        clock.withLock { $0 = $0 + RefusalLog.pause }
        refuse("no token is known by the number 'x' and this secret")
        #expect(
            lines.withLock { $0 } == [
                "refused a request from 192.0.2.0: no token is known by the number '0' and this secret",
                "refused a request from 192.0.2.1: a token that never ends", "refused a sign-in: a token that never ends",
                "refused a request from 192.0.2.3: no token is known by the number 'x' and this secret (and 19 more)",
            ])
        // However many there are, the log is not filled.
        for first in "abcdefghij" { for second in "abcdefghij" { refuse("\(first)\(second)") } }
        #expect(lines.withLock { $0.count } < 10 + RefusalLog.reasonLimit)
    }

    @Test func localUsersMayWhatTheFileSaysAndTheHostsOwnerEverything() async throws {
        try await withIdentification { _, authenticator, _ in
            func roles(_ uid: UInt32, _ groups: [UInt32]) async throws -> Set<Role>? {
                var peer = Peer(uid: uid)
                peer.groups = groups
                return try await authenticator.identify(Request(method: "GET", path: "/", peer: peer))?.roles
            }
            let ofTheGroup = try await roles(4712, [50])
            #expect(ofTheGroup == [.operator])
            let ofAnother = try await roles(4712, [51])
            #expect(ofAnother == [])
            let ofRoot = try await roles(0, [0])
            #expect(ofRoot == Set(Role.allCases))
        }
    }

    @Test(
        arguments: [
            ("people: {anna: {is: [uid]}}", "no identity"), ("people: {a: {is: [\"uid:1\"]}, b: {is: [\"uid:1\"]}}", "both"),
            ("issuers: {x: {audiences: [serin], rules: [{when: {a: b}, roles: [viewer]}]}}", "address is missing"),
            (
                "issuers: {x: {kind: github, audiences: [serin], rules: [{when: {ref: main}, roles: [viewer]}]}}",
                "anybody's pipeline"
            ),
            ("certificates: [{subject: \"CN=a\", name: \"dns:a\", roles: [viewer]}]", "subject"),
            ("local_users: [{user: 5}]", "roles"), ("local_users: [{user: 5, roles: [owner]}]", "owner"),
        ])
    func aFileThatIsWrongStopsTheStart(_ text: String, _ words: String) async throws {
        let scratch = try Scratch("identities")
        defer { scratch.remove() }
        let program = try TestProgram()
        let file = try scratch.write("identities.yaml", "version: 1\n" + text)
        #expect(await program.run("daemon", "--identities", file) == .usage)
        #expect(program.messages.withLock { $0 }.contains(words))
    }
}

extension String {
    /// Without line ends.
    fileprivate var trimmed: String { String(prefix { $0 != "\n" }) }
}
