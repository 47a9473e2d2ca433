import FoundationEssentials
import SerinCrypto
import SerinModel
import SerinTransport
import Testbed
import Testing

@testable import SerinIdentity

private let now = Instant(millisecondsSince1970: 1_795_000_000_000)
private let seconds = now.millisecondsSince1970 / 1000

/// An issuer that a test plays, with one key of each kind.
private struct Issuer {
    let rsa: SigningKey
    let p256: SigningKey
    let ed25519: SigningKey

    init() throws {
        rsa = try SigningKey(.rsa(bits: 2048))
        p256 = try SigningKey(.p256)
        ed25519 = try SigningKey(.ed25519)
    }

    func settings(_ algorithms: Set<SignatureAlgorithm> = [.rs256, .es256, .edDSA]) throws -> IssuerSettings {
        let keys = try [rsa, p256, ed25519].map { try PublicKey(pem: try $0.pem()) }
        return IssuerSettings(
            name: "corp", issuer: "https://id.example", audiences: ["serin"], algorithms: algorithms, keys: .keys(keys),
            rules: [ClaimRule([ClaimRule.Condition("groups", "sre")], gives: Grant(roles: [.approver], isPerson: true))])
    }
}

private let issuer = Result { try Issuer() }
private let transport = Result { try Transport() }

/// Good claims, with some of them changed; `null` takes one away.
private func claims(_ changes: KeyValuePairs<String, JSONValue> = [:]) -> JSONValue {
    var members: [JSONValue.Member] = changes.map { JSONValue.Member($0.key, $0.value) }
    members += [
        JSONValue.Member("iss", .string("https://id.example")), JSONValue.Member("aud", .string("serin")),
        JSONValue.Member("sub", .string("u-17")), JSONValue.Member("groups", .array([.string("dev"), .string("sre")])),
        JSONValue.Member("iat", .integer(seconds)), JSONValue.Member("exp", .integer(seconds + 300)),
    ]
    guard case .object(let all) = JSONValue.sortedObject(members) else { return .null }
    return .sortedObject(all.filter { $0.value != .null })
}

private func judge(_ text: String, by settings: IssuerSettings, people: [Person] = [], at moment: Instant = now) async throws
    -> Caller
{
    #expect(settings.defect == nil)
    return try await WebTokens([settings], transport: try transport.get()).caller(
        bearing: text, people: try People(people), at: moment)
}

private func refusal(_ text: String, by settings: IssuerSettings, at moment: Instant = now) async throws -> String {
    let error = try await #require(throws: CredentialError.self) { try await judge(text, by: settings, at: moment) }
    guard case .refused = error else { throw Wrong() }
    return error.description
}

@Suite struct WebTokenTests {
    @Test(arguments: ["RS256", "ES256", "EdDSA"])
    func aTokenSignedInAnAcceptedWayIsBelieved(_ algorithm: String) async throws {
        let issuer = try issuer.get()
        let key = [issuer.rsa, issuer.p256, issuer.ed25519].first { $0.algorithm == algorithm }
        let text = try #require(key).token(claims(), header: ["alg": .string(algorithm), "typ": .string("JWT")])
        let caller = try await judge(text, by: try issuer.settings())
        #expect(caller == Caller(.oidc(issuer: "corp", subject: "u-17"), Grant(roles: [.approver], isPerson: true)))
    }

    @Test func aPersonWhoIsKnownIsThatPerson() async throws {
        let issuer = try issuer.get()
        let text = try issuer.ed25519.token(claims(), header: ["alg": .string("EdDSA")])
        let people = [Person("anna", identities: [Principal(channel: "corp", identity: "u-17"), .uid(1000)])]
        #expect(try await judge(text, by: try issuer.settings(), people: people).principal == .person("anna"))
    }

    @Test func aSharedSecretIsBelievedWithHS256() async throws {
        var bytes = try randomBytes(32)
        let key = Secret(wiping: &bytes)
        var settings = try issuer.get().settings()
        settings.algorithms = [.hs256]
        settings.keys = .secret(key)
        let text = try signedToken(claims(), header: ["alg": .string("HS256")]) { try HMACSHA256.code(for: $0, key: key) }
        #expect(try await judge(text, by: settings).grant.roles == [.approver])
        let other = try signedToken(claims(), header: ["alg": .string("HS256")]) { try HMACSHA256.code(for: $0, key: [1, 2, 3]) }
        #expect(try await refusal(other, by: settings).contains("signature"))
    }

    // MARK: Attacks

    @Test(arguments: ["none", "None", "NONE", "nOnE", ""])
    func aTokenWithoutASignatureIsRefused(_ algorithm: String) async throws {
        let text = signedToken(claims(), header: ["alg": .string(algorithm)]) { _ in [] }
        #expect(try await refusal(text, by: try issuer.get().settings()).contains("not accepted"))
    }

    @Test func aPublicKeyUsedAsASecretIsRefused() async throws {
        let issuer = try issuer.get()
        let pem = try issuer.rsa.pem()
        let text = try signedToken(claims(), header: ["alg": .string("HS256")]) { try HMACSHA256.code(for: $0, key: pem) }
        #expect(try await refusal(text, by: try issuer.settings()).contains("not accepted"))
    }

    @Test func sharedSecretsAndPublicKeysCannotBeMixed() throws {
        var settings = try issuer.get().settings([.rs256, .hs256])
        #expect(settings.defect?.contains("HS256") == true)
        settings.keys = .keySet(url: "https://id.example/keys")
        #expect(settings.defect?.contains("HS256") == true)
        settings.keys = .discovery
        settings.algorithms = [.hs256]
        #expect(settings.defect?.contains("HS256") == true)
        var short = [UInt8](repeating: 7, count: 31)
        settings.keys = .secret(Secret(wiping: &short))
        #expect(settings.defect?.contains("31 bytes") == true)
    }

    @Test func anAlgorithmThatTheIssuerDoesNotUseIsRefused() async throws {
        let issuer = try issuer.get()
        let text = try issuer.p256.token(claims(), header: ["alg": .string("ES256")])
        #expect(try await refusal(text, by: try issuer.settings([.rs256])).contains("not accepted"))
    }

    @Test func aSignatureUnderAnotherAlgorithmsNameIsRefused() async throws {
        let issuer = try issuer.get()
        let text = try issuer.p256.token(claims(), header: ["alg": .string("RS256")])
        #expect(try await refusal(text, by: try issuer.settings()).contains("no key"))
    }

    @Test func aKeyInTheHeaderIsNotUsed() async throws {
        let stranger = try SigningKey(.ed25519)
        let text = try stranger.token(
            claims(),
            header: [
                "alg": .string("EdDSA"), "jwk": try stranger.jwk("own"), "jku": .string("https://evil.example/keys"),
                "x5u": .string("https://evil.example/c"), "kid": .string("own"),
            ])
        #expect(try await refusal(text, by: try issuer.get().settings()).contains("no key"))
    }

    @Test func changedClaimsAreRefused() async throws {
        let issuer = try issuer.get()
        let text = try issuer.rsa.token(claims(["sub": .string("u-18")]), header: ["alg": .string("RS256")])
        var parts = text.split(separator: ".").map(String.init)
        parts[1] = Base64URL.text(of: claims().canonicalBytes)
        #expect(try await refusal(parts.joined(separator: "."), by: try issuer.settings()).contains("no key"))
    }

    @Test(arguments: [0, 63, 64, 65, 70])
    func aSignatureOfP256OfAnotherFormIsRefused(_ count: Int) async throws {
        let issuer = try issuer.get()
        let text = signedToken(claims(), header: ["alg": .string("ES256")]) { _ in [UInt8](repeating: 0, count: count) }
        #expect(try await refusal(text, by: try issuer.settings()).contains("no key"))
    }

    @Test func aSignatureHasOneForm() async throws {
        let issuer = try issuer.get()
        let text = try issuer.ed25519.token(claims(), header: ["alg": .string("EdDSA")])
        // 64 bytes leave 4 bits of the last character unused; they must be 0.
        let last = try #require(text.last)
        let twin = text.dropLast() + (last == "A" ? "B" : last == "Q" ? "R" : last == "g" ? "h" : "x")
        for other in [String(twin), text + "=", text + " ", text.replacing("_", with: "/")] where other != text {
            _ = try await refusal(other, by: try issuer.settings())
        }
    }

    @Test(arguments: ["crit", "b64", "zip", "enc"])
    func anExtensionThatMustBeUnderstoodIsRefused(_ name: String) async throws {
        let issuer = try issuer.get()
        let value: JSONValue = name == "crit" ? .array([.string("exp")]) : .string("DEF")
        let members: [(String, JSONValue)] = [("alg", .string("EdDSA")), (name, value)]
        let head = JSONValue.sortedObject(members.map { JSONValue.Member($0.0, $0.1) })
        let signed = Base64URL.text(of: head.canonicalBytes) + "." + Base64URL.text(of: claims().canonicalBytes)
        let text = signed + "." + Base64URL.text(of: try issuer.ed25519.signature(of: Array(signed.utf8)))
        #expect(try await refusal(text, by: try issuer.settings()).contains("extension"))
    }

    @Test func aTokenOfAnotherTypeIsRefused() async throws {
        let issuer = try issuer.get()
        for type in ["at+jwt", "logout+jwt", "application/secevent+jwt"] {
            let text = try issuer.ed25519.token(claims(), header: ["alg": .string("EdDSA"), "typ": .string(type)])
            #expect(try await refusal(text, by: try issuer.settings()).contains("type"))
        }
        var settings = try issuer.settings()
        settings.types = ["at+jwt"]
        let untyped = try issuer.ed25519.token(claims(), header: ["alg": .string("EdDSA")])
        #expect(try await refusal(untyped, by: settings).contains("type"))
        let typed = try issuer.ed25519.token(claims(), header: ["alg": .string("EdDSA"), "typ": .string("application/at+JWT")])
        #expect(try await judge(typed, by: settings).grant.isPerson)
    }

    private static let wrongClaims: [(String, KeyValuePairs<String, JSONValue>)] = [
        ("issuer", ["iss": .string("https://id.example/")]), ("issuer", ["iss": .null]),
        ("issuer", ["iss": .array([.string("https://id.example")])]),
        ("audience", ["aud": .string("other")]), ("audience", ["aud": .array([])]), ("audience", ["aud": .null]),
        ("audience", ["aud": .string("serin ")]),
        ("never ends", ["exp": .null]), ("no time", ["exp": .string("99999999999")]), ("no time", ["exp": .number("1e12")]),
        ("no time", ["exp": .number("-1")]), ("no time", ["exp": .number("999999999999999999999")]),
        ("ended at", ["exp": .integer(seconds - 61)]), ("begins at", ["nbf": .integer(seconds + 61)]),
        ("no time", ["nbf": .bool(true)]), ("future", ["iat": .integer(seconds + 61)]),
        ("lives longer", ["exp": .integer(seconds + 86_401)]),
        ("lives longer", ["iat": .null, "exp": .integer(seconds + 86_401)]),
        ("lives longer", ["iat": .integer(seconds - 86_400)]),
        ("subject", ["sub": .null]), ("subject", ["sub": .string("")]), ("subject", ["sub": .string("a\nb")]),
        ("subject", ["sub": .string(String(repeating: "a", count: 256))]), ("no rule", ["groups": .string("dev")]),
        ("no rule", ["groups": .null]), ("no rule", ["groups": .object([:])]),
    ]

    @Test(arguments: wrongClaims.indices)
    func aClaimThatIsNotRightRefusesTheToken(_ index: Int) async throws {
        let (words, changes) = Self.wrongClaims[index]
        let issuer = try issuer.get()
        let text = try issuer.ed25519.token(claims(changes), header: ["alg": .string("EdDSA")])
        #expect(try await refusal(text, by: try issuer.settings()).contains(words))
    }

    @Test func clocksMayBeAMinuteApart() async throws {
        let issuer = try issuer.get()
        for changes: KeyValuePairs<String, JSONValue> in [
            ["exp": .integer(seconds - 59)], ["nbf": .integer(seconds + 60)], ["iat": .integer(seconds + 60)],
            ["exp": .number("\(seconds + 10).75")], ["iat": .null],
        ] {
            let text = try issuer.ed25519.token(claims(changes), header: ["alg": .string("EdDSA")])
            _ = try await judge(text, by: try issuer.settings())
        }
    }

    @Test func whatIsNoSignedTokenIsRefused() async throws {
        let settings = try issuer.get().settings()
        let good = try issuer.get().ed25519.token(claims(), header: ["alg": .string("EdDSA")])
        let parts = good.split(separator: ".").map(String.init)
        let twice = Base64URL.text(of: Array(#"{"alg":"EdDSA","alg":"none"}"#.utf8))
        let deep = Base64URL.text(of: Array((String(repeating: "[", count: 40) + String(repeating: "]", count: 40)).utf8))
        for text in [
            "", ".", "..", "...", "a.b.c", parts[0] + "." + parts[1], good + ".x", good + "." + parts[0] + "." + parts[1],
            "\(twice).\(parts[1]).\(parts[2])", "\(parts[0]).\(deep).\(parts[2])", "bnVsbA.bnVsbA.bnVsbA",
            parts[0] + "." + String(repeating: "A", count: 20_000) + "." + parts[2], " " + good, good + "\n",
        ] {
            _ = try await refusal(text, by: settings)
        }
    }

    @Test func theWordsOfARefusalHoldNoPartOfTheToken() async throws {
        let issuer = try issuer.get()
        let text = try issuer.rsa.token(claims(["exp": .integer(seconds - 600)]), header: ["alg": .string("RS256")])
        let words = try await refusal(text, by: try issuer.settings())
        #expect(text.split(separator: ".").allSatisfy { !words.contains($0) })
    }

    // MARK: Published examples

    @Test func publishedExamplesAreJudgedAsTheyShould() async throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Vectors/jwt_vectors.json")
        let document = try JSONValue(parsing: Array(Data(contentsOf: file)))
        let vectors = try #require(document["vectors"]?.items)
        #expect(vectors.count == 7)
        for vector in vectors {
            let name = try #require(vector["name"]?.text)
            let parts = try #require(vector["token"]?.text).split(separator: ".", omittingEmptySubsequences: false)
            let signed = Array("\(parts[0]).\(parts[1])".utf8)
            let signature = try #require(Base64URL.bytes(of: parts[2]))
            let allowed = (vector["alg_allowed"]?.items ?? []).compactMap(\.text)
            let header = try JSONValue(parsing: try #require(Base64URL.bytes(of: parts[0])))
            let isAllowed = allowed.contains(header["alg"]?.text ?? "")
            var isSigned = false
            if let jwk = vector["jwk"] {
                let keys = try KeySet(parsing: JSONValue.object(["keys": .array([jwk])]).canonicalBytes).keys
                isSigned = try #require(keys.first).key.isValid(signature, of: signed)
            } else if let key = vector["key_oct_b64url"]?.text {
                let code = try HMACSHA256.code(for: signed, key: try #require(Base64URL.bytes(of: key)))
                isSigned = areEqual(code, signature)
            }
            var isInTime = true
            if let moment = vector["now"]?.integer {
                let claims = try JSONValue(parsing: try #require(Base64URL.bytes(of: parts[1])))
                isInTime = moment < (claims["exp"]?.integer ?? .max)
            }
            #expect((isAllowed && isSigned && isInTime) == (vector["expect"]?.text == "accept"), "\(name)")
        }
    }
}
