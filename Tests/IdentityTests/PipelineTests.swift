import SerinCrypto
import SerinModel
import SerinTransport
import Testbed
import Testing

@testable import SerinIdentity

private let now = Instant(millisecondsSince1970: 1_795_000_000_000)
private let releaser = Grant(roles: [.releaser], isPerson: false)

/// Claims as GitHub documents them, some changed.
private func gitHub(_ changes: KeyValuePairs<String, String> = [:]) -> JSONValue {
    let usual: KeyValuePairs<String, String> = [
        "sub": "repo:acme/shop:environment:production", "repository": "acme/shop", "repository_owner": "acme",
        "ref": "refs/heads/main", "environment": "production", "ref_protected": "true", "actor": "octocat",
        "event_name": "push", "job_workflow_ref": "acme/shop/.github/workflows/release.yml@refs/heads/main",
    ]
    return claims(usual, changes, issuer: "https://token.actions.githubusercontent.com")
}

/// Claims as GitLab documents them, some changed.
private func gitLab(_ changes: KeyValuePairs<String, String> = [:]) -> JSONValue {
    let usual: KeyValuePairs<String, String> = [
        "sub": "project_path:acme/shop:ref_type:branch:ref:main", "project_path": "acme/shop", "namespace_path": "acme",
        "ref": "main", "ref_type": "branch", "ref_protected": "true", "environment": "production", "user_login": "octocat",
    ]
    return claims(usual, changes, issuer: "https://gitlab.com")
}

private func claims(_ usual: KeyValuePairs<String, String>, _ changes: KeyValuePairs<String, String>, issuer: String) -> JSONValue
{
    let seconds = now.millisecondsSince1970 / 1000
    var members = (changes + usual).map { JSONValue.Member($0.key, .string($0.value)) }
    members += [
        JSONValue.Member("iss", .string(issuer)), JSONValue.Member("aud", .string("serin")),
        JSONValue.Member("iat", .integer(seconds)), JSONValue.Member("nbf", .integer(seconds - 5)),
        JSONValue.Member("exp", .integer(seconds + 300)),
    ]
    return .sortedObject(members)
}

private func + (
    left: KeyValuePairs<String, String>, right: KeyValuePairs<String, String>
) -> [(key: String, value: String)] { left.map { $0 } + right.map { $0 } }

private let key = Result { try SigningKey(.rsa(bits: 2048)) }

private func judge(_ claims: JSONValue, by settings: IssuerSettings, people: [Person] = []) async throws -> Caller {
    var settings = settings
    settings.keys = .keys([try PublicKey(pem: try key.get().pem())])
    #expect(settings.defect == nil)
    let text = try key.get().token(claims, header: ["alg": .string("RS256"), "typ": .string("JWT"), "kid": .string("x")])
    return try await WebTokens([settings], transport: try Transport()).caller(
        bearing: text, people: try People(people), at: now)
}

@Suite struct PipelineTests {
    private let gitHubRules = [
        ClaimRule(
            [
                ClaimRule.Condition("repository", "acme/shop"), ClaimRule.Condition("ref", "refs/heads/main", "refs/tags/v*"),
                ClaimRule.Condition("environment", "production"),
            ], gives: releaser),
        ClaimRule(
            [ClaimRule.Condition("repository", "acme/*"), ClaimRule.Condition("event_name", "push")],
            gives: Grant(roles: [.viewer], isPerson: false)),
    ]

    @Test func aWorkflowOfTheRepositoryMayReleaseFromItsBranchAndEnvironment() async throws {
        let settings = IssuerSettings.gitHubActions(audiences: ["serin"], rules: gitHubRules)
        let caller = try await judge(gitHub(), by: settings)
        #expect(caller.grant == releaser)
        #expect(caller.principal == .oidc(issuer: "github", subject: "repo:acme/shop:environment:production"))
        #expect(try await judge(gitHub(["ref": "refs/tags/v1.2"]), by: settings).grant == releaser)
    }

    @Test func anotherBranchOrEnvironmentMayLookOnly() async throws {
        let settings = IssuerSettings.gitHubActions(audiences: ["serin"], rules: gitHubRules)
        for changes: KeyValuePairs<String, String> in [
            ["ref": "refs/heads/fix"], ["environment": "staging"], ["repository": "acme/other"], ["ref": "refs/heads/main2"],
            ["ref": "refs/tags/v1/x"],
        ] {
            #expect(try await judge(gitHub(changes), by: settings).grant.roles == [.viewer])
        }
    }

    @Test func aRepositoryWhoseNameOnlyBeginsSoIsNobodys() async throws {
        let settings = IssuerSettings.gitHubActions(audiences: ["serin"], rules: gitHubRules)
        for name in ["acme-evil/shop", "evil/acme/shop", "acme/shop/x", "ACME/shop", "acme/shop\n"] {
            let text = gitHub(["repository": name])
            await #expect(throws: CredentialError.self) { try await judge(text, by: settings) }
        }
    }

    @Test func whoCausedTheRunIsThePersonBehindIt() async throws {
        let settings = IssuerSettings.gitHubActions(audiences: ["serin"], rules: gitHubRules)
        let anna = Person("anna", identities: [Principal(channel: "github", identity: "octocat"), .uid(1000)])
        let caller = try await judge(gitHub(), by: settings, people: [anna])
        #expect(caller.principal == .person("anna") && !caller.grant.isPerson)
    }

    @Test func aJobOfGitLabMayReleaseFromItsProject() async throws {
        let settings = IssuerSettings.gitLab(
            audiences: ["serin"],
            rules: [
                ClaimRule(
                    [ClaimRule.Condition("project_path", "acme/shop"), ClaimRule.Condition("ref_protected", "true")],
                    gives: releaser)
            ])
        #expect(try await judge(gitLab(), by: settings).grant == releaser)
        for changes: KeyValuePairs<String, String> in [["project_path": "acme/shop2"], ["ref_protected": "false"]] {
            let text = gitLab(changes)
            await #expect(throws: CredentialError.self) { try await judge(text, by: settings) }
        }
    }

    @Test(
        arguments: [
            [ClaimRule.Condition("ref", "refs/heads/main")], [ClaimRule.Condition("repository", "*")],
            [ClaimRule.Condition("repository", "acme/shop", "**")], [ClaimRule.Condition("sub", "*:acme/shop:*")], [],
            [ClaimRule.Condition("actor", "octocat"), ClaimRule.Condition("environment", "production")],
        ])
    func aRuleThatAnybodysPipelineMeetsIsRefused(_ conditions: [ClaimRule.Condition]) {
        let settings = IssuerSettings.gitHubActions(audiences: ["serin"], rules: [ClaimRule(conditions, gives: releaser)])
        #expect(settings.defect != nil)
    }

    @Test func aPipelineIsNoPerson() {
        let rule = ClaimRule([ClaimRule.Condition("repository", "acme/shop")], gives: Grant(roles: [.approver], isPerson: true))
        #expect(IssuerSettings.gitHubActions(audiences: ["serin"], rules: [rule]).defect?.contains("person") == true)
    }

    @Test func settingsThatWouldAcceptTooMuchAreRefused() {
        let rule = ClaimRule([ClaimRule.Condition("repository", "acme/shop")], gives: releaser)
        #expect(IssuerSettings.gitHubActions(audiences: [], rules: [rule]).defect?.contains("audience") == true)
        #expect(IssuerSettings.gitHubActions(audiences: ["serin"], rules: []).defect?.contains("rules") == true)
        let clear = IssuerSettings.gitLab(audiences: ["serin"], rules: [rule], issuer: "http://gitlab.example")
        #expect(clear.defect?.contains("https") == true)
        var slow = IssuerSettings.gitHubActions(audiences: ["serin"], rules: [rule])
        slow.skew = .minutes(6)
        #expect(slow.defect?.contains("5 minutes") == true)
    }

    @Test(
        arguments: [
            ("acme/shop", "acme/shop", true), ("acme/shop", "acme/*", true), ("acme/a/b", "acme/*", false),
            ("acme/a/b", "acme/**", true),
            ("a:b", "*", false), ("a:b", "**", true), ("", "*", true), ("", "", true), ("abc", "a*c", true),
            ("abcd", "a*c", false),
            ("refs/tags/v1", "refs/tags/v*", true), ("xrefs/tags/v1", "refs/tags/v*", false), ("a*b", "a*b", true),
            ("abc", "***", true),
        ])
    func aPatternFitsTheWholeText(_ text: String, _ pattern: String, _ fits: Bool) {
        #expect(ClaimRule.fits(Array(text.utf8), Array(pattern.utf8)) == fits)
    }

    @Test func aPatternOfManyStarsTakesNoLongTime() {
        let pattern = Array(String(repeating: "*a", count: 30).utf8)
        #expect(!ClaimRule.fits([UInt8](repeating: 0x61, count: 300) + [0x62], pattern))
    }
}
