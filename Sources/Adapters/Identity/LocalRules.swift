public import SerinModel

/// Who comes by a client certificate or a unix socket, by the rules of the configuration.
public struct LocalRules: Sendable {
    private let certificates: [CertificateRule]
    private let peers: [PeerRule]
    private let people: People

    /// Rules, which have no defect.
    public init(_ settings: IdentitySettings) throws(Failure) {
        certificates = settings.certificates
        peers = settings.peers
        people = try People(settings.people)
    }

    /// Whom a certificate belongs to and what it gives; nil when no rule fits it.
    public func caller(showing certificate: ClientCertificate) -> Caller? {
        guard let rule = certificates.first(where: { $0.fits(certificate) }) else { return nil }
        return Caller(people.principal(behind: .certificate(subject: certificate.subject)), rule.grant)
    }

    /// Who a local user is, and what the rules give them; no grant where there are no rules.
    public func peer(user: UInt32, groups: [UInt32]) -> (principal: Principal, grant: Grant?) {
        let principal = people.principal(behind: .uid(user))
        guard !peers.isEmpty else { return (principal, nil) }
        let rule = peers.first { $0.fits(user: user, groups: groups) }
        return (principal, rule?.grant ?? Grant(roles: [], isPerson: true))
    }
}
