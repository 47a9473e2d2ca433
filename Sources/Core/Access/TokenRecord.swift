public import SerinModel

/// What is kept of a token: everything but the token itself.
public struct TokenRecord: Sendable, Hashable, Codable {
    /// Its number, which also stands in the token: 8 hexadecimal digits, no secret.
    public var id: String
    /// What people call it.
    public var name: String
    /// On whose behalf its bearer acts. Who approves is compared with who started by this, so that nobody is two by two credentials.
    public var owner: Principal
    /// Whether a person bears it, and no pipeline: only then it may let a release go on.
    public var isPerson: Bool
    /// The roles that it gives, sorted.
    public var roles: [Role]
    /// The rights without a role that it gives, sorted.
    public var scopes: [Scope]
    /// The projects to whose backups it is confined; nil for all.
    public var projects: [String]?
    /// When it ends.
    public var expiresAt: Instant
    /// SHA-256 of the whole token, lower-case hexadecimal. Nobody can guess 256 random bits, so a slow hash would add nothing.
    public var hash: String

    /// A record.
    public init(
        id: String, name: String, owner: Principal, isPerson: Bool, roles: [Role], scopes: [Scope] = [],
        projects: [String]? = nil,
        expiresAt: Instant, hash: String
    ) {
        self.id = id
        self.name = name
        self.owner = owner
        self.isPerson = isPerson
        self.roles = roles.sorted { $0.rawValue < $1.rawValue }
        self.scopes = scopes.sorted { $0.rawValue < $1.rawValue }
        self.projects = projects
        self.expiresAt = expiresAt
        self.hash = hash
    }

    /// Whether it gives more than to look and to make releases safer.
    public var isCritical: Bool {
        roles.contains { ![.viewer, .operator].contains($0) } || scopes.contains { $0 != .backupRead }
    }

    /// What is wrong with it; nil when nothing is.
    var defect: String? {
        if id.utf8.count != 8 || !id.utf8.allSatisfy(isHexadecimal) { return "its number is not 8 hexadecimal digits" }
        if hash.utf8.count != 64 || !hash.utf8.allSatisfy(isHexadecimal) { return "its hash is not 64 hexadecimal digits" }
        guard (1...100).contains(name.utf8.count), name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return "its name is not 1 to 100 letters, digits and marks without spaces"
        }
        return roles.isEmpty && scopes.isEmpty ? "it gives no role and no scope" : nil
    }
}

private func isHexadecimal(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }
