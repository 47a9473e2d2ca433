/// How a backup's bytes were compressed, encrypted and authenticated, and their digests.
public struct EnvelopeFacts: Sendable, Hashable, Codable {
    /// The form: `enc1`, `gcm1` or `none`.
    public var profile: String
    /// How it was compressed before encryption: `zstd`, `gzip` or `none`.
    public var compression: String
    /// The size before compression and encryption, in bytes.
    public var plainSize: Int64
    /// The size as stored, in bytes.
    public var storedSize: Int64
    /// SHA-256 of the bytes before compression and encryption, in hexadecimal.
    public var plainSHA256: String
    /// SHA-256 of the bytes as stored, in hexadecimal.
    public var storedSHA256: String
    /// The keys that open it, sorted: prefixes of digests, never secrets.
    public var keyIDs: [String]

    /// The facts of an envelope.
    public init(
        profile: String, compression: String, plainSize: Int64, storedSize: Int64, plainSHA256: String, storedSHA256: String,
        keyIDs: [String]
    ) {
        self.profile = profile
        self.compression = compression
        self.plainSize = plainSize
        self.storedSize = storedSize
        self.plainSHA256 = plainSHA256
        self.storedSHA256 = storedSHA256
        self.keyIDs = keyIDs.sorted()
    }
}
