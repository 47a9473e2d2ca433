public import SerinCrypto
public import SerinModel

/// The ways of signing that are known. Each goes with one kind of key, so that a key is never used in another way.
public enum SignatureAlgorithm: String, Sendable, Hashable, CaseIterable {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
    case rs256 = "RS256"
    /// ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4).
    case es256 = "ES256"
    /// Ed25519 (RFC 8037, section 3.1).
    case edDSA = "EdDSA"
    /// HMAC with SHA-256 (RFC 7518, section 3.2): whoever can check can sign.
    case hs256 = "HS256"
}

/// Where the keys of an issuer come from.
public enum KeySource: Sendable {
    /// Its discovery document, which names its key set (OpenID Connect Discovery 1.0).
    case discovery
    /// Its key set (RFC 7517) at an address.
    case keySet(url: String)
    /// These keys alone.
    case keys([PublicKey])
    /// A secret shared with it, of 32 bytes at least.
    case secret(Secret)
}

/// One issuer of identity tokens that is believed, and what it may vouch for.
public struct IssuerSettings: Sendable {
    /// The kinds whose rules are checked for what they must not leave open.
    public enum Kind: Sendable, Hashable {
        /// Any issuer.
        case general
        /// GitHub Actions, which signs for every repository there is.
        case gitHubActions
        /// GitLab's CI/CD jobs; gitlab.com signs for every project there is.
        case gitLab

        /// The claims of which a rule must name one: without, anybody's pipeline would be let in.
        var binding: Set<String> {
            switch self {
            case .general: []
            case .gitHubActions:
                ["repository", "repository_id", "repository_owner", "repository_owner_id", "job_workflow_ref", "sub"]
            case .gitLab: ["project_path", "project_id", "namespace_path", "namespace_id", "sub"]
            }
        }
    }

    /// What it is called here, such as `github`; the identities that it vouches for begin with it.
    public var name: String
    /// What it is.
    public var kind: Kind
    /// Exactly its `iss`.
    public var issuer: String
    /// The audiences, one of which a token must be for.
    public var audiences: Set<String>
    /// The ways of signing that are accepted of it.
    public var algorithms: Set<SignatureAlgorithm>
    /// Where its keys come from.
    public var keys: KeySource
    /// The rules by which its tokens give something; the first that a token meets decides, and one that meets none gives nothing.
    public var rules: [ClaimRule]
    /// The claim that names the person, to be looked up as `NAME:VALUE` among the people; nil: `sub`.
    public var personClaim: String?
    /// The values of `typ` that are accepted, in lower case. A token without one is accepted where `jwt` is.
    public var types: Set<String> = ["jwt"]
    /// How far its clock and this one's may be apart, at most 5 minutes.
    public var skew = Duration.seconds(60)
    /// The longest life of a token, from `iat` to `exp`.
    public var longestLife = Duration.hours(24)
    /// How people sign in there with a browser; nil where they cannot.
    public var signIn: SignInSettings?
    /// A file of certificates to trust instead of the system's when its keys are fetched.
    public var certificateAuthorityFile: String?

    /// An issuer. Say what is left of it before it is used: `checked` tells what is wrong with it.
    public init(
        name: String, kind: Kind = .general, issuer: String, audiences: Set<String>, algorithms: Set<SignatureAlgorithm>,
        keys: KeySource, rules: [ClaimRule], personClaim: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.issuer = issuer
        self.audiences = audiences
        self.algorithms = algorithms
        self.keys = keys
        self.rules = rules
        self.personClaim = personClaim
    }

    /// GitHub Actions. `actor`, who caused the run, is looked up among the people as `github:NAME`.
    public static func gitHubActions(
        audiences: Set<String>, rules: [ClaimRule], issuer: String = "https://token.actions.githubusercontent.com"
    ) -> IssuerSettings {
        IssuerSettings(
            name: "github", kind: .gitHubActions, issuer: issuer, audiences: audiences, algorithms: [.rs256], keys: .discovery,
            rules: rules, personClaim: "actor")
    }

    /// GitLab's CI/CD jobs. `user_login`, who caused the job, is looked up among the people as `gitlab:NAME`.
    public static func gitLab(
        audiences: Set<String>, rules: [ClaimRule], issuer: String = "https://gitlab.com"
    ) -> IssuerSettings {
        IssuerSettings(
            name: "gitlab", kind: .gitLab, issuer: issuer, audiences: audiences, algorithms: [.rs256], keys: .discovery,
            rules: rules, personClaim: "user_login")
    }

    /// What is wrong with it, in words that name it; nil when it may be used.
    public var defect: String? {
        let it = "the issuer '\(name)'"
        if name.isEmpty || name.contains(":") { return "an issuer's name is empty or holds ':'" }
        if issuer.isEmpty { return "\(it) has no address" }
        if audiences.isEmpty || audiences.contains("") { return "\(it) has no audience: a token for others would be accepted" }
        if algorithms.isEmpty { return "\(it) has no algorithm" }
        if !(Duration.zero...Duration.minutes(5)).contains(skew) { return "the clocks of \(it) may differ by 5 minutes at most" }
        if longestLife <= .zero { return "tokens of \(it) could not live" }
        if let defect = keyDefect ?? signInDefect { return "\(it) \(defect)" }
        for rule in rules {
            if let defect = rule.defect { return "a rule of \(it) \(defect)" }
            guard !kind.binding.isEmpty else { continue }
            if rule.grant.isPerson { return "a rule of \(it) is for a person, and its tokens are pipelines'" }
            guard rule.conditions.contains(where: { kind.binding.contains($0.claim) && $0.isSelective }) else {
                return "a rule of \(it) is met by anybody's pipeline: it must name one of \(kind.binding.sorted())"
            }
        }
        return rules.isEmpty ? "\(it) has no rules, so its tokens would give nothing" : nil
    }

    private var signInDefect: String? {
        guard let signIn else { return nil }
        if kind != .general { return "signs pipelines in, no people: it takes no sign_in" }
        if !mayFetch(issuer) { return "must have an https address: it is asked there where it signs people in" }
        if algorithms.contains(.hs256) { return "signs people in, and its tokens cannot be of HS256" }
        if !audiences.contains(signIn.clientID) {
            return "gives tokens for '\(signIn.clientID)' to those who sign in, which is not among its audiences"
        }
        let isPlain = signIn.scopes.allSatisfy { scope in
            !scope.isEmpty && scope.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
        }
        return isPlain ? nil : "has a scope with a space or quotation mark"
    }

    private var keyDefect: String? {
        let isShared = algorithms.contains(.hs256)
        switch keys {
        case .secret(let secret):
            if algorithms != [.hs256] { return "has a shared secret, which goes with HS256 alone" }
            return secret.count < 32 ? "has a secret of \(secret.count) bytes, and 32 are needed" : nil
        case .discovery:
            if isShared { return Self.confusion }
            return mayFetch(issuer) ? nil : "must have an https address: its keys are asked for there"
        case .keySet(let url):
            if isShared { return Self.confusion }
            return mayFetch(url) ? nil : "must have its keys at an https address"
        case .keys(let keys):
            if isShared { return Self.confusion }
            return keys.isEmpty ? "has no keys" : nil
        }
    }

    private static let confusion =
        "accepts HS256 beside public keys: a public key could then be used as the secret, and everybody has it"
}

/// Whether keys may be fetched from an address: over TLS, or from this machine itself.
func mayFetch(_ url: String) -> Bool {
    if url.hasPrefix("https://") { return url.utf8.count > 8 }
    guard url.hasPrefix("http://") else { return false }
    let host = url.dropFirst(7).prefix { $0 != "/" && $0 != ":" && $0 != "?" && $0 != "#" && $0 != "@" }
    return (host == "127.0.0.1" || host == "localhost") && !url.contains("@")
}

extension IssuerSettings {
    /// Whether its keys are fetched, and from where another's are.
    func fetchesKeys(as other: IssuerSettings) -> Bool {
        guard issuer == other.issuer, certificateAuthorityFile == other.certificateAuthorityFile else { return false }
        switch (keys, other.keys) {
        case (.discovery, .discovery): return true
        case (.keySet(let url), .keySet(let address)): return url == address
        case (.discovery, _), (.keySet, _), (.keys, _), (.secret, _): return false
        }
    }
}
