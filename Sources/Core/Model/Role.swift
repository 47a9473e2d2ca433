/// What someone may do with rollouts. A role that stands for more brings the lesser ones with it.
public enum Role: String, Sendable, Hashable, Codable, CaseIterable {
    /// See everything that holds no secret.
    case viewer
    /// Make a release safer: halt, hold, roll back.
    case `operator`
    /// Start rollouts, and make them go on.
    case releaser
    /// Agree to what waits for people, and let a rollout go on.
    case approver
    /// Change policies, tokens and critical configuration; restore backups.
    case admin

    /// The roles that come with this one, itself included.
    public var included: Set<Role> {
        switch self {
        case .viewer: [.viewer]
        case .operator: [.viewer, .operator]
        case .releaser: [.viewer, .operator, .releaser]
        case .approver: [.viewer, .operator, .approver]
        case .admin: [.viewer, .operator, .admin]
        }
    }
}

/// A right that a token may have without a role: on backups alone.
public enum Scope: String, Sendable, Hashable, Codable, CaseIterable {
    /// List, show and verify backups and jobs.
    case backupRead = "backup:read"
    /// Make backups.
    case backupWrite = "backup:write"
    /// Restore backups.
    case backupRestore = "backup:restore"
}
