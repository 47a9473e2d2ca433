import SerinModel
import Testing

@testable import SerinIdentity

private let print = String(repeating: "ab", count: 32)
private let machine = Grant(roles: [.releaser], isPerson: false)

private func certificate(_ subject: String = "CN=deploy,O=Acme", names: [String] = []) -> ClientCertificate {
    ClientCertificate(subject: subject, names: names, fingerprint: print)
}

private func rules(_ match: CertificateRule.Match, people: [Person] = []) throws -> LocalRules {
    let settings = IdentitySettings(people: people, certificates: [CertificateRule(match, gives: machine)])
    #expect(settings.defects == [])
    return try LocalRules(settings)
}

@Suite struct LocalRuleTests {
    @Test func aCertificateGivesWhatItsSubjectIsListedFor() throws {
        let rules = try rules(.subject("CN=deploy,O=Acme"))
        #expect(rules.caller(showing: certificate()) == Caller(.certificate(subject: "CN=deploy,O=Acme"), machine))
        for other in ["CN=deploy", "CN=deploy,O=Acme,C=DE", "cn=deploy,o=acme", "CN=deploy\\,O=Acme"] {
            #expect(rules.caller(showing: certificate(other)) == nil)
        }
    }

    @Test func anotherSpellingOfAnAccentIsAnotherSubject() throws {
        let accented = try rules(.subject("CN=Jos\u{e9}"))
        #expect(accented.caller(showing: certificate("CN=Jos\u{e9}")) != nil)
        #expect(accented.caller(showing: certificate("CN=Jose\u{301}")) == nil)
    }

    @Test func aCertificateGivesWhatItsNameOrFingerprintIsListedFor() throws {
        let named = try rules(.name("dns:*.ci.acme.example"))
        #expect(named.caller(showing: certificate(names: ["email:x@acme.example", "dns:a.ci.acme.example"])) != nil)
        #expect(named.caller(showing: certificate(names: ["email:a.ci.acme.example", "dns:a.ci.acme.example.evil"])) == nil)
        let exact = try rules(.fingerprint(print.uppercased()))
        #expect(exact.caller(showing: certificate()) != nil)
        var other = certificate()
        other.fingerprint = String(repeating: "ac", count: 32)
        #expect(exact.caller(showing: other) == nil)
    }

    @Test func aPersonsCertificateAndUserAreOnePerson() throws {
        let anna = Person("anna", identities: [.certificate(subject: "CN=deploy,O=Acme"), .uid(1000)])
        let rules = try rules(.subject("CN=deploy,O=Acme"), people: [anna])
        #expect(rules.caller(showing: certificate())?.principal == .person("anna"))
        #expect(rules.peer(user: 1000, groups: []).principal == .person("anna"))
        #expect(rules.peer(user: 1001, groups: []).principal == .uid(1001))
    }

    @Test func localUsersAreGivenWhatTheFirstRuleSays() throws {
        let settings = IdentitySettings(peers: [
            PeerRule(.user(1000), gives: Grant(roles: [.admin], isPerson: true)),
            PeerRule(.group(50), gives: Grant(roles: [.viewer], isPerson: true)),
        ])
        let rules = try LocalRules(settings)
        #expect(rules.peer(user: 1000, groups: [50]).grant?.roles == [.admin])
        #expect(rules.peer(user: 1001, groups: [7, 50]).grant?.roles == [.viewer])
        #expect(rules.peer(user: 1001, groups: [7]).grant?.roles == [])
        #expect(try LocalRules(IdentitySettings()).peer(user: 1001, groups: [7]).grant == nil)
    }

    @Test func settingsThatContradictThemselvesAreRefused() {
        let twice = IdentitySettings(people: [Person("anna", identities: [.uid(1)]), Person("ben", identities: [.uid(1)])])
        #expect(twice.defects.count == 1)
        for match: CertificateRule.Match in [.subject("deploy"), .name("acme.example"), .name("dns:*"), .fingerprint("abc")] {
            #expect(IdentitySettings(certificates: [CertificateRule(match, gives: machine)]).defects.count == 1)
        }
        let rule = ClaimRule([ClaimRule.Condition("repository", "acme/shop")], gives: machine)
        let issuer = IssuerSettings.gitHubActions(audiences: ["serin"], rules: [rule])
        #expect(IdentitySettings(issuers: [issuer]).defects == [])
        #expect(IdentitySettings(issuers: [issuer, issuer]).defects.count == 2)
        var person = issuer
        person.name = "person"
        #expect(IdentitySettings(issuers: [person]).defects.count == 1)
    }
}
