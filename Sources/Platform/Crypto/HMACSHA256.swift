internal import COpenSSL

/// HMAC with SHA-256 (RFC 2104, RFC 4231).
public enum HMACSHA256 {
    /// The authentication code of some bytes under a key of any length, 32 bytes. Compare it with `areEqual`, never with `==`.
    public static func code(for bytes: [UInt8], key: [UInt8]) throws(CryptoError) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: SHA256.byteCount)
        var length: UInt32 = 0
        guard key.count <= Int(Int32.max), HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &code, &length) != nil,
            length == UInt32(SHA256.byteCount)
        else { throw CryptoError(operation: "HMAC-SHA256") }
        return code
    }

    /// The same under a key that must not be seen.
    public static func code(for bytes: [UInt8], key: Secret) throws(CryptoError) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: SHA256.byteCount)
        var length: UInt32 = 0
        let isDone = key.withUnsafeBytes { raw in
            raw.count <= Int(Int32.max)
                && HMAC(EVP_sha256(), raw.baseAddress, Int32(raw.count), bytes, bytes.count, &code, &length) != nil
        }
        guard isDone, length == UInt32(SHA256.byteCount) else { throw CryptoError(operation: "HMAC-SHA256") }
        return code
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
public func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}
