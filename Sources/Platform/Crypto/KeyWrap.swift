internal import COpenSSL

/// Wraps a secret to the holders of certificates: CMS AuthEnvelopedData (RFC 5083) with AES-256-GCM, RSA-OAEP with SHA-256 or
/// ECDH for each recipient. `openssl cms -decrypt -inform PEM` unwraps it.
public enum KeyWrap {
    /// How long a wrapped key may be when it is read, in bytes; one of two recipients has about 1,200 in PEM.
    public static let byteLimit = 65_536

    private static let flags = UInt32(CMS_BINARY)

    /// The secret, wrapped to every recipient, as PEM. There must be one recipient at least.
    public static func wrap(_ secret: Secret, to recipients: [Certificate]) throws(CryptoError) -> String {
        let operation = "wrapping a data key"
        guard !recipients.isEmpty else { throw CryptoError(operation: operation, .unusableKey("there is no recipient")) }
        guard let message = CMS_encrypt(nil, nil, EVP_aes_256_gcm(), flags | UInt32(CMS_PARTIAL)) else {
            throw CryptoError(operation: operation)
        }
        defer { CMS_ContentInfo_free(message) }
        for recipient in recipients { try recipient.withX509 { (x509) throws(CryptoError) in try add(x509, to: message) } }
        guard let input = BIO_new(BIO_s_secmem()) else { throw CryptoError(operation: operation) }
        defer { BIO_free(input) }
        let isFilled = secret.withUnsafeBytes { BIO_write(input, $0.baseAddress, Int32(clamping: $0.count)) == $0.count }
        let output = try Memory([])
        guard isFilled, CMS_final(message, input, nil, flags) == 1, PEM_write_bio_CMS(output.bio, message) == 1 else {
            throw CryptoError(operation: operation)
        }
        return String(decoding: output.bytes, as: UTF8.self)
    }

    private static func add(_ x509: OpaquePointer, to message: OpaquePointer) throws(CryptoError) {
        let operation = "wrapping a data key"
        let unusable = CryptoError(operation: operation, .unusableKey("a certificate's key is neither RSA nor an elliptic curve"))
        guard let key = X509_get0_pubkey(x509) else { throw unusable }
        let isRSA = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA
        guard let recipient = CMS_add1_recipient_cert(message, x509, flags | (isRSA ? UInt32(CMS_KEY_PARAM) : 0)) else {
            ERR_clear_error()
            throw unusable
        }
        guard isRSA else { return }
        let context = CMS_RecipientInfo_get0_pkey_ctx(recipient)
        guard EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1,
            EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1
        else { throw CryptoError(operation: operation) }
    }

    /// The secret inside, with the private key (PEM) of one recipient. Fails as `notAuthentic` when the key is no recipient's or
    /// the message was changed, as `unusableKey` when the private key cannot be read. Never asks a terminal for a passphrase.
    public static func unwrap(
        _ wrapped: String, certificate: Certificate, privateKey: Secret, passphrase: Secret? = nil
    ) throws(CryptoError) -> Secret {
        let operation = "unwrapping a data key"
        guard wrapped.utf8.count <= byteLimit else { throw CryptoError(operation: operation, .malformed) }
        defer { ERR_clear_error() }
        let input = try Memory(Array(wrapped.utf8))
        guard let message = PEM_read_bio_CMS(input.bio, nil, nil, nil) else {
            throw CryptoError(operation: operation, .malformed)
        }
        defer { CMS_ContentInfo_free(message) }
        let key = try read(privateKey, passphrase)
        defer { EVP_PKEY_free(key) }
        guard let output = BIO_new(BIO_s_secmem()) else { throw CryptoError(operation: operation) }
        defer { BIO_free(output) }
        let isOpen = try certificate.withX509 { x509 in CMS_decrypt(message, key, x509, nil, output, flags) == 1 }
        guard isOpen else { throw CryptoError(operation: operation, .notAuthentic) }
        var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(output))
        let count = BIO_read(output, &bytes, Int32(clamping: bytes.count))
        guard Int(count) == bytes.count, count > 0 else { throw CryptoError(operation: operation, .malformed) }
        return Secret(wiping: &bytes)
    }

    private static func read(_ privateKey: Secret, _ passphrase: Secret?) throws(CryptoError) -> OpaquePointer {
        guard let bio = BIO_new(BIO_s_secmem()) else { throw CryptoError(operation: "reading a private key") }
        defer { BIO_free(bio) }
        let isFilled = privateKey.withUnsafeBytes { BIO_write(bio, $0.baseAddress, Int32(clamping: $0.count)) == $0.count }
        // With a passphrase given, even an empty one, the library does not ask for one.
        var letters = passphrase.map { $0.withUnsafeBytes { Array($0) } } ?? []
        letters.append(0)
        defer { OPENSSL_cleanse(&letters, letters.count) }
        guard isFilled, let key = PEM_read_bio_PrivateKey(bio, nil, nil, &letters) else {
            throw CryptoError(
                operation: "reading a private key",
                .unusableKey("it holds no private key in PEM, or its passphrase is another one"))
        }
        return key
    }
}
