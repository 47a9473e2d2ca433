public import SerinModel

/// What has to be known about a stored object, besides the key, to check and open it. Holds no secret.
public struct EnvelopeFacts: Sendable, Hashable, Codable {
    /// How it is made safe.
    public var profile: EnvelopeProfile
    /// How it is compressed.
    public var compression: EnvelopeCompression
    /// Bytes before compression.
    public var plainBytes: Int
    /// SHA-256 of the bytes before compression, 64 lower-case hexadecimal digits.
    public var plainSHA256: String
    /// Bytes of the stored object.
    public var storedBytes: Int
    /// SHA-256 of the stored object, 64 lower-case hexadecimal digits.
    public var storedSHA256: String
    /// HMAC-SHA-256 of the whole stored object in lower-case hexadecimal; of `enc1` only.
    public var mac: String?
    /// Rounds of PBKDF2-HMAC-SHA-256; nil where no passphrase is stretched.
    public var iterations: Int?
    /// The salt of the object's keys in lower-case hexadecimal: 8 bytes of `enc1`, 32 of `gcm1`.
    public var salt: String?
    /// Which keys open it: the first 16 hexadecimal digits of the SHA-256 of a recipient's certificate (DER) or of the key file.
    public var keyIDs: [String]
    /// The data key as hexadecimal text inside a CMS message (RFC 5652, 5083) to the recipients, as PEM; nil with a key file.
    public var wrappedKey: String?
    /// HMAC-SHA-256 over everything above (`sealedText`) under a key that only the holders of the data key can compute.
    public var seal: String?

    /// The facts of one object.
    public init(
        profile: EnvelopeProfile, compression: EnvelopeCompression, plainBytes: Int, plainSHA256: String, storedBytes: Int,
        storedSHA256: String, mac: String? = nil, iterations: Int? = nil, salt: String? = nil, keyIDs: [String] = [],
        wrappedKey: String? = nil, seal: String? = nil
    ) {
        self.profile = profile
        self.compression = compression
        self.plainBytes = plainBytes
        self.plainSHA256 = plainSHA256
        self.storedBytes = storedBytes
        self.storedSHA256 = storedSHA256
        self.mac = mac
        self.iterations = iterations
        self.salt = salt
        self.keyIDs = keyIDs
        self.wrappedKey = wrappedKey
        self.seal = seal
    }

    /// What the seal covers: a line for each fact in a fixed order. The recipients and their wrapped keys are left out, so that
    /// the data key can be wrapped to others without the object's keys.
    public var sealedText: String {
        """
        serin envelope 1
        profile \(profile.rawValue)
        compression \(compression.rawValue)
        plain \(plainBytes) \(plainSHA256)
        stored \(storedBytes) \(storedSHA256)
        mac \(mac ?? "-")
        iterations \(iterations.map(String.init) ?? "-")
        salt \(salt ?? "-")

        """
    }
}
