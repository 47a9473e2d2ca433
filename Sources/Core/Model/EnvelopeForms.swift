/// How the bytes of a stored object are made safe.
public enum EnvelopeProfile: String, Sendable, Hashable, Codable, CaseIterable {
    /// What `openssl enc -aes-256-cbc -pbkdf2 -md sha256` reads, with an HMAC-SHA-256 over the whole object.
    case enc1
    /// AES-256-GCM in chunks of 1 MiB, each authenticated with its place in the object.
    case gcm1
    /// Not encrypted, by explicit choice; SHA-256 finds accidents, not attackers.
    case none
}

/// How the bytes are made smaller before they are encrypted.
public enum EnvelopeCompression: String, Sendable, Hashable, Codable, CaseIterable {
    /// Zstandard (RFC 8878).
    case zstd
    /// gzip (RFC 1952).
    case gzip
    /// Not at all.
    case none
}

/// Who may delete a locked object before its time.
public enum LockMode: String, Sendable, Hashable, Codable, CaseIterable {
    /// Identities with a special right.
    case governance
    /// Nobody.
    case compliance
}

/// A version of TLS.
public enum TLSVersion: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
    /// TLS 1.2 (RFC 5246).
    case v1_2 = "1.2"
    /// TLS 1.3 (RFC 8446).
    case v1_3 = "1.3"

    /// Older first.
    public static func < (left: TLSVersion, right: TLSVersion) -> Bool { left.rawValue < right.rawValue }
}
