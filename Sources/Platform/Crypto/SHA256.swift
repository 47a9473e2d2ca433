internal import COpenSSL

/// SHA-256 (FIPS 180-4).
public enum SHA256 {
    /// How long a digest is, in bytes.
    public static let byteCount = 32

    /// The digest of some bytes, 32 bytes.
    public static func digest(_ bytes: [UInt8]) throws(CryptoError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: byteCount)
        var length: UInt32 = 0
        guard EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha256(), nil) == 1, length == UInt32(byteCount) else {
            throw CryptoError(operation: "SHA-256")
        }
        return digest
    }

    /// The digest, or no bytes when the library refuses: for callers that check its length, as a journal's chain does.
    @Sendable public static func digestOrEmpty(_ bytes: [UInt8]) -> [UInt8] {
        do {
            return try digest(bytes)
        } catch {
            return []
        }
    }
}
