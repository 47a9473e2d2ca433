internal import COpenSSL

/// The file format of `openssl enc -aes-256-cbc -salt`: `Salted__`, 8 bytes of salt, then AES-256-CBC with PKCS#7 padding. It
/// authenticates nothing: whoever reads it must have checked a MAC over all of it before.
public enum SaltedCBC {
    /// How the key and the IV come from the passphrase.
    public enum Derivation: Sendable, Hashable {
        /// `-pbkdf2 -iter N -md sha256`.
        case pbkdf2(iterations: Int)
        /// Without `-pbkdf2`; only ever read.
        case legacy(LegacyDigest)
    }

    /// What every such file begins with.
    public static let magic = Array("Salted__".utf8)
    /// Length of the salt, in bytes.
    public static let saltByteCount = 8
    /// Length of magic and salt together, in bytes.
    public static let headerByteCount = 16

    /// The salt of a file by its first 16 bytes; nil when it is no such file.
    public static func salt(ofHeader header: [UInt8]) -> [UInt8]? {
        header.count == headerByteCount && header.starts(with: magic) ? Array(header.suffix(saltByteCount)) : nil
    }

    /// One of the two directions. Used by one thread at a time.
    public final class Cipher {
        private let context: OpaquePointer
        private let isEncrypting: Bool

        /// Encrypts what follows the header.
        public convenience init(encrypting passphrase: Secret, salt: [UInt8], iterations: Int) throws(CryptoError) {
            try self.init(passphrase, salt, .pbkdf2(iterations: iterations), isEncrypting: true)
        }

        /// Decrypts what follows the header.
        public convenience init(decrypting passphrase: Secret, salt: [UInt8], _ derivation: Derivation) throws(CryptoError) {
            try self.init(passphrase, salt, derivation, isEncrypting: false)
        }

        private init(_ passphrase: Secret, _ salt: [UInt8], _ derivation: Derivation, isEncrypting: Bool) throws(CryptoError) {
            let material =
                switch derivation {
                case .pbkdf2(let iterations):
                    try KeyDerivation.pbkdf2(passphrase, salt: salt, iterations: iterations, count: 48)
                case .legacy(let digest): try KeyDerivation.bytesToKey(passphrase, salt: salt, digest: digest)
                }
            guard let context = EVP_CIPHER_CTX_new() else { throw CryptoError(operation: "AES-256-CBC") }
            self.context = context
            self.isEncrypting = isEncrypting
            let code = material.withUnsafeBytes { raw in
                let bytes = raw.bindMemory(to: UInt8.self).baseAddress
                return EVP_CipherInit_ex(context, EVP_aes_256_cbc(), nil, bytes, bytes.map { $0 + 32 }, isEncrypting ? 1 : 0)
            }
            guard code == 1 else { throw CryptoError(operation: "AES-256-CBC") }
        }

        deinit { EVP_CIPHER_CTX_free(context) }

        /// Takes more bytes (at most 1 GiB at once) and gives what is ready.
        ///
        /// - Parameter output: At least 16 bytes longer than the input, and no part of it.
        /// - Returns: How many bytes were written to `output`.
        public func update(
            _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
        ) throws(CryptoError) -> Int {
            guard output.count >= input.count + 16, input.count <= 1 << 30 else { throw CryptoError(operation: "AES-256-CBC") }
            var written: Int32 = 0
            guard
                EVP_CipherUpdate(
                    context, output.bindMemory(to: UInt8.self).baseAddress, &written,
                    input.bindMemory(to: UInt8.self).baseAddress, Int32(input.count)) == 1
            else { throw CryptoError(operation: "AES-256-CBC") }
            return Int(written)
        }

        /// Gives the last bytes; when decrypting, fails as `notAuthentic` where the padding is wrong.
        ///
        /// - Parameter output: At least 16 bytes.
        /// - Returns: How many bytes were written to `output`.
        public func finish(into output: UnsafeMutableRawBufferPointer) throws(CryptoError) -> Int {
            guard output.count >= 16 else { throw CryptoError(operation: "AES-256-CBC") }
            var written: Int32 = 0
            guard EVP_CipherFinal_ex(context, output.bindMemory(to: UInt8.self).baseAddress, &written) == 1 else {
                throw CryptoError(operation: "AES-256-CBC", isEncrypting ? .library : .notAuthentic)
            }
            return Int(written)
        }
    }
}
