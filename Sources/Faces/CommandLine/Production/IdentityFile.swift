internal import SerinAPI
internal import SerinController
internal import SerinCrypto
internal import SerinIdentity
internal import SerinModel
internal import SerinPolicies
internal import SerinYAML

/// A file that says who is believed and what they may do.
struct IdentityFile: Sendable {
    /// The longest file that is read, in bytes.
    static let limit = 1 << 20

    let path: String
    let secrets: Secrets

    /// What it says; `invalid` carries every complaint.
    func settings() throws(OperationError) -> IdentitySettings { try settings(saying: Array(try Self.text(of: path).utf8)) }

    /// The file's text.
    static func text(of path: String) throws(OperationError) -> String {
        do throws(Failure) {
            guard let bytes = try contents(ofFile: path, limit: limit) else {
                throw Failure(.invalid, "cannot read \(path): no such file")
            }
            return String(decoding: bytes, as: UTF8.self)
        } catch { throw .invalid([complaint(path, error.message, hint: error.hint)]) }
    }

    /// What a text says that the file had; `invalid` carries every complaint.
    func settings(saying text: [UInt8]) throws(OperationError) -> IdentitySettings {
        let document = readYAML(text, file: path)
        let reading = IdentityReading(of: document.node, file: path, earlier: document.diagnostics)
        guard let policy = reading.policy else { throw .invalid(reading.diagnostics) }
        let settings: IdentitySettings
        do throws(Failure) { settings = try self.settings(of: policy) } catch {
            throw .invalid([complaint(error.message, hint: error.hint)])
        }
        let defects = settings.defects
        guard defects.isEmpty else { throw .invalid(defects.map { complaint($0) }) }
        return settings
    }

    private func settings(of policy: IdentityPolicy) throws(Failure) -> IdentitySettings {
        var issuers: [IssuerSettings] = []
        for issuer in policy.issuers { issuers.append(try settings(of: issuer)) }
        return IdentitySettings(
            people: policy.people.map { Person($0.name, identities: Set($0.identities), roles: $0.roles) }, issuers: issuers,
            certificates: policy.certificates.map { rule in
                let match: CertificateRule.Match =
                    switch rule.match {
                    case .subject(let text): .subject(text)
                    case .name(let text): .name(text)
                    case .fingerprint(let text): .fingerprint(text)
                    }
                return CertificateRule(match, gives: Grant(rule.rights))
            },
            peers: policy.localUsers.map { rule in
                let match: PeerRule.Match =
                    switch rule.match {
                    case .user(let number): .user(number)
                    case .group(let number): .group(number)
                    }
                return PeerRule(match, gives: Grant(rule.rights))
            })
    }

    private func settings(of issuer: IdentityPolicy.Issuer) throws(Failure) -> IssuerSettings {
        let rules = issuer.rules.map { rule in
            ClaimRule(
                rule.match.map { ClaimRule.Condition($0.claim, anyOf: $0.patterns) }, gives: Grant(rule.rights))
        }
        var settings: IssuerSettings
        switch issuer.kind {
        case "github": settings = .gitHubActions(audiences: issuer.audiences, rules: rules)
        case "gitlab": settings = .gitLab(audiences: issuer.audiences, rules: rules)
        default:
            settings = IssuerSettings(
                name: issuer.name, issuer: "", audiences: issuer.audiences, algorithms: [], keys: .discovery, rules: rules)
        }
        settings.name = issuer.name
        if let address = issuer.issuer { settings.issuer = address }
        settings.algorithms = Set(issuer.algorithms.compactMap { SignatureAlgorithm(rawValue: $0) })
        if let claim = issuer.personClaim { settings.personClaim = claim }
        if !issuer.types.isEmpty { settings.types = Set(issuer.types.map { $0.lowercased() }) }
        settings.certificateAuthorityFile = issuer.authorityFile
        settings.signIn = try issuer.signIn.map { signIn throws(Failure) in
            let secret = try signIn.secret.map { reference throws(Failure) in
                var bytes = Array(try secrets.read(reference).utf8)
                return Secret(wiping: &bytes)
            }
            return SignInSettings(clientID: signIn.clientID, secret: secret, scopes: signIn.scopes)
        }
        settings.keys = try keys(issuer)
        return settings
    }

    private func keys(_ issuer: IdentityPolicy.Issuer) throws(Failure) -> KeySource {
        switch issuer.keys {
        case .discovery: return .discovery
        case .address(let url): return .keySet(url: url)
        case .secret(let reference):
            var bytes = Array(try secrets.read(reference).utf8)
            return .secret(Secret(wiping: &bytes))
        case .files(let files):
            var keys: [PublicKey] = []
            for file in files {
                guard let pem = try contents(ofFile: file, limit: Secrets.limit) else {
                    throw Failure(.invalid, "issuers.\(issuer.name): cannot read the key in \(file): no such file")
                }
                do throws(CryptoError) { keys.append(try PublicKey(pem: pem)) } catch {
                    throw Failure(.invalid, "issuers.\(issuer.name): the key in \(file) cannot be used: \(error)")
                }
            }
            return .keys(keys)
        }
    }

    private func complaint(_ message: String, hint: String? = nil) -> Diagnostic {
        Self.complaint(path, message, hint: hint)
    }

    private static func complaint(_ path: String, _ message: String, hint: String? = nil) -> Diagnostic {
        Diagnostic(file: path, mark: Mark(line: 1, column: 1), message: message, hint: hint)
    }
}

extension Grant {
    fileprivate init(_ rights: IdentityPolicy.Rights) {
        self.init(roles: rights.roles, scopes: rights.scopes, projects: rights.projects, isPerson: rights.isPerson)
    }
}
