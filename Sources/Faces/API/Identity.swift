public import SerinModel

/// Who asks, and what they may do.
public struct Identity: Sendable, Hashable {
    /// How someone was identified.
    public enum How: String, Sendable, Hashable, CaseIterable {
        /// By the kernel, as the peer of a unix socket.
        case unix
        /// By an own token, or a session that one has opened.
        case token
        /// By an identity token of an issuer that the configuration names.
        case oidc
        /// By a client certificate.
        case mtls
    }

    /// Who.
    public var principal: Principal
    /// The roles given; what they include is worked out by `has`.
    public var roles: Set<Role>
    /// Rights without a role.
    public var scopes: Set<Scope>
    /// The projects, by name, to which backups are confined for them; nil for all.
    public var projects: Set<String>?
    /// Whether a person is behind it, and not a pipeline or a machine.
    public var isPerson: Bool
    /// How they were identified.
    public var how: How
    /// What to do when they lack a role, for people.
    public var hint: String?

    /// An identity.
    public init(
        _ principal: Principal, roles: Set<Role>, scopes: Set<Scope> = [], projects: Set<String>? = nil, isPerson: Bool, how: How,
        hint: String? = nil
    ) {
        self.principal = principal
        self.roles = roles
        self.scopes = scopes
        self.projects = projects
        self.isPerson = isPerson
        self.how = how
        self.hint = hint
    }

    /// Whether they have a role, or one that includes it.
    public func has(_ role: Role) -> Bool { roles.contains { $0.included.contains(role) } }

    /// Whether backups of a project are theirs to see or make.
    public func mayUse(project: String) -> Bool { projects?.contains(project) ?? true }
}

/// Whom a route lets in.
public enum Access: Sendable, Hashable {
    /// Everyone, without an identity: what shows nothing worth hiding, and what verifies its requests itself.
    case open
    /// An identity that has one of the roles or the scope.
    ///
    /// - Parameters:
    ///   - person: Whether it must be a person's identity.
    case any(of: Set<Role>, orScope: Scope? = nil, person: Bool = false)

    /// Why an identity is not let in; nil when it is.
    public func refusal(of identity: Identity) -> Problem? {
        guard case .any(let roles, let scope, let person) = self else { return nil }
        let words = roles.map(\.rawValue).sorted() + (scope.map { ["scope \($0.rawValue)"] } ?? [])
        guard roles.contains(where: identity.has) || scope.map(identity.scopes.contains) ?? false else {
            return Problem(
                .forbidden, "\(identity.principal) may not do this: it needs \(words.joined(separator: " or "))",
                hint: identity.hint)
        }
        guard !person || identity.isPerson else {
            return Problem(
                .forbidden, "\(identity.principal) may not do this: it needs a person's identity",
                hint: "ask as a person, not with a pipeline's or a machine's credentials")
        }
        return nil
    }
}
