internal import COpenSSL
internal import SerinCrypto
public import SerinModel

/// A private key made by OpenSSL, with which a test plays an issuer. Fails the test when OpenSSL does.
public final class SigningKey: @unchecked Sendable {
    // Unchecked: the key is only read once it is made.
    /// Which kind of key.
    public enum Kind: Sendable { case rsa(bits: Int32), p256, p384, ed25519 }

    /// OpenSSL would not.
    public struct Broken: Error {}

    private let key: OpaquePointer
    /// Which kind it is.
    public let kind: Kind

    /// Makes a key.
    public init(_ kind: Kind) throws {
        self.kind = kind
        let id =
            switch kind {
            case .rsa: EVP_PKEY_RSA
            case .p256, .p384: EVP_PKEY_EC
            case .ed25519: EVP_PKEY_ED25519
            }
        guard let context = EVP_PKEY_CTX_new_id(id, nil), EVP_PKEY_keygen_init(context) == 1 else { throw Broken() }
        defer { EVP_PKEY_CTX_free(context) }
        let isSet =
            switch kind {
            case .rsa(let bits): EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits)
            case .p256: EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1)
            case .p384: EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_secp384r1)
            case .ed25519: Int32(1)
            }
        var made: OpaquePointer?
        guard isSet == 1, EVP_PKEY_generate(context, &made) == 1, let made else { throw Broken() }
        key = made
    }

    deinit { EVP_PKEY_free(key) }

    /// The algorithm's name in a token's header.
    public var algorithm: String {
        switch kind {
        case .rsa: "RS256"
        case .p256, .p384: "ES256"
        case .ed25519: "EdDSA"
        }
    }

    /// The public half in PEM.
    public func pem() throws -> [UInt8] {
        guard let bio = BIO_new(BIO_s_mem()) else { throw Broken() }
        defer { BIO_free(bio) }
        guard PEM_write_bio_PUBKEY(bio, key) == 1 else { throw Broken() }
        var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(bio))
        guard BIO_read(bio, &bytes, Int32(bytes.count)) == Int32(bytes.count) else { throw Broken() }
        return bytes
    }

    /// A signature as JWS has it.
    public func signature(of message: [UInt8]) throws -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw Broken() }
        defer { EVP_MD_CTX_free(context) }
        var digest = EVP_sha256()
        if case .ed25519 = kind { digest = nil }
        var length = 0
        guard EVP_DigestSignInit(context, nil, digest, nil, key) == 1,
            EVP_DigestSign(context, nil, &length, message, message.count) == 1
        else { throw Broken() }
        var bytes = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &bytes, &length, message, message.count) == 1 else { throw Broken() }
        bytes = Array(bytes.prefix(length))
        guard case .p256 = kind else { return bytes }
        return try bytes.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            guard let pair = d2i_ECDSA_SIG(nil, &start, buffer.count) else { throw Broken() }
            defer { ECDSA_SIG_free(pair) }
            var numbers = [UInt8](repeating: 0, count: 64)
            BN_bn2binpad(ECDSA_SIG_get0_r(pair), &numbers, 32)
            numbers.withUnsafeMutableBufferPointer { whole in
                guard let base = whole.baseAddress else { return }
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), base + 32, 32)
            }
            return numbers
        }
    }

    /// The public half as a key of a JWK Set.
    public func jwk(_ id: String?, _ more: KeyValuePairs<String, JSONValue> = [:]) throws -> JSONValue {
        var members: [JSONValue.Member] = more.map { JSONValue.Member($0.key, $0.value) }
        func add(_ name: String, _ value: String) { members.append(JSONValue.Member(name, .string(value))) }
        if let id { add("kid", id) }
        switch kind {
        case .rsa:
            add("kty", "RSA")
            add("n", Base64URL.text(of: try number("n")))
            add("e", Base64URL.text(of: try number("e")))
        case .p256, .p384:
            add("kty", "EC")
            if case .p256 = kind { add("crv", "P-256") } else { add("crv", "P-384") }
            add("x", Base64URL.text(of: try number("qx", count: 32)))
            add("y", Base64URL.text(of: try number("qy", count: 32)))
        case .ed25519:
            var bytes = [UInt8](repeating: 0, count: 32)
            var length = 32
            guard EVP_PKEY_get_raw_public_key(key, &bytes, &length) == 1 else { throw Broken() }
            add("kty", "OKP")
            add("crv", "Ed25519")
            add("x", Base64URL.text(of: bytes))
        }
        return .sortedObject(members)
    }

    private func number(_ name: String, count: Int? = nil) throws -> [UInt8] {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &number) == 1, let number else { throw Broken() }
        defer { BN_free(number) }
        var bytes = [UInt8](repeating: 0, count: count ?? Int(BN_num_bits(number) + 7) / 8)
        guard BN_bn2binpad(number, &bytes, Int32(bytes.count)) >= 0 else { throw Broken() }
        return bytes
    }

    /// A signed token.
    public func token(_ claims: JSONValue, header: KeyValuePairs<String, JSONValue>) throws -> String {
        try signedToken(claims, header: header) { try self.signature(of: $0) }
    }
}

/// A token whose header and claims are as they are given, signed by the closure.
public func signedToken(
    _ claims: JSONValue, header: KeyValuePairs<String, JSONValue>, sign: ([UInt8]) throws -> [UInt8]
) rethrows -> String {
    let head = JSONValue.sortedObject(header.map { JSONValue.Member($0.key, $0.value) })
    let signed = Base64URL.text(of: head.canonicalBytes) + "." + Base64URL.text(of: claims.canonicalBytes)
    return signed + "." + Base64URL.text(of: try sign(Array(signed.utf8)))
}
