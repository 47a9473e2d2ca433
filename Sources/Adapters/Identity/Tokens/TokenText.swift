public import SerinCrypto
internal import SerinModel

/// A token as its bearer has it: `serin_`, 8 digits of its number, `_`, 64 digits of 256 random bits, 8 digits of a checksum, all
/// hexadecimal. The prefix lets scanners find it where it should not be; the checksum tells a typo from a token that is not known.
public struct TokenText: Sendable {
    /// How every token begins.
    public static let prefix = "serin_"
    static let digitCount = 64
    static let checksumCount = 8

    /// Its number: no secret.
    public let id: String
    /// The whole text, which must not be seen but by its bearer, once.
    public let secret: Secret

    /// A new token that nobody can predict.
    public static func random() throws(CryptoError) -> TokenText {
        let id = Hexadecimal.text(of: try randomBytes(4))
        let text = prefix(of: id) + Hexadecimal.text(of: try randomBytes(digitCount / 2))
        var bytes = Array((text + (try checksum(of: text))).utf8)
        return TokenText(id: id, secret: Secret(wiping: &bytes))
    }

    private init(id: String, secret: Secret) {
        self.id = id
        self.secret = secret
    }

    /// Reads what a bearer sent. Says of a text that is none whether it was mistyped, since its checksum is no secret.
    public init(_ text: String) throws(CredentialError) {
        let mistyped = CredentialError.refused(
            told: "the token is incomplete or mistyped: its checksum does not fit", detail: "a token with a wrong checksum")
        let count = Self.prefix.utf8.count + 8 + 1 + Self.digitCount + Self.checksumCount
        guard text.utf8.count == count, text.hasPrefix(Self.prefix) else { throw mistyped }
        let rest = text.dropFirst(Self.prefix.count)
        let id = rest.prefix(8)
        let digits = rest.dropFirst(9)
        guard rest.dropFirst(8).first == "_", Self.isLowerHexadecimal(id), Self.isLowerHexadecimal(digits) else { throw mistyped }
        let expected: String
        do throws(CryptoError) { expected = try Self.checksum(of: String(text.dropLast(Self.checksumCount))) } catch {
            throw .unavailable(error.description)
        }
        guard text.hasSuffix(expected) else { throw mistyped }
        self.id = String(id)
        var bytes = Array(text.utf8)
        secret = Secret(wiping: &bytes)
    }

    /// How the token of a number begins: what a scanner that found one knows of it, and no secret.
    public static func prefix(of id: String) -> String { prefix + id + "_" }

    /// What is kept of it: SHA-256, lower-case hexadecimal.
    public func hash() throws(CryptoError) -> String {
        let stream = try SHA256Stream()
        try secret.withUnsafeBytes { (raw) throws(CryptoError) in try stream.update(raw) }
        return Hexadecimal.text(of: try stream.finish())
    }

    private static func checksum(of text: String) throws(CryptoError) -> String {
        String(Hexadecimal.text(of: try SHA256.digest(Array(text.utf8))).prefix(checksumCount))
    }

    private static func isLowerHexadecimal(_ text: Substring) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
