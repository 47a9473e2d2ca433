internal import COpenSSL

/// HMAC-SHA-256 of bytes that come one after another. Used by one thread at a time.
public final class HMACSHA256Stream {
    private let context: OpaquePointer

    /// Of no bytes yet, under a key of any length.
    public init(key: Secret) throws(CryptoError) {
        guard let context = EVP_MD_CTX_new() else { throw CryptoError(operation: "HMAC-SHA-256") }
        self.context = context
        let isReady = key.withUnsafeBytes { raw in
            let bytes = raw.bindMemory(to: UInt8.self)
            guard let mac = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, nil, bytes.baseAddress, bytes.count) else { return false }
            defer { EVP_PKEY_free(mac) }
            return EVP_DigestSignInit(context, nil, EVP_sha256(), nil, mac) == 1
        }
        guard isReady else { throw CryptoError(operation: "HMAC-SHA-256") }
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Takes more bytes.
    public func update(_ bytes: UnsafeRawBufferPointer) throws(CryptoError) {
        guard EVP_DigestSignUpdate(context, bytes.baseAddress, bytes.count) == 1 else {
            throw CryptoError(operation: "HMAC-SHA-256")
        }
    }

    /// The code of everything so far, 32 bytes. Call it once, last; compare it with `areEqual`.
    public func finish() throws(CryptoError) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: SHA256.byteCount)
        var length = code.count
        guard EVP_DigestSignFinal(context, &code, &length) == 1, length == code.count else {
            throw CryptoError(operation: "HMAC-SHA-256")
        }
        return code
    }
}
