/// `encryption:` how bytes are made unreadable and unchangeable before they leave the machine.
public struct EncryptionPolicy: Sendable, Hashable, Codable {
    /// The form of the stored bytes.
    public enum Profile: String, Sendable, Hashable, Codable, CaseIterable {
        /// What `openssl enc -d -aes-256-cbc -pbkdf2` reads, authenticated as a whole.
        case enc1
        /// AES-256-GCM in chunks, each authenticated.
        case gcm1
        /// Not encrypted; needs a reason.
        case none
    }

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
    public var profile: Profile
    /// Who can open it.
    public var key: Key
    /// Why it is not encrypted, or has a single recipient.
    public var reason: String?

    /// An encryption.
    public init(profile: Profile = .enc1, key: Key, reason: String? = nil) {
        self.profile = profile
        self.key = key
        self.reason = reason
    }
}
