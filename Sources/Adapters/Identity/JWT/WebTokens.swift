internal import SerinCrypto
public import SerinModel
public import SerinTransport

/// Judges identity tokens (JWT by RFC 8725) of the issuers that the configuration names.
public struct WebTokens: Sendable {
    private struct Issuer: Sendable {
        let settings: IssuerSettings
        let keys: KeySetCache
    }

    private let issuers: [String: Issuer]

    /// A judge of tokens of some issuers, which have no defect. Nothing is fetched yet.
    ///
    /// - Parameter previous: A judge before this one, whose fetched keys are kept where they are had from the same place.
    public init(_ issuers: [IssuerSettings], transport: Transport, previous: WebTokens? = nil) {
        var next: [String: Issuer] = [:]
        for settings in issuers {
            if let known = previous?.issuers[settings.issuer], known.settings.fetchesKeys(as: settings) {
                next[settings.issuer] = Issuer(settings: settings, keys: known.keys)
                continue
            }
            let fetch = KeyFetch(transport: transport, settings: settings)
            let keys: KeySetCache
            switch settings.keys {
            case .discovery: keys = KeySetCache { () throws(Failure) in try await fetch.keySet(at: nil) }
            case .keySet(let url): keys = KeySetCache { () throws(Failure) in try await fetch.keySet(at: url) }
            case .keys(let fixed): keys = KeySetCache(KeySet(fixed))
            case .secret: keys = KeySetCache(KeySet([]))
            }
            next[settings.issuer] = Issuer(settings: settings, keys: keys)
        }
        self.issuers = next
    }

    /// Whether a text has the form of such a token, and not of another one.
    public static func isToken(_ text: String) -> Bool { text.utf8.prefix(WebToken.byteLimit).count { $0 == 0x2E } == 2 }

    /// Whose a token is and what it gives.
    public func caller(bearing text: String, people: People, at now: Instant) async throws(CredentialError) -> Caller {
        let token = try WebToken(text)
        guard let issuer = token.issuer.flatMap({ issuers[$0] }) else { throw .refused("a token of an issuer that is not known") }
        let settings = issuer.settings
        // The algorithm is the configuration's choice; the header's is only compared with it (RFC 8725, section 3.1).
        guard let algorithm = SignatureAlgorithm(rawValue: token.algorithm), settings.algorithms.contains(algorithm) else {
            throw .refused("a token signed in a way that is not accepted of '\(settings.name)'")
        }
        // What the claims say of their time and place is checked first: no keys are fetched for what is refused anyway.
        let subject = try token.subject(for: settings, at: now)
        try await checkSignature(token, algorithm, issuer, at: now)
        guard let rule = settings.rules.first(where: { $0.isMet(by: token.claims) }) else {
            throw .refused(
                told: "the token is good, and gives nothing here: it meets no rule of the issuer '\(settings.name)'",
                detail: "a token whose subject '\(subject)' of '\(settings.name)' meets no rule")
        }
        let named = settings.personClaim.map { token.claims[$0]?.text } ?? subject
        let known = named.map { people.principal(behind: Principal(channel: settings.name, identity: $0)) }
        let principal = known.flatMap { $0.channel == Principal.person("").channel ? $0 : nil }
        return Caller(principal ?? .oidc(issuer: settings.name, subject: subject), rule.grant)
    }

    private func checkSignature(
        _ token: WebToken, _ algorithm: SignatureAlgorithm, _ issuer: Issuer, at now: Instant
    ) async throws(CredentialError) {
        let kind: PublicKey.Kind
        switch algorithm {
        case .hs256:
            guard case .secret(let secret) = issuer.settings.keys else {
                throw .refused("a token under a secret that is not shared")
            }
            do throws(CryptoError) {
                if areEqual(try HMACSHA256.code(for: token.signed, key: secret), token.signature) { return }
            } catch { throw .unavailable(error.description) }
            throw .refused("a token whose signature does not fit")
        case .rs256: kind = .rsa
        case .es256: kind = .p256
        case .edDSA: kind = .ed25519
        }
        let id = token.keyID
        for key in try await issuer.keys.candidates({ $0.candidates(kind, named: id) }, at: now) {
            do throws(CryptoError) {
                if try key.isValid(token.signature, of: token.signed) { return }
            } catch { throw .unavailable(error.description) }
        }
        throw .refused("a token that no key of '\(issuer.settings.name)' has signed")
    }
}
