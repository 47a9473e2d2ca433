import SerinCrypto
import SerinLocks
import SerinModel
import SerinTransport
import Testbed
import Testing

@testable import SerinIdentity

private let now = Instant(millisecondsSince1970: 1_795_000_000_000)

/// An issuer on loopback at which people sign in, as OpenID Connect Core 1.0 and RFC 7636 say it must behave.
private final class Provider: Sendable {
    /// What it does otherwise than it should.
    enum Fault: Sendable, CaseIterable {
        case otherNonce, noNonce, otherAudience, otherIssuer, otherKey, otherParty, noToken, broken
    }

    private struct Grant: Sendable {
        var client: String
        var redirect: String
        var challenge: String
        var nonce: String
    }

    let server: ScriptedServer
    private let grants: Locked<[String: Grant]>
    let fault: Locked<Fault?>
    let methods: Locked<[String]?>

    init() throws {
        let key = try SigningKey(.ed25519)
        let stranger = try SigningKey(.ed25519)
        let (grants, fault, methods) = (Locked<[String: Grant]>([:]), Locked<Fault?>(nil), Locked<[String]?>(nil))
        let place = Locked("")
        let jwks = JSONValue.object(["keys": .array([try key.jwk("k")])]).canonicalText
        server = try ScriptedServer { request in
            let url = place.withLock { $0 }
            switch request.target {
            case "/.well-known/openid-configuration":
                var document: [JSONValue.Member] = [
                    ("issuer", url), ("jwks_uri", url + "/keys"), ("authorization_endpoint", url + "/authorize?tenant=a"),
                    ("token_endpoint", url + "/token"),
                ].map { JSONValue.Member($0.0, .string($0.1)) }
                if let methods = methods.withLock({ $0 }) {
                    document.append(
                        JSONValue.Member("token_endpoint_auth_methods_supported", .array(methods.map { .string($0) })))
                }
                return [.http(200, JSONValue.sortedObject(document).canonicalText)]
            case "/keys": return [.http(200, jwks)]
            case "/token":
                let fault = fault.withLock { $0 }
                if fault == .broken { return [.http(500, "")] }
                // A code is good once.
                let grant = request.field("code").flatMap { code in grants.withLock { $0.removeValue(forKey: code) } }
                let basic = "Basic " + basicCredentials(user: "serin", password: "s%20cret")
                let isPosted = request.field("client_id") == "serin" && request.field("client_secret") == "s cret"
                let isPostedOnly = methods.withLock { $0 } == ["client_secret_post"]
                let verifier = request.field("code_verifier") ?? ""
                guard let grant, request.field("grant_type") == "authorization_code",
                    request.field("redirect_uri") == grant.redirect,
                    isPostedOnly ? isPosted : request.header("Authorization") == basic,
                    (43...128).contains(verifier.utf8.count),
                    Base64URL.text(of: SHA256.digestOrEmpty(Array(verifier.utf8))) == grant.challenge
                else { return [.http(400, #"{"error":"invalid_grant"}"#)] }
                let seconds = now.millisecondsSince1970 / 1000
                var claims = [
                    JSONValue.Member("iss", .string(fault == .otherIssuer ? "https://elsewhere.example" : url)),
                    JSONValue.Member("aud", .string(fault == .otherAudience ? "another" : grant.client)),
                    JSONValue.Member("sub", .string("u-17")), JSONValue.Member("iat", .integer(seconds)),
                    JSONValue.Member("exp", .integer(seconds + 300)),
                ]
                if fault == .otherParty { claims.append(JSONValue.Member("azp", .string("another"))) }
                if fault != .noNonce {
                    claims.append(JSONValue.Member("nonce", .string(fault == .otherNonce ? "stale" : grant.nonce)))
                }
                let signer = fault == .otherKey ? stranger : key
                guard fault != .noToken,
                    let token = try? signer.token(
                        .sortedObject(claims), header: ["alg": .string("EdDSA"), "kid": .string("k")])
                else { return [.http(200, #"{"access_token":"a","token_type":"Bearer"}"#)] }
                return [
                    .http(
                        200,
                        JSONValue.object([
                            "access_token": .string("a"), "token_type": .string("Bearer"), "id_token": .string(token),
                        ]).canonicalText)
                ]
            default: return [.http(404, "")]
            }
        }
        (self.grants, self.fault, self.methods) = (grants, fault, methods)
        place.withLock { $0 = server.url }
    }

    func settings(_ change: (inout IssuerSettings) -> Void = { _ in }) -> IssuerSettings {
        var secret = Array("s cret".utf8)
        var settings = IssuerSettings(
            name: "corp", issuer: server.url, audiences: ["serin", "another"], algorithms: [.edDSA], keys: .discovery,
            rules: [
                ClaimRule([ClaimRule.Condition("sub", "u-17")], gives: SerinIdentity.Grant(roles: [.approver], isPerson: true))
            ])
        settings.signIn = SignInSettings(clientID: "serin", secret: Secret(wiping: &secret), scopes: ["groups"])
        change(&settings)
        return settings
    }

    func flow(now: @escaping @Sendable () -> Instant = { momentOfTests }) throws -> CodeFlow {
        let transport = try Transport()
        return CodeFlow([settings()], transport: transport, tokens: WebTokens([settings()], transport: transport), now: now)
    }

    /// What somebody does in a browser: signs in there, and is sent back with what the address says.
    func signIn(_ address: String) throws -> (state: String, code: String) {
        let parts = address.split(separator: "?", maxSplits: 1)
        #expect(parts[0] == server.url + "/authorize")
        var query: [String: String] = [:]
        for pair in parts[1].split(separator: "&") {
            let words = pair.split(separator: "=", maxSplits: 1).map(String.init)
            query[words[0]] = words.count > 1 ? try plain(words[1]) : ""
        }
        #expect(query["tenant"] == "a" && query["response_type"] == "code" && query["code_challenge_method"] == "S256")
        #expect(query["scope"] == "openid groups" && query["client_id"] == "serin")
        let code = "code-\(grants.withLock { $0.count })-\(query["state"] ?? "")"
        let grant = Grant(
            client: try #require(query["client_id"]), redirect: try #require(query["redirect_uri"]),
            challenge: try #require(query["code_challenge"]), nonce: try #require(query["nonce"]))
        #expect(grant.challenge.utf8.count == 43 && grant.nonce.utf8.count == 43)
        grants.withLock { $0[code] = grant }
        return (try #require(query["state"]), code)
    }

    private func plain(_ text: String) throws -> String {
        var (bytes, rest) = ([UInt8](), Array(text.utf8)[...])
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            bytes.append(try #require(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)))
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private let momentOfTests = now
private let redirect = "http://127.0.0.1:8080/sign-in/corp/back"

/// Signing in at an issuer with a browser.
@Suite struct CodeFlowTests {
    private func begin(_ flow: CodeFlow) async throws -> CodeFlow.Beginning {
        try await flow.begin(at: "corp", redirect: redirect, target: "/audit")
    }

    private func refusal(_ flow: CodeFlow, _ back: CodeFlow.Return) async throws -> String {
        let error = try await #require(throws: CredentialError.self) { try await flow.finish(at: "corp", back) }
        return error.description
    }

    @Test func whoSignsInThereComesBackWithATokenAndGoesOn() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        #expect(provider.settings().defect == nil)
        let flow = try provider.flow()
        #expect(flow.names == ["corp"])
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        let end = try await flow.finish(at: "corp", .init(binding: beginning.binding, state: state, code: code))
        #expect(end.target == "/audit")
        let judge = WebTokens([provider.settings()], transport: try Transport())
        let caller = try await judge.caller(bearing: end.token, people: .none, at: now)
        #expect(caller.grant.roles == [.approver] && caller.principal == .oidc(issuer: "corp", subject: "u-17"))
    }

    @Test func theSecretIsPostedWhereTheIssuerTakesItOnlySo() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        provider.methods.withLock { $0 = ["client_secret_post"] }
        let flow = try provider.flow()
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        _ = try await flow.finish(at: "corp", .init(binding: beginning.binding, state: state, code: code))
    }

    @Test func aStateThatNobodyBeganAndOneThatWasUsedAreRefused() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        let flow = try provider.flow()
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        #expect(
            try await refusal(flow, .init(binding: beginning.binding, state: "guess", code: code)).contains("nobody began here"))
        _ = try await flow.finish(at: "corp", .init(binding: beginning.binding, state: state, code: code))
        #expect(
            try await refusal(flow, .init(binding: beginning.binding, state: state, code: code)).contains("nobody began here"))
        #expect(provider.server.requests.count { $0.target == "/token" } == 1)
    }

    @Test func anotherBrowsersLinkSignsNobodyIn() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        let flow = try provider.flow()
        let (mine, theirs) = (try await begin(flow), try await begin(flow))
        let (state, code) = try provider.signIn(theirs.address)
        #expect(try await refusal(flow, .init(binding: mine.binding, state: state, code: code)).contains("another browser"))
        #expect(provider.server.requests.count { $0.target == "/token" } == 0)
        // It is over for the other one, too.
        #expect(try await refusal(flow, .init(binding: theirs.binding, state: state, code: code)).contains("nobody began here"))
    }

    @Test func aCodeThatWasUsedElsewhereIsRefusedByTheIssuer() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        let flow = try provider.flow()
        let first = try await begin(flow)
        let (state, code) = try provider.signIn(first.address)
        _ = try await flow.finish(at: "corp", .init(binding: first.binding, state: state, code: code))
        let second = try await begin(flow)
        let other = try provider.signIn(second.address)
        #expect(
            try await refusal(flow, .init(binding: second.binding, state: other.state, code: code)).contains(
                "answered a code with 400"))
    }

    /// PKCE: a code that was stolen is for another verifier.
    @Test func aCodeOfAnotherSignInIsRefusedByTheIssuer() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        let flow = try provider.flow()
        let (mine, theirs) = (try await begin(flow), try await begin(flow))
        let stolen = try provider.signIn(theirs.address).code
        let state = try provider.signIn(mine.address).state
        #expect(
            try await refusal(flow, .init(binding: mine.binding, state: state, code: stolen)).contains("answered a code with 400")
        )
    }

    @Test(arguments: Provider.Fault.allCases)
    private func aTokenThatIsNotForThisSignInIsRefused(fault: Provider.Fault) async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        let flow = try provider.flow()
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        provider.fault.withLock { $0 = fault }
        let words = try await refusal(flow, .init(binding: beginning.binding, state: state, code: code))
        let expected =
            switch fault {
            case .otherNonce, .noNonce: "made for another sign-in"
            case .otherAudience, .otherIssuer, .otherParty: "for somebody else"
            case .otherKey: "no key of 'corp' has signed"
            case .noToken: "without an identity token"
            case .broken: "answered 500"
            }
        #expect(words.contains(expected), "\(fault): \(words)")
    }

    @Test func anErrorOfTheIssuerIsSaidAndItsWordsAreNot() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        let flow = try provider.flow()
        for (error, word) in [("access_denied", "access_denied"), ("<script>alert(1)</script>", "an error")] {
            let beginning = try await begin(flow)
            let state = try provider.signIn(beginning.address).state
            let refused = try await #require(throws: CredentialError.self) {
                try await flow.finish(
                    at: "corp", .init(binding: beginning.binding, state: state, code: nil, error: error))
            }
            #expect(
                refused == .refused(told: "'corp' did not sign you in: \(word)", detail: "'corp' answered a sign-in with \(word)")
            )
        }
        let beginning = try await begin(flow)
        let back = try provider.signIn(beginning.address)
        #expect(
            try await refusal(
                flow, .init(binding: beginning.binding, state: back.state, code: back.code, issuer: "https://elsewhere.example")
            ).contains("another issuer"))
    }

    @Test func aSignInThatTakesTooLongIsOver() async throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        let moment = Locked(now)
        let flow = try provider.flow(now: { moment.withLock { $0 } })
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        moment.withLock { $0 = $0 + CodeFlow.patience + .seconds(1) }
        #expect(try await refusal(flow, .init(binding: beginning.binding, state: state, code: code)).contains("was over"))
    }

    @Test func anIssuerThatDoesNotAnswerOrHasNoSignInIsSaid() async throws {
        let provider = try Provider()
        let flow = try provider.flow()
        await #expect(throws: CredentialError.self) { try await flow.begin(at: "github", redirect: redirect, target: "/") }
        provider.server.stop()
        let error = try await #require(throws: CredentialError.self) { try await begin(flow) }
        guard case .unavailable = error else { throw error }
    }

    @Test func aSignInThatCouldNotWorkIsADefect() throws {
        let provider = try Provider()
        defer { provider.server.stop() }
        #expect(provider.settings { $0.audiences = ["other"] }.defect?.contains("not among its audiences") == true)
        #expect(provider.settings { $0.issuer = "http://id.example" }.defect?.contains("https") == true)
        #expect(provider.settings { $0.signIn?.scopes = ["a b"] }.defect?.contains("scope") == true)
        var pipeline = IssuerSettings.gitHubActions(
            audiences: ["serin"],
            rules: [
                ClaimRule(
                    [ClaimRule.Condition("repository", "acme/shop")],
                    gives: SerinIdentity.Grant(roles: [.viewer], isPerson: false))
            ])
        #expect(pipeline.defect == nil)
        pipeline.signIn = SignInSettings(clientID: "serin")
        #expect(pipeline.defect?.contains("no people") == true)
    }
}
