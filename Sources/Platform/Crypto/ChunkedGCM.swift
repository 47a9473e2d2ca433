internal import COpenSSL

/// AES-256-GCM in chunks that are authenticated one by one, together with their place and whether they are the last: the STREAM
/// construction of Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
/// Misuse-Resistance", CRYPTO 2015.
///
/// An object is a header of 48 bytes (magic `serngcm1`, chunk size and PBKDF2 rounds as 32-bit big-endian numbers, 32 bytes of
/// salt), then each chunk's cipher text followed by its 16-byte tag. All chunks but the last are full; the last holds at least
/// one byte unless it is the only one. Key (32 bytes) and nonce prefix (7 bytes) are HKDF-SHA-256 of the data key with the salt
/// and the label `serin-gcm1`; the nonce is prefix, chunk number (32 bits, big-endian), and 1 in the last chunk, else 0. The
/// header is associated data of every chunk.
public enum ChunkedGCM {
    /// Plain bytes in a chunk that is not the last.
    public static let chunkByteCount = 1 << 20
    /// Bytes of authentication after each chunk.
    public static let tagByteCount = 16

    /// What an object begins with.
    public struct Header: Sendable, Hashable {
        /// Its length in bytes.
        public static let byteCount = 48
        /// Length of its salt in bytes.
        public static let saltByteCount = 32
        static let magic = Array("serngcm1".utf8)

        /// Rounds of PBKDF2 that made the data key of a passphrase; 0 for a random data key.
        public var iterations: UInt32
        /// Random, a new one for each object.
        public var salt: [UInt8]

        /// A header. `salt` has 32 bytes.
        public init(iterations: UInt32, salt: [UInt8]) {
            self.iterations = iterations
            self.salt = salt
        }

        /// Reads a header of exactly 48 bytes; fails as `malformed`.
        public init(_ bytes: [UInt8]) throws(CryptoError) {
            let isKnown =
                bytes.count == Header.byteCount && bytes.starts(with: Header.magic)
                && bytes[8..<12].elementsEqual(bigEndian(UInt32(ChunkedGCM.chunkByteCount)))
            guard isKnown else { throw CryptoError(operation: "reading the header of gcm1", .malformed) }
            iterations = bytes[12..<16].reduce(0) { $0 << 8 | UInt32($1) }
            salt = Array(bytes[16...])
        }

        /// The 48 bytes.
        public var bytes: [UInt8] {
            Header.magic + bigEndian(UInt32(ChunkedGCM.chunkByteCount)) + bigEndian(iterations) + salt
        }
    }

    /// One of the two directions, chunk after chunk. Used by one thread at a time.
    public final class Cipher {
        private let context: OpaquePointer
        private let header: [UInt8]
        private let prefix: [UInt8]
        private let isEncrypting: Bool
        private var counter: UInt32 = 0
        private var isFinished = false

        /// For one object: `header` must carry a fresh salt when encrypting.
        public init(_ dataKey: Secret, header: Header, isEncrypting: Bool) throws(CryptoError) {
            let material = try KeyDerivation.hkdf(dataKey, salt: header.salt, info: Array("serin-gcm1".utf8), count: 39)
            guard header.salt.count == Header.saltByteCount, let context = EVP_CIPHER_CTX_new() else {
                throw CryptoError(operation: "AES-256-GCM")
            }
            self.context = context
            self.header = header.bytes
            self.isEncrypting = isEncrypting
            prefix = material.withUnsafeBytes { Array($0.suffix(7)) }
            let code = material.withUnsafeBytes { raw in
                EVP_CipherInit_ex(
                    context, EVP_aes_256_gcm(), nil, raw.bindMemory(to: UInt8.self).baseAddress, nil, isEncrypting ? 1 : 0)
            }
            guard code == 1 else { throw CryptoError(operation: "AES-256-GCM") }
        }

        deinit { EVP_CIPHER_CTX_free(context) }

        /// Encrypts the next chunk: at most 1 MiB, exactly that unless it is the last. Writes cipher text and tag, 16 bytes more.
        public func seal(
            _ chunk: UnsafeRawBufferPointer, isLast: Bool, into output: UnsafeMutableRawBufferPointer
        ) throws(CryptoError) -> Int {
            let failure = CryptoError(operation: "AES-256-GCM")
            guard isEncrypting, isLast || chunk.count == ChunkedGCM.chunkByteCount, chunk.count <= ChunkedGCM.chunkByteCount,
                output.count >= chunk.count + ChunkedGCM.tagByteCount, let out = output.baseAddress
            else { throw failure }
            try start(isLast: isLast)
            try transform(chunk, into: output)
            var none: Int32 = 0
            guard EVP_CipherFinal_ex(context, nil, &none) == 1,
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(ChunkedGCM.tagByteCount), out + chunk.count) == 1
            else { throw failure }
            return chunk.count + ChunkedGCM.tagByteCount
        }

        /// Decrypts the next chunk with its tag. Fails as `notAuthentic` unless it is this chunk of this object under this key;
        /// what stands in `output` then must not be used.
        public func open(
            _ sealed: UnsafeRawBufferPointer, isLast: Bool, into output: UnsafeMutableRawBufferPointer
        ) throws(CryptoError) -> Int {
            let operation = "opening chunk \(counter) of gcm1"
            let count = sealed.count - ChunkedGCM.tagByteCount
            guard count >= 0 else { throw CryptoError(operation: operation, .truncated) }
            // Only an empty object ends in an empty chunk; this keeps one reading for one content.
            guard count > 0 || (isLast && counter == 0), isLast || count == ChunkedGCM.chunkByteCount,
                count <= ChunkedGCM.chunkByteCount
            else { throw CryptoError(operation: operation, .malformed) }
            guard !isEncrypting, output.count >= count else { throw CryptoError(operation: operation) }
            try start(isLast: isLast)
            try transform(UnsafeRawBufferPointer(rebasing: sealed.prefix(count)), into: output)
            var tag = Array(sealed.suffix(ChunkedGCM.tagByteCount))
            var none: Int32 = 0
            var rest: [UInt8] = [0]
            guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1,
                EVP_CipherFinal_ex(context, &rest, &none) == 1
            else {
                isFinished = true
                throw CryptoError(operation: operation, .notAuthentic)
            }
            return count
        }

        private func start(isLast: Bool) throws(CryptoError) {
            guard !isFinished else { throw CryptoError(operation: "AES-256-GCM after the last chunk") }
            let nonce = prefix + bigEndian(counter) + [isLast ? 1 : 0]
            var none: Int32 = 0
            guard EVP_CipherInit_ex(context, nil, nil, nil, nonce, -1) == 1,
                EVP_CipherUpdate(context, nil, &none, header, Int32(header.count)) == 1
            else { throw CryptoError(operation: "AES-256-GCM") }
            let (next, isOver) = counter.addingReportingOverflow(1)
            // A chunk number never comes twice: the object ends here, by its own flag or for lack of numbers.
            isFinished = isLast || isOver
            counter = next
        }

        private func transform(
            _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
        ) throws(CryptoError) {
            guard input.count > 0 else { return }
            var written: Int32 = 0
            let code = EVP_CipherUpdate(
                context, output.bindMemory(to: UInt8.self).baseAddress, &written, input.bindMemory(to: UInt8.self).baseAddress,
                Int32(input.count))
            guard code == 1, Int(written) == input.count else { throw CryptoError(operation: "AES-256-GCM") }
        }
    }
}

private func bigEndian(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
