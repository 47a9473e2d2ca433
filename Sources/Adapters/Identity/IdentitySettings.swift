internal import SerinModel

/// Who is believed, and what they may do: everything that the configuration says of it. Own tokens need no settings.
public struct IdentitySettings: Sendable {
    /// The people and the identities by which they come.
    public var people: [Person]
    /// The issuers of identity tokens.
    public var issuers: [IssuerSettings]
    /// What holders of client certificates may do; the first rule that fits decides, and none gives nothing.
    public var certificates: [CertificateRule]
    /// What local users may do; the first rule that fits decides. The controller's own user and root may always do everything: the
    /// host is theirs. Empty: everyone who can open the socket may do what an approver may.
    public var peers: [PeerRule]

    /// Settings; without arguments nobody is believed but local users and the bearers of own tokens.
    public init(
        people: [Person] = [], issuers: [IssuerSettings] = [], certificates: [CertificateRule] = [], peers: [PeerRule] = []
    ) {
        self.people = people
        self.issuers = issuers
        self.certificates = certificates
        self.peers = peers
    }

    /// What is wrong with them, each in words of its own; empty when they can be used.
    public var defects: [String] {
        var defects = issuers.compactMap(\.defect)
        defects += certificates.compactMap { rule in rule.defect.map { "a rule for certificates \($0)" } }
        let names = issuers.map(\.name)
        let taken: Set<String> = ["person", "uid", "token", "mtls", "oidc", "signal", "serin", "alert"]
        for (place, issuer) in issuers.enumerated() {
            if names[..<place].contains(issuer.name) { defects.append("two issuers are called '\(issuer.name)'") }
            if taken.contains(issuer.name) { defects.append("an issuer cannot be called '\(issuer.name)': something else is") }
            if issuers[..<place].contains(where: { $0.issuer == issuer.issuer }) {
                defects.append("the issuer \(issuer.issuer) stands twice")
            }
        }
        if Set(people.map(\.name)).count < people.count { defects.append("two people have the same name") }
        do throws(Failure) { _ = try People(people) } catch { defects.append(error.message) }
        return defects
    }
}
