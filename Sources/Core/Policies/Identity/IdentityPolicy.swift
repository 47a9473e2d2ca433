public import SerinModel

/// Who is believed and what they may do, as a file says it: people, issuers of identity tokens, client certificates, local users.
public struct IdentityPolicy: Sendable, Hashable {
    /// What someone may do.
    public struct Rights: Sendable, Hashable {
        /// The roles.
        public var roles: Set<Role>
        /// The rights without a role.
        public var scopes: Set<Scope>
        /// The projects to whose backups they are confined; nil for all.
        public var projects: Set<String>?
        /// Whether a person is meant, and no pipeline or machine.
        public var isPerson: Bool
    }

    /// A person and the identities by which they come.
    public struct Person: Sendable, Hashable {
        /// The name.
        public var name: String
        /// The identities.
        public var identities: [Principal]
        /// What their words in a chat may do; nil: nothing was said of it.
        public var roles: Set<Role>?
    }

    /// What is given to whoever meets a rule.
    public struct Rule<Match: Sendable & Hashable>: Sendable, Hashable {
        /// What must be so.
        public var match: Match
        /// What it gives.
        public var rights: Rights
    }

    /// What one claim must be.
    public struct Condition: Sendable, Hashable {
        /// The claim.
        public var claim: String
        /// The patterns of which one must fit.
        public var patterns: [String]
    }

    /// Where an issuer's keys come from.
    public enum Keys: Sendable, Hashable {
        /// Its discovery document.
        case discovery
        /// The address of its key set.
        case address(String)
        /// Files with public keys in PEM.
        case files([String])
        /// A shared secret.
        case secret(SecretReference)
    }

    /// How people sign in with a browser.
    public struct SignIn: Sendable, Hashable {
        /// What Serin is called at the issuer.
        public var clientID: String
        /// The secret that it shows there; nil for a public client.
        public var secret: SecretReference?
        /// What is asked for beside `openid`.
        public var scopes: [String]
    }

    /// An issuer of identity tokens.
    public struct Issuer: Sendable, Hashable {
        /// What it is called here.
        public var name: String
        /// What it is: `general`, `github` or `gitlab`.
        public var kind: String
        /// Its `iss`; nil: that of the kind's public service.
        public var issuer: String?
        /// The audiences of which one is accepted.
        public var audiences: Set<String>
        /// The ways of signing that are accepted.
        public var algorithms: Set<String>
        /// Where its keys come from.
        public var keys: Keys
        /// The claim that names the person; nil: the kind's own.
        public var personClaim: String?
        /// The values of `typ` that are accepted; empty: `jwt`.
        public var types: Set<String>
        /// How people sign in there; nil where they cannot.
        public var signIn: SignIn?
        /// A file of certificates to trust when keys are fetched.
        public var authorityFile: String?
        /// The rules.
        public var rules: [Rule<[Condition]>]
    }

    /// What must be so of a certificate.
    public enum Certificate: Sendable, Hashable {
        /// Its subject.
        case subject(String)
        /// An alternative name with its kind.
        case name(String)
        /// Its SHA-256.
        case fingerprint(String)
    }

    /// Which local users are meant.
    public enum LocalUser: Sendable, Hashable {
        /// A user by number.
        case user(UInt32)
        /// The members of a group by number.
        case group(UInt32)
    }

    /// The people.
    public var people: [Person] = []
    /// The issuers.
    public var issuers: [Issuer] = []
    /// The rules for client certificates.
    public var certificates: [Rule<Certificate>] = []
    /// The rules for local users.
    public var localUsers: [Rule<LocalUser>] = []
}
