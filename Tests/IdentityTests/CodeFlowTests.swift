import SerinCrypto
import SerinLocks
import SerinModel
import SerinTransport
import Testbed
import Testing

@testable import SerinIdentity

private let now = Instant(millisecondsSince1970: 1_795_000_000_000)

extension IdentityProvider {
    /// A provider of the moment of these tests, whose times do not pass.
    fileprivate static func atTheMoment() throws -> IdentityProvider {
        try IdentityProvider(client: "serin", secret: "s cret", subject: "u-17", now: { momentOfTests })
    }

    fileprivate func settings(_ change: (inout IssuerSettings) -> Void = { _ in }) -> IssuerSettings {
        var secret = Array("s cret".utf8)
        var settings = IssuerSettings(
            name: "corp", issuer: url, audiences: ["serin", "another"], algorithms: [.edDSA], keys: .discovery,
            rules: [ClaimRule([ClaimRule.Condition("sub", "u-17")], gives: Grant(roles: [.approver], isPerson: true))])
        settings.signIn = SignInSettings(clientID: "serin", secret: Secret(wiping: &secret), scopes: ["groups"])
        change(&settings)
        return settings
    }

    fileprivate func flow(now: @escaping @Sendable () -> Instant = { momentOfTests }) throws -> CodeFlow {
        let transport = try Transport()
        return CodeFlow([settings()], transport: transport, tokens: WebTokens([settings()], transport: transport), now: now)
    }

    /// What somebody does in a browser: signs in there, and is sent back with what the address says.
    fileprivate func signIn(_ address: String) throws -> (state: String, code: String) {
        let query = IdentityProvider.query(of: address)
        #expect(address.hasPrefix(url + "/authorize?"))
        #expect(query["tenant"] == "a" && query["response_type"] == "code" && query["code_challenge_method"] == "S256")
        #expect(query["scope"] == "openid groups" && query["client_id"] == "serin")
        #expect(query["code_challenge"]?.utf8.count == 43 && query["nonce"]?.utf8.count == 43)
        return (try #require(query["state"]), try #require(grant(query)))
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
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
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
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
        provider.methods.withLock { $0 = ["client_secret_post"] }
        let flow = try provider.flow()
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        _ = try await flow.finish(at: "corp", .init(binding: beginning.binding, state: state, code: code))
    }

    @Test func aStateThatNobodyBeganAndOneThatWasUsedAreRefused() async throws {
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
        let flow = try provider.flow()
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        #expect(
            try await refusal(flow, .init(binding: beginning.binding, state: "guess", code: code)).contains("nobody began here"))
        _ = try await flow.finish(at: "corp", .init(binding: beginning.binding, state: state, code: code))
        #expect(
            try await refusal(flow, .init(binding: beginning.binding, state: state, code: code)).contains("nobody began here"))
        #expect(provider.requests.count { $0.target == "/token" } == 1)
    }

    @Test func anotherBrowsersLinkSignsNobodyIn() async throws {
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
        let flow = try provider.flow()
        let (mine, theirs) = (try await begin(flow), try await begin(flow))
        let (state, code) = try provider.signIn(theirs.address)
        #expect(try await refusal(flow, .init(binding: mine.binding, state: state, code: code)).contains("another browser"))
        #expect(provider.requests.count { $0.target == "/token" } == 0)
        // It is over for the other one, too.
        #expect(try await refusal(flow, .init(binding: theirs.binding, state: state, code: code)).contains("nobody began here"))
    }

    @Test func aCodeThatWasUsedElsewhereIsRefusedByTheIssuer() async throws {
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
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
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
        let flow = try provider.flow()
        let (mine, theirs) = (try await begin(flow), try await begin(flow))
        let stolen = try provider.signIn(theirs.address).code
        let state = try provider.signIn(mine.address).state
        #expect(
            try await refusal(flow, .init(binding: mine.binding, state: state, code: stolen)).contains("answered a code with 400")
        )
    }

    @Test(arguments: IdentityProvider.Fault.allCases)
    private func aTokenThatIsNotForThisSignInIsRefused(fault: IdentityProvider.Fault) async throws {
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
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
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
        let flow = try provider.flow()
        for (error, word) in [("access_denied", "access_denied"), ("<script>alert(1)</script>", "an error")] {
            let beginning = try await begin(flow)
            let state = try provider.signIn(beginning.address).state
            let refused = try await #require(throws: CredentialError.self) {
                try await flow.finish(
                    at: "corp", .init(binding: beginning.binding, state: state, code: nil, error: error))
            }
            #expect(
                refused
                    == .refused(
                        told: "'corp' did not sign you in: \(word)", detail: "a sign-in that 'corp' answered with \(word)")
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
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
        let moment = Locked(now)
        let flow = try provider.flow(now: { moment.withLock { $0 } })
        let beginning = try await begin(flow)
        let (state, code) = try provider.signIn(beginning.address)
        moment.withLock { $0 = $0 + CodeFlow.patience + .seconds(1) }
        #expect(try await refusal(flow, .init(binding: beginning.binding, state: state, code: code)).contains("was over"))
    }

    @Test func anIssuerThatDoesNotAnswerOrHasNoSignInIsSaid() async throws {
        let provider = try IdentityProvider.atTheMoment()
        let flow = try provider.flow()
        await #expect(throws: CredentialError.self) { try await flow.begin(at: "github", redirect: redirect, target: "/") }
        provider.stop()
        let error = try await #require(throws: CredentialError.self) { try await begin(flow) }
        guard case .unavailable = error else { throw error }
    }

    @Test func aSignInThatCouldNotWorkIsADefect() throws {
        let provider = try IdentityProvider.atTheMoment()
        defer { provider.stop() }
        #expect(provider.settings { $0.audiences = ["other"] }.defect?.contains("not among its audiences") == true)
        #expect(provider.settings { $0.issuer = "http://id.example" }.defect?.contains("https") == true)
        #expect(provider.settings { $0.signIn?.scopes = ["a b"] }.defect?.contains("scope") == true)
        var pipeline = IssuerSettings.gitHubActions(
            audiences: ["serin"],
            rules: [
                ClaimRule(
                    [ClaimRule.Condition("repository", "acme/shop")],
                    gives: Grant(roles: [.viewer], isPerson: false))
            ])
        #expect(pipeline.defect == nil)
        pipeline.signIn = SignInSettings(clientID: "serin")
        #expect(pipeline.defect?.contains("no people") == true)
    }
}
