internal import COpenSSL

/// A public key by which signatures are checked: RSA of 2048 to 8192 bits, an elliptic curve's (NIST P-256), or Ed25519.
public struct PublicKey: Sendable, Hashable {
    /// The kinds, each with the one way of signing that is accepted of it.
    public enum Kind: Sendable, Hashable {
        /// RSASSA-PKCS1-v1_5 with SHA-256: `RS256` of RFC 7518, section 3.3.
        case rsa
        /// ECDSA on P-256 with SHA-256: `ES256` of RFC 7518, section 3.4.
        case p256
        /// Ed25519: `EdDSA` of RFC 8037, section 3.1.
        case ed25519
    }

    /// The lengths of RSA keys that are accepted, in bits. RFC 7518 asks for the lower one; beyond the upper a check takes long.
    public static let rsaBits = 2048...8192

    /// Its kind.
    public let kind: Kind
    /// Its DER form (SubjectPublicKeyInfo).
    public let der: [UInt8]

    /// Reads a key in PEM (`BEGIN PUBLIC KEY`).
    public init(pem: [UInt8]) throws(CryptoError) {
        let memory = try Memory(pem)
        defer { ERR_clear_error() }
        guard let key = PEM_read_bio_PUBKEY(memory.bio, nil, nil, nil) else { throw Self.unusable("it is no public key in PEM") }
        defer { EVP_PKEY_free(key) }
        try self.init(taking: key)
    }

    /// An RSA key by its modulus and exponent, big-endian.
    public init(rsaModulus modulus: [UInt8], exponent: [UInt8]) throws(CryptoError) {
        // A longer number than any accepted key has is not even read.
        guard modulus.count <= Self.rsaBits.upperBound / 8 + 1, exponent.count <= 8 else { throw Self.unusable("it is too long") }
        guard let n = BN_bin2bn(modulus, Int32(modulus.count), nil) else { throw Self.failure }
        defer { BN_free(n) }
        guard let e = BN_bin2bn(exponent, Int32(exponent.count), nil) else { throw Self.failure }
        defer { BN_free(e) }
        try self.init(of: "RSA") { build in
            OSSL_PARAM_BLD_push_BN(build, Self.constant("n"), n) == 1 && OSSL_PARAM_BLD_push_BN(build, Self.constant("e"), e) == 1
        }
    }

    /// A key on P-256 by its coordinates, 32 bytes each, big-endian. A point that is not on the curve is refused.
    public init(p256X x: [UInt8], y: [UInt8]) throws(CryptoError) {
        guard x.count == 32, y.count == 32 else { throw Self.unusable("a coordinate has not 32 bytes") }
        // Uncompressed, as SEC 1, section 2.3.3 has it. The library keeps the pointer until the key is built.
        let point = [0x04] + x + y
        let made: Result<PublicKey, CryptoError> = point.withUnsafeBytes { point in
            Result { () throws(CryptoError) in
                try PublicKey(of: "EC") { build in
                    OSSL_PARAM_BLD_push_utf8_string(build, Self.constant("group"), Self.constant("prime256v1"), 0) == 1
                        && OSSL_PARAM_BLD_push_octet_string(build, Self.constant("pub"), point.baseAddress, point.count) == 1
                }
            }
        }
        self = try made.get()
    }

    /// An Ed25519 key of 32 bytes.
    public init(ed25519 bytes: [UInt8]) throws(CryptoError) {
        defer { ERR_clear_error() }
        guard bytes.count == Ed25519.keyByteCount,
            let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count)
        else { throw Self.unusable("it has not \(Ed25519.keyByteCount) bytes") }
        defer { EVP_PKEY_free(key) }
        try self.init(taking: key)
    }

    /// Builds a key of the parameters that the closure pushes.
    private init(of type: String, _ push: (OpaquePointer) -> Bool) throws(CryptoError) {
        guard let build = OSSL_PARAM_BLD_new() else { throw Self.failure }
        defer { OSSL_PARAM_BLD_free(build) }
        guard push(build), let parameters = OSSL_PARAM_BLD_to_param(build) else { throw Self.failure }
        defer { OSSL_PARAM_free(parameters) }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else { throw Self.failure }
        defer { EVP_PKEY_CTX_free(context) }
        defer { ERR_clear_error() }
        var made: OpaquePointer?
        // EVP_PKEY_PUBLIC_KEY, a macro of macros: the domain's parameters, other parameters, the public half.
        let selection: Int32 = 0x04 | 0x80 | 0x02
        guard EVP_PKEY_fromdata_init(context) == 1, EVP_PKEY_fromdata(context, &made, selection, parameters) == 1, let made else {
            throw Self.unusable("the numbers are no public key")
        }
        defer { EVP_PKEY_free(made) }
        try self.init(taking: made)
    }

    /// Examines a key and writes it down; the caller still frees it.
    private init(taking key: OpaquePointer) throws(CryptoError) {
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA:
            let bits = Int(EVP_PKEY_get_bits(key))
            guard Self.rsaBits.contains(bits) else {
                throw Self.unusable(
                    "it has \(bits) bits, and \(Self.rsaBits.lowerBound) to \(Self.rsaBits.upperBound) are accepted")
            }
            kind = .rsa
        case EVP_PKEY_EC:
            var name = [CChar](repeating: 0, count: 32)
            var length = 0
            guard EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1,
                name.prefix(length).elementsEqual("prime256v1".utf8.map { CChar(bitPattern: $0) })
            else { throw Self.unusable("its curve is not P-256") }
            kind = .p256
        case EVP_PKEY_ED25519: kind = .ed25519
        default: throw Self.unusable("keys of its kind are not accepted")
        }
        guard let context = EVP_PKEY_CTX_new(key, nil) else { throw Self.failure }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_public_check(context) == 1 else { throw Self.unusable("it is not sound") }
        let output = try Memory([])
        guard i2d_PUBKEY_bio(output.bio, key) == 1 else { throw Self.failure }
        der = output.bytes
    }

    /// Whether a signature was made over a message with the private half. False for a signature of another form or length; that of
    /// P-256 is the two numbers of 32 bytes each (RFC 7518, section 3.4).
    public func isValid(_ signature: [UInt8], of message: [UInt8]) throws(CryptoError) -> Bool {
        var signature = signature
        if kind == .p256 {
            guard let encoded = try Self.encoded(signature) else { return false }
            signature = encoded
        }
        let memory = try Memory(der)
        guard let key = d2i_PUBKEY_bio(memory.bio, nil) else { throw Self.failure }
        defer { EVP_PKEY_free(key) }
        guard let context = EVP_MD_CTX_new() else { throw Self.failure }
        defer { EVP_MD_CTX_free(context) }
        defer { ERR_clear_error() }
        let digest = kind == .ed25519 ? nil : EVP_sha256()
        guard EVP_DigestVerifyInit(context, nil, digest, nil, key) == 1 else { throw Self.failure }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    /// The two numbers of a signature on P-256 in DER, as the library wants them; nil when they are not 64 bytes.
    private static func encoded(_ signature: [UInt8]) throws(CryptoError) -> [UInt8]? {
        guard signature.count == 64 else { return nil }
        let r = BN_bin2bn(Array(signature.prefix(32)), 32, nil)
        let s = BN_bin2bn(Array(signature.suffix(32)), 32, nil)
        guard let numbers = ECDSA_SIG_new(), ECDSA_SIG_set0(numbers, r, s) == 1 else { throw failure }
        // They belong to the pair now.
        defer { ECDSA_SIG_free(numbers) }
        var start: UnsafeMutablePointer<UInt8>?
        let count = i2d_ECDSA_SIG(numbers, &start)
        guard count > 0, let start else { throw failure }
        defer { CRYPTO_free(start, nil, 0) }
        return Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }

    /// A text that stays where it is: the library keeps pointers to what parameters are called.
    private static func constant(_ text: StaticString) -> UnsafePointer<CChar> {
        UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    private static var failure: CryptoError { CryptoError(operation: "the check of a signature") }

    private static func unusable(_ why: String) -> CryptoError {
        CryptoError(operation: "reading a public key", .unusableKey(why))
    }
}
