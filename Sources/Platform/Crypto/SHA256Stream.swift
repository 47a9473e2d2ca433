internal import COpenSSL

/// SHA-256 (FIPS 180-4) of bytes that arrive in pieces. One thread at a time may use it.
public final class SHA256Stream {
    private let context: OpaquePointer

    /// Begins a digest.
    public init() throws(CryptoError) {
        guard let context = EVP_MD_CTX_new() else { throw CryptoError(operation: "SHA-256") }
        self.context = context
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { throw CryptoError(operation: "SHA-256") }
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Adds bytes.
    public func update(_ bytes: UnsafeRawBufferPointer) throws(CryptoError) {
        guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else { throw CryptoError(operation: "SHA-256") }
    }

    /// The digest of everything added, 32 bytes. Nothing can be added afterwards.
    public func finish() throws(CryptoError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: SHA256.byteCount)
        var length: UInt32 = 0
        guard EVP_DigestFinal_ex(context, &digest, &length) == 1, length == UInt32(SHA256.byteCount) else {
            throw CryptoError(operation: "SHA-256")
        }
        return digest
    }
}
