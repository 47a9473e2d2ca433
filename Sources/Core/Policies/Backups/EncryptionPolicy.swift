public import SerinModel

/// `encryption:` how bytes are made unreadable and unchangeable before they leave the machine.
public struct EncryptionPolicy: Sendable, Hashable, Codable {
    /// Who can open it.
    public enum Key: Sendable, Hashable, Codable {
        /// Whoever has this passphrase.
        case passphrase(SecretReference)
        /// The owners of these certificates; the machine itself cannot. Paths of PEM files.
        case recipients([String])
        /// Anybody.
        case none
    }

    /// The form.
    public var profile: EnvelopeProfile
    /// Who can open it.
    public var key: Key
    /// Key files that were used before: they still open what was made with them. Paths.
    public var formerKeyFiles: [String]
    /// Why it is not encrypted, or has a single recipient.
    public var reason: String?

    /// An encryption.
    public init(profile: EnvelopeProfile = .enc1, key: Key, formerKeyFiles: [String] = [], reason: String? = nil) {
        self.profile = profile
        self.key = key
        self.formerKeyFiles = formerKeyFiles
        self.reason = reason
    }
}
