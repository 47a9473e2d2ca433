internal import COpenSSL

/// SHA-256 of bytes that come one after another. Used by one thread at a time.
public final class SHA256Stream {
    private let context: OpaquePointer

    /// Of no bytes yet.
    public init() throws(CryptoError) {
        guard let context = EVP_MD_CTX_new() else { throw CryptoError(operation: "SHA-256") }
        self.context = context
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { throw CryptoError(operation: "SHA-256") }
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Takes more bytes.
    public func update(_ bytes: UnsafeRawBufferPointer) throws(CryptoError) {
        guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else { throw CryptoError(operation: "SHA-256") }
    }

    /// The digest of everything so far, 32 bytes. Call it once, last.
    public func finish() throws(CryptoError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: SHA256.byteCount)
        guard EVP_DigestFinal_ex(context, &digest, nil) == 1 else { throw CryptoError(operation: "SHA-256") }
        return digest
    }
}
