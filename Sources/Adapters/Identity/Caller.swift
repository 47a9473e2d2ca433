public import SerinModel

/// Who someone is found to be, and what they may do.
public struct Caller: Sendable, Hashable {
    /// Who, after people were looked up: the same person is the same principal by whatever way they come.
    public var principal: Principal
    /// What they may do.
    public var grant: Grant

    /// A caller.
    public init(_ principal: Principal, _ grant: Grant) {
        self.principal = principal
        self.grant = grant
    }
}

/// What someone may do.
public struct Grant: Sendable, Hashable {
    /// The roles given.
    public var roles: Set<Role>
    /// The rights without a role that are given.
    public var scopes: Set<Scope>
    /// The projects to whose backups it is confined; nil for all.
    public var projects: Set<String>?
    /// Whether it is for a person, and not for a pipeline or a machine: only then it may let a release go on.
    public var isPerson: Bool

    /// A grant.
    public init(roles: Set<Role>, scopes: Set<Scope> = [], projects: Set<String>? = nil, isPerson: Bool) {
        self.roles = roles
        self.scopes = scopes
        self.projects = projects
        self.isPerson = isPerson
    }
}

/// Why credentials are not believed, or cannot be judged.
public enum CredentialError: Error, Sendable, Hashable, CustomStringConvertible {
    /// They are not good.
    ///
    /// - Parameters:
    ///   - told: What the bearer is told: nothing that a stranger could use.
    ///   - detail: What is wrong, for the log; no part of the credentials.
    case refused(told: String, detail: String)
    /// Nobody can tell at the moment; the same credentials may be good later.
    ///
    /// - Parameter after: How long it is until somebody may be able to tell; nil when that is not known.
    case unavailable(String, after: Duration? = nil)

    /// The detail.
    public var description: String {
        switch self {
        case .refused(_, let detail): detail
        case .unavailable(let text, _): text
        }
    }

    /// Not good, and told so without a reason.
    static func refused(_ detail: String) -> CredentialError {
        .refused(told: "these credentials are not accepted", detail: detail)
    }
}
