internal import COpenSSL

/// A certificate (X.509) to whose key a data key can be wrapped. Holds no secret.
public struct Certificate: Sendable, Hashable {
    /// Its DER form.
    public let der: [UInt8]

    /// Reads the first certificate of a PEM text; fails as `unusableKey`.
    public init(pem: [UInt8]) throws(CryptoError) {
        let memory = try Memory(pem)
        guard let certificate = PEM_read_bio_X509(memory.bio, nil, nil, nil) else {
            throw CryptoError(operation: "reading a certificate", .unusableKey("it holds no certificate in PEM"))
        }
        defer { X509_free(certificate) }
        let output = try Memory([])
        guard i2d_X509_bio(output.bio, certificate) == 1 else { throw CryptoError(operation: "writing a certificate") }
        der = output.bytes
    }

    /// The first 16 hexadecimal digits of the SHA-256 of its DER form, which is how `openssl x509 -fingerprint -sha256` begins.
    public func keyID() throws(CryptoError) -> String { try Certificate.shortID(of: der) }

    /// The first 16 hexadecimal digits of the SHA-256 of some bytes.
    static func shortID(of bytes: [UInt8]) throws(CryptoError) -> String {
        String(Hexadecimal.text(of: try SHA256.digest(bytes)).prefix(16))
    }

    /// Lends the library's form to the body.
    func withX509<Value>(_ body: (OpaquePointer) throws(CryptoError) -> Value) throws(CryptoError) -> Value {
        let memory = try Memory(der)
        guard let certificate = d2i_X509_bio(memory.bio, nil) else {
            throw CryptoError(operation: "reading a certificate", .malformed)
        }
        defer { X509_free(certificate) }
        return try body(certificate)
    }
}

/// The key identifier of a key file: the first 16 hexadecimal digits of the SHA-256 of its whole content, as `sha256sum` prints.
public func keyID(ofKeyFile content: Secret) throws(CryptoError) -> String {
    let stream = try SHA256Stream()
    try content.withUnsafeBytes { (raw) throws(CryptoError) in try stream.update(raw) }
    return String(Hexadecimal.text(of: try stream.finish()).prefix(16))
}

/// A memory BIO of the library.
final class Memory {
    let bio: OpaquePointer

    init(_ bytes: [UInt8]) throws(CryptoError) {
        guard let bio = BIO_new(BIO_s_mem()) else { throw CryptoError(operation: "a buffer") }
        self.bio = bio
        guard bytes.isEmpty || BIO_write(bio, bytes, Int32(clamping: bytes.count)) == Int32(clamping: bytes.count) else {
            throw CryptoError(operation: "a buffer")
        }
    }

    deinit { BIO_free(bio) }

    /// Takes everything out of it.
    var bytes: [UInt8] {
        let count = BIO_ctrl_pending(bio)
        var bytes = [UInt8](repeating: 0, count: count)
        let read = BIO_read(bio, &bytes, Int32(clamping: count))
        return Array(bytes.prefix(max(0, Int(read))))
    }
}
