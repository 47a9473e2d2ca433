internal import COpenSSL

/// Signatures by Ed25519 (RFC 8032, section 5.1).
public enum Ed25519 {
    /// Length of a public key and of a private seed, in bytes.
    public static let keyByteCount = 32
    /// Length of a signature, in bytes.
    public static let signatureByteCount = 64

    /// Whether a signature of 64 bytes was made over the message with the private half of a public key of 32 bytes. False for a
    /// signature or key of any other length and for a point that is not on the curve.
    public static func isValid(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) throws(CryptoError) -> Bool {
        guard signature.count == signatureByteCount, publicKey.count == keyByteCount else { return false }
        defer { ERR_clear_error() }
        guard let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, publicKey, publicKey.count) else { return false }
        defer { EVP_PKEY_free(key) }
        guard let context = EVP_MD_CTX_new() else { throw CryptoError(operation: "Ed25519") }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { throw CryptoError(operation: "Ed25519") }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    /// The signature over a message, 64 bytes, by a private seed of 32 bytes.
    public static func signature(of message: [UInt8], seed: Secret) throws(CryptoError) -> [UInt8] {
        let failure = CryptoError(operation: "signing with Ed25519")
        let key = try privateKey(seed)
        defer { EVP_PKEY_free(key) }
        guard let context = EVP_MD_CTX_new() else { throw failure }
        defer { EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: signatureByteCount)
        var length = signature.count
        guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
            EVP_DigestSign(context, &signature, &length, message, message.count) == 1, length == signatureByteCount
        else { throw failure }
        return signature
    }

    /// The public key, 32 bytes, of a private seed of 32 bytes.
    public static func publicKey(ofSeed seed: Secret) throws(CryptoError) -> [UInt8] {
        let key = try privateKey(seed)
        defer { EVP_PKEY_free(key) }
        var bytes = [UInt8](repeating: 0, count: keyByteCount)
        var length = bytes.count
        guard EVP_PKEY_get_raw_public_key(key, &bytes, &length) == 1, length == keyByteCount else {
            throw CryptoError(operation: "the public key of an Ed25519 seed")
        }
        return bytes
    }

    private static func privateKey(_ seed: Secret) throws(CryptoError) -> OpaquePointer {
        guard seed.count == keyByteCount else {
            throw CryptoError(
                operation: "signing with Ed25519",
                .unusableKey("the seed has \(seed.count) bytes, and \(keyByteCount) are expected"))
        }
        let key = seed.withUnsafeBytes { raw in
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, raw.bindMemory(to: UInt8.self).baseAddress, raw.count)
        }
        guard let key else { throw CryptoError(operation: "signing with Ed25519") }
        return key
    }
}
