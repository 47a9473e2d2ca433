internal import SerinCatalogue
public import SerinCrypto
internal import SerinModel

/// What an object is encrypted with.
public enum EnvelopeKey: Sendable {
    /// A passphrase that is kept in a file on this host.
    case keyFile(KeyFile)
    /// A random data key for this object alone, wrapped to each of these certificates; this host cannot open the object again.
    case recipients([Certificate])
    /// Nothing, by explicit choice.
    case unencrypted

    /// Its identifiers, as they are recorded with the object.
    public func ids() throws(EnvelopeFailure) -> [String] {
        switch self {
        case .keyFile(let file): return [file.id]
        case .recipients(let certificates):
            var ids: [String] = []
            for certificate in certificates { ids.append(try crypto { () throws(CryptoError) in try certificate.keyID() }) }
            return ids
        case .unencrypted: return []
        }
    }
}

/// What opens an object.
public enum EnvelopeIdentity: Sendable {
    /// The key file it was encrypted with.
    case keyFile(KeyFile)
    /// A recipient's certificate and private key (PEM), with the passphrase that the private key's file may need.
    case recipient(Certificate, privateKey: Secret, passphrase: Secret?)

    /// Reads a recipient's identity from two PEM files; the private key must be its owner's alone.
    public static func recipient(
        certificate: String, privateKey: String, passphrase: Secret? = nil
    ) throws(EnvelopeFailure) -> EnvelopeIdentity {
        .recipient(try readCertificate(certificate), privateKey: try secretFile(privateKey), passphrase: passphrase)
    }

    /// The identifier that an object's facts name it by.
    public func id() throws(EnvelopeFailure) -> String {
        switch self {
        case .keyFile(let file): file.id
        case .recipient(let certificate, _, _): try crypto { () throws(CryptoError) in try certificate.keyID() }
        }
    }
}

/// Reads the first certificate of a PEM file.
public func readCertificate(_ path: String) throws(EnvelopeFailure) -> Certificate {
    let file = try InputFile(path)
    guard file.byteCount <= 1 << 20 else {
        throw EnvelopeFailure(.unusable, .invalid, "cannot use the certificate \(path): it is over 1 MiB")
    }
    var pem: [UInt8] = []
    try file.read { (bytes) throws(EnvelopeFailure) in pem += bytes }
    do throws(CryptoError) {
        return try Certificate(pem: pem)
    } catch {
        throw EnvelopeFailure(.unusable, .invalid, "cannot use the certificate \(path): \(error)")
    }
}

/// The secrets of one object.
struct ObjectSecrets {
    /// What `openssl enc` is given.
    let passphrase: Secret
    /// From what all other keys of the object are derived, 32 bytes.
    let root: Secret

    /// Of an object under a key file. The root is stretched as slowly as the cipher's key, with a salt of its own, so that the
    /// MAC is no faster way to try passphrases, and no output serves two purposes.
    init(_ file: KeyFile, salt: [UInt8], iterations: Int) throws(EnvelopeFailure) {
        passphrase = file.passphrase
        root = try crypto { () throws(CryptoError) in
            try KeyDerivation.pbkdf2(file.passphrase, salt: Array("serin-mac".utf8) + salt, iterations: iterations, count: 32)
        }
    }

    /// Of an object with a random data key: 64 hexadecimal digits, as they are wrapped.
    init(dataKey: Secret) throws(EnvelopeFailure) {
        guard var bytes = dataKey.withUnsafeBytes({ Hexadecimal.bytes(of: String(decoding: $0, as: UTF8.self)) }),
            bytes.count == 32
        else { throw EnvelopeFailure(.damaged, .invalid, "the wrapped key holds no data key of 64 hexadecimal digits") }
        passphrase = dataKey
        root = Secret(wiping: &bytes)
    }

    /// A key for one purpose.
    func key(_ label: String, salt: [UInt8]) throws(EnvelopeFailure) -> Secret {
        try crypto { () throws(CryptoError) in
            try KeyDerivation.hkdf(root, salt: salt, info: Array(label.utf8), count: 32)
        }
    }

    /// The code over the facts, hexadecimal.
    func seal(of facts: EnvelopeFacts, salt: [UInt8]) throws(EnvelopeFailure) -> String {
        let key = try key("serin-seal", salt: salt)
        return try crypto { () throws(CryptoError) in
            let stream = try HMACSHA256Stream(key: key)
            try Array(facts.sealedText.utf8).span.withUnsafeBytes { (text) throws(CryptoError) in try stream.update(text) }
            return Hexadecimal.text(of: try stream.finish())
        }
    }
}
