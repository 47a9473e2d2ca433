internal import COpenSSL

/// Keys from other keys and from passphrases.
public enum KeyDerivation {
    /// HKDF with SHA-256 (RFC 5869): `count` bytes, 1…8160, from a key that is random already.
    public static func hkdf(_ key: Secret, salt: [UInt8], info: [UInt8], count: Int) throws(CryptoError) -> Secret {
        let refusal = CryptoError(operation: "HKDF-SHA-256")
        guard (1...255 * SHA256.byteCount).contains(count), let context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nil) else {
            throw refusal
        }
        defer { EVP_PKEY_CTX_free(context) }
        var output = [UInt8](repeating: 0, count: count)
        var length = count
        let isDone = key.withUnsafeBytes { key in
            EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1
                && EVP_PKEY_CTX_set1_hkdf_key(context, key.bindMemory(to: UInt8.self).baseAddress, Int32(key.count)) == 1
                // An absent salt is a string of zeros (RFC 5869, 2.2), as is an empty one.
                && (salt.isEmpty || EVP_PKEY_CTX_set1_hkdf_salt(context, salt, Int32(salt.count)) == 1)
                && (info.isEmpty || EVP_PKEY_CTX_add1_hkdf_info(context, info, Int32(info.count)) == 1)
                && EVP_PKEY_derive(context, &output, &length) == 1
        }
        guard isDone, length == count else { throw refusal }
        return Secret(wiping: &output)
    }

    /// PBKDF2 with HMAC-SHA-256 (RFC 8018, 5.2): `count` bytes from a passphrase, in `iterations` (1…2^31−1) rounds.
    public static func pbkdf2(
        _ passphrase: Secret, salt: [UInt8], iterations: Int, count: Int
    ) throws(CryptoError) -> Secret {
        var output = [UInt8](repeating: 0, count: max(0, count))
        let isDone = passphrase.withUnsafeBytes { raw in
            guard let rounds = Int32(exactly: iterations), rounds > 0, let length = Int32(exactly: count), length > 0,
                let passphraseLength = Int32(exactly: raw.count)
            else { return false }
            let letters = raw.bindMemory(to: CChar.self).baseAddress
            return PKCS5_PBKDF2_HMAC(
                letters, passphraseLength, salt, Int32(salt.count), rounds, EVP_sha256(), length, &output) == 1
        }
        guard isDone else { throw CryptoError(operation: "PBKDF2-HMAC-SHA-256") }
        return Secret(wiping: &output)
    }

    /// The one-round derivation of old `openssl enc` without `-pbkdf2` (EVP_BytesToKey): AES-256 key, then IV, 48 bytes. Only for
    /// reading what was written so: a passphrase can be guessed at full speed.
    public static func bytesToKey(
        _ passphrase: Secret, salt: [UInt8], digest: LegacyDigest
    ) throws(CryptoError) -> Secret {
        guard salt.count == 8 else { throw CryptoError(operation: "EVP_BytesToKey") }
        var output = [UInt8](repeating: 0, count: 48)
        let length = output.withUnsafeMutableBufferPointer { out in
            passphrase.withUnsafeBytes { raw in
                EVP_BytesToKey(
                    EVP_aes_256_cbc(), digest == .sha256 ? EVP_sha256() : EVP_md5(), salt,
                    raw.bindMemory(to: UInt8.self).baseAddress,
                    Int32(clamping: raw.count), 1, out.baseAddress, out.baseAddress.map { $0 + 32 })
            }
        }
        guard length == 32 else { throw CryptoError(operation: "EVP_BytesToKey") }
        return Secret(wiping: &output)
    }
}

/// The digest of `openssl enc` without `-pbkdf2`.
public enum LegacyDigest: Sendable, Hashable {
    /// Since OpenSSL 1.1.0.
    case sha256
    /// Before it.
    case md5
}
