import SerinCrypto
import SerinLocks
import SerinModel
import SerinTransport
import Testbed
import Testing

@testable import SerinIdentity

private let now = Instant(millisecondsSince1970: 1_795_000_000_000)

/// A loopback issuer whose answers a test changes.
private final class LoopbackIssuer: Sendable {
    let server: ScriptedServer
    private let answers = Locked<[String: (Int, String)]>([:])

    init() throws {
        let answers = answers
        server = try ScriptedServer { request in
            let (status, body) = answers.withLock { $0[request.target] } ?? (404, "{}")
            return [.http(status, body)]
        }
    }

    var url: String { server.url }
    func answer(_ path: String, _ status: Int, _ body: String) { answers.withLock { $0[path] = (status, body) } }
    func count(_ path: String) -> Int { server.requests.count { $0.target == path } }

    func serve(_ keys: [JSONValue]) { answer("/keys", 200, JSONValue.object(["keys": .array(keys)]).canonicalText) }

    func serveDiscovery(issuer: String? = nil, keys: String? = nil) {
        answer(
            "/.well-known/openid-configuration", 200,
            JSONValue.object(["issuer": .string(issuer ?? url), "jwks_uri": .string(keys ?? url + "/keys")]).canonicalText)
    }

    func settings(_ keys: KeySource? = nil) -> IssuerSettings {
        IssuerSettings(
            name: "ci", issuer: url, audiences: ["serin"], algorithms: [.edDSA, .es256],
            keys: keys ?? .keySet(url: url + "/keys"),
            rules: [ClaimRule([ClaimRule.Condition("sub", "job")], gives: Grant(roles: [.releaser], isPerson: false))])
    }

    func token(_ key: SigningKey, _ id: String?, at moment: Instant = now) throws -> String {
        let seconds = moment.millisecondsSince1970 / 1000
        let claims = JSONValue.object([
            "iss": .string(url), "aud": .array([.string("other"), .string("serin")]), "sub": .string("job"),
            "iat": .integer(seconds),
            "exp": .integer(seconds + 60),
        ])
        guard let id else { return try key.token(claims, header: ["alg": .string(key.algorithm)]) }
        return try key.token(claims, header: ["alg": .string(key.algorithm), "kid": .string(id)])
    }
}

private func judge(_ text: String, _ tokens: WebTokens, at moment: Instant = now) async throws -> Caller {
    try await tokens.caller(bearing: text, people: try People([]), at: moment)
}

@Suite struct KeySetTests {
    private let issuer: LoopbackIssuer
    let tokens: WebTokens
    let first: SigningKey
    let second: SigningKey

    init() throws {
        issuer = try LoopbackIssuer()
        #expect(issuer.settings().defect == nil)
        tokens = WebTokens([issuer.settings()], transport: try Transport())
        first = try SigningKey(.ed25519)
        second = try SigningKey(.p256)
        issuer.serve([try first.jwk("a")])
    }

    @Test func keysAreFetchedOnceForManyTokens() async throws {
        let text = try issuer.token(first, "a")
        try await withThrowingTaskGroup { group in
            for _ in 0..<20 { group.addTask { _ = try await judge(text, tokens) } }
            try await group.waitForAll()
        }
        #expect(issuer.count("/keys") == 1)
    }

    @Test func aRotatedKeyIsFetchedAndAFloodOfUnknownOnesIsNot() async throws {
        _ = try await judge(try issuer.token(first, "a"), tokens)
        issuer.serve([try first.jwk("a"), try second.jwk("b")])
        let text = try issuer.token(second, "b")
        let early = await #expect(throws: CredentialError.self) { try await judge(text, tokens, at: now + .seconds(30)) }
        guard case .unavailable(_, let rest) = early else { throw Wrong() }
        #expect(rest == .seconds(30))
        #expect(issuer.count("/keys") == 1)
        _ = try await judge(text, tokens, at: now + .seconds(60))
        for number in 0..<50 {
            let unknown = try issuer.token(second, "x\(number)")
            let error = await #expect(throws: CredentialError.self) { try await judge(unknown, tokens, at: now + .seconds(61)) }
            guard case .unavailable(_, let rest) = error else { throw Wrong() }
            #expect(rest == .seconds(59))
        }
        #expect(issuer.count("/keys") == 2)
    }

    @Test func aKeyThatANewSetLacksIsRefusedAndOneOfWhichNobodyCanTellIsNot() async throws {
        _ = try await judge(try issuer.token(first, "a"), tokens)
        let text = try issuer.token(second, "b")
        let lacking = await #expect(throws: CredentialError.self) { try await judge(text, tokens, at: now + .seconds(60)) }
        guard case .refused = lacking else { throw Wrong() }
        issuer.answer("/keys", 503, "down")
        for (seconds, after) in [(120, 60), (130, 50)] as [(Int64, Int64)] {
            let moment = now + .seconds(seconds)
            let later = try issuer.token(second, "b", at: moment)
            let error = await #expect(throws: CredentialError.self) { try await judge(later, tokens, at: moment) }
            guard case .unavailable(_, let rest) = error else { throw Wrong() }
            #expect(rest == .seconds(after))
        }
        #expect(issuer.count("/keys") == 3)
    }

    @Test func keysOfTheConfigurationRefuseWhatTheyHaveNotSigned() async throws {
        let key = try PublicKey(pem: try first.pem())
        let tokens = WebTokens([issuer.settings(.keys([key]))], transport: try Transport())
        let text = try issuer.token(second, "b")
        for later in [0, 1] as [Int64] {
            let error = await #expect(throws: CredentialError.self) { try await judge(text, tokens, at: now + .seconds(later)) }
            guard case .refused = error else { throw Wrong() }
        }
        let days = now + .hours(72)
        _ = try await judge(try issuer.token(first, "a", at: days), tokens, at: days)
    }

    @Test func aKeyIsOnlyUsedUnderItsName() async throws {
        issuer.serve([try first.jwk("a"), try SigningKey(.ed25519).jwk("b")])
        _ = try await judge(try issuer.token(first, "a"), tokens)
        for name in ["b", "c", nil] {
            let text = try issuer.token(first, name)
            await #expect(throws: CredentialError.self) { try await judge(text, tokens, at: now) }
        }
    }

    @Test func theLastGoodKeysHoldForADayWhileTheIssuerIsDown() async throws {
        _ = try await judge(try issuer.token(first, "a"), tokens)
        issuer.answer("/keys", 503, "down")
        let late = now + .hours(23)
        _ = try await judge(try issuer.token(first, "a", at: late), tokens, at: late)
        let later = now + .hours(24)
        let text = try issuer.token(first, "a", at: later)
        let error = await #expect(throws: CredentialError.self) { try await judge(text, tokens, at: later) }
        guard case .unavailable = error else { throw Wrong() }
    }

    @Test func theKeysThatWereFetchedOutlastANewConfigurationOfTheSameIssuer() async throws {
        issuer.serveDiscovery()
        let before = WebTokens([issuer.settings(.discovery)], transport: try Transport())
        let text = try issuer.token(first, "a")
        _ = try await judge(text, before)
        issuer.answer("/keys", 503, "down")
        var settings = issuer.settings(.discovery)
        settings.name = "renamed"
        _ = try await judge(text, WebTokens([settings], transport: try Transport(), previous: before))
        // Elsewhere there may be other keys.
        let elsewhere = WebTokens([issuer.settings()], transport: try Transport(), previous: before)
        await #expect(throws: CredentialError.self) { try await judge(text, elsewhere) }
    }

    @Test func anIssuerThatIsDownIsAskedSeldom() async throws {
        issuer.answer("/keys", 500, "down")
        let text = try issuer.token(first, "a")
        for _ in 0..<20 { await #expect(throws: CredentialError.self) { try await judge(text, tokens) } }
        #expect(issuer.count("/keys") == 1)
    }

    @Test func keysThatCannotBeUsedAreLeftOut() async throws {
        let weak = try SigningKey(.rsa(bits: 1024)).jwk("weak")
        let other = try SigningKey(.ed25519)
        issuer.serve([
            weak, .object(["kty": .string("oct"), "kid": .string("a"), "k": .string("c2VjcmV0")]), .string("no key"),
            try other.jwk("a", ["use": .string("enc")]), try other.jwk("a", ["key_ops": .array([.string("sign")])]),
            try other.jwk("a", ["alg": .string("ES256")]), try other.jwk("a", ["d": .string("AA")]), try first.jwk("a"),
            .object(["kty": .string("EC"), "crv": .string("P-256"), "x": .string("AQ"), "y": .string("AQ")]),
        ])
        _ = try await judge(try issuer.token(first, "a"), tokens)
        let text = try issuer.token(other, "a")
        await #expect(throws: CredentialError.self) { try await judge(text, tokens) }
    }

    @Test(arguments: ["", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[]}"#])
    func whatIsNoKeySetGivesNoKeys(_ text: String) throws {
        #expect(throws: Failure.self) { try KeySet(parsing: Array(text.utf8)) }
    }

    @Test func aKeySetThatIsTooLongIsRefused() async throws {
        issuer.answer("/keys", 200, "{\"keys\":[" + String(repeating: " ", count: KeySet.byteLimit) + "]}")
        let text = try issuer.token(first, "a")
        let error = await #expect(throws: CredentialError.self) { try await judge(text, tokens) }
        guard case .unavailable = error else { throw Wrong() }
        let many = JSONValue.object(["keys": .array([JSONValue](repeating: try first.jwk("a"), count: 101))])
        #expect(throws: Failure.self) { try KeySet(parsing: many.canonicalBytes) }
    }

    @Test func theDiscoveryDocumentLeadsToTheKeys() async throws {
        issuer.serveDiscovery()
        let tokens = WebTokens([issuer.settings(.discovery)], transport: try Transport())
        _ = try await judge(try issuer.token(first, "a"), tokens)
    }

    @Test func aDiscoveryDocumentOfAnotherIssuerIsRefused() async throws {
        issuer.serveDiscovery(issuer: issuer.url + "/")
        let tokens = WebTokens([issuer.settings(.discovery)], transport: try Transport())
        let text = try issuer.token(first, "a")
        let error = await #expect(throws: CredentialError.self) { try await judge(text, tokens) }
        #expect(error?.description.contains("another issuer") == true)
    }

    @Test(arguments: ["http://keys.example/keys", "file:///etc/passwd", "", "https://"])
    func keysAreNotFetchedInClearFromElsewhere(_ address: String) async throws {
        issuer.serveDiscovery(keys: address)
        let tokens = WebTokens([issuer.settings(.discovery)], transport: try Transport())
        let text = try issuer.token(first, "a")
        let error = await #expect(throws: CredentialError.self) { try await judge(text, tokens) }
        #expect(error?.description.contains("no https address") == true)
        var settings = issuer.settings(.keySet(url: address))
        #expect(settings.defect?.contains("https") == true)
        settings.issuer = "http://127.0.0.1@evil.example/"
        settings.keys = .discovery
        #expect(settings.defect?.contains("https") == true)
    }

    @Test func aRedirectOfTheKeysIsNotFollowed() async throws {
        let other = try LoopbackIssuer()
        other.serve([try first.jwk("a")])
        let target = other.url
        let server = try ScriptedServer { _ in [.http(302, "", headers: ["Location: \(target)/keys"])] }
        defer { server.stop() }
        let tokens = WebTokens([issuer.settings(.keySet(url: server.url + "/keys"))], transport: try Transport())
        let text = try issuer.token(first, "a")
        await #expect(throws: CredentialError.self) { try await judge(text, tokens) }
        #expect(other.count("/keys") == 0)
    }
}

@Suite struct PublicKeyTests {
    @Test func aPointThatIsNotOnTheCurveIsNoKey() throws {
        var y = [UInt8](repeating: 0, count: 32)
        y[31] = 5
        #expect(throws: CryptoError.self) { try PublicKey(p256X: [UInt8](repeating: 0, count: 31) + [3], y: y) }
        #expect(throws: CryptoError.self) { try PublicKey(p256X: [1], y: [1]) }
    }

    @Test func aShortKeyOrAnotherCurveIsNotAccepted() throws {
        #expect(throws: CryptoError.self) { try PublicKey(pem: try SigningKey(.rsa(bits: 1024)).pem()) }
        #expect(throws: CryptoError.self) { try PublicKey(pem: try SigningKey(.p384).pem()) }
        #expect(throws: CryptoError.self) { try PublicKey(pem: Array("no key".utf8)) }
    }

    @Test func keysOfNumbersThatAreNoKeyAreRefused() {
        #expect(throws: CryptoError.self) { try PublicKey(rsaModulus: [], exponent: [3]) }
        #expect(throws: CryptoError.self) { try PublicKey(rsaModulus: [UInt8](repeating: 255, count: 256), exponent: [1]) }
        #expect(throws: CryptoError.self) {
            try PublicKey(rsaModulus: [UInt8](repeating: 255, count: 4096), exponent: [1, 0, 1])
        }
        #expect(throws: CryptoError.self) { try PublicKey(ed25519: [1, 2, 3]) }
    }
}
