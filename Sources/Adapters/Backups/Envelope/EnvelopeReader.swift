internal import Glibc
public import SerinCatalogue
public import SerinCompression
internal import SerinCrypto
public import SerinModel

/// Reads objects of one set of facts. The facts themselves are authenticated before anything is read by them.
public struct EnvelopeReader {
    /// What is known about the object.
    public let facts: EnvelopeFacts
    private let secrets: ObjectSecrets?
    private let salt: [UInt8]

    /// Chooses the key by its identifier, unwraps or derives, and checks the seal over the facts.
    ///
    /// Fails as `wrongKey` when none of the identities is named by the facts or its key does not fit, as `damaged` when the facts
    /// were changed or make no sense.
    public init(_ facts: EnvelopeFacts, identities: [EnvelopeIdentity]) throws(EnvelopeFailure) {
        self.facts = facts
        guard facts.plainBytes >= 0, facts.storedBytes >= 0 else { throw EnvelopeReader.senseless("a size is negative") }
        salt = try EnvelopeReader.salt(of: facts)
        guard facts.profile != .none else {
            secrets = nil
            return
        }
        if facts.profile == .enc1 || facts.wrappedKey == nil {
            guard let iterations = facts.iterations, EnvelopeSettings.iterationRange.contains(iterations) else {
                throw EnvelopeReader.senseless("the rounds of PBKDF2 are not 10,000 to 10,000,000")
            }
        }
        let secrets = try EnvelopeReader.secrets(of: facts, salt: salt, identities)
        let seal = try secrets.seal(of: facts, salt: salt)
        guard areEqual(Array(seal.utf8), Array((facts.seal ?? "").utf8)) else {
            throw EnvelopeFailure(
                .damaged, .invalid, "what is on record about the object was changed, or its key is another one of the same name")
        }
        self.secrets = secrets
    }

    private static func senseless(_ why: String) -> EnvelopeFailure {
        EnvelopeFailure(.damaged, .invalid, "what is on record about the object makes no sense: \(why)")
    }

    private static func salt(of facts: EnvelopeFacts) throws(EnvelopeFailure) -> [UInt8] {
        let expected =
            switch facts.profile {
            case .enc1: SaltedCBC.saltByteCount
            case .gcm1: ChunkedGCM.Header.saltByteCount
            case .none: 0
            }
        guard let salt = Hexadecimal.bytes(of: facts.salt ?? ""), salt.count == expected else {
            throw senseless("the salt has not \(expected) bytes")
        }
        return salt
    }

    private static func secrets(
        of facts: EnvelopeFacts, salt: [UInt8], _ identities: [EnvelopeIdentity]
    ) throws(EnvelopeFailure) -> ObjectSecrets {
        var given: [String] = []
        for identity in identities {
            let id = try identity.id()
            given.append(id)
            guard facts.keyIDs.contains(id) else { continue }
            switch (identity, facts.wrappedKey) {
            case (.keyFile(let file), nil):
                return try ObjectSecrets(file, salt: salt, iterations: facts.iterations ?? 0)
            case (.recipient(let certificate, let privateKey, let passphrase), let wrapped?):
                let dataKey: Secret
                do throws(CryptoError) {
                    dataKey = try KeyWrap.unwrap(
                        wrapped, certificate: certificate, privateKey: privateKey, passphrase: passphrase)
                } catch {
                    if error.reason == .notAuthentic {
                        throw EnvelopeFailure(.wrongKey, .invalid, "key \(id) does not open the object's data key: \(error)")
                    }
                    throw EnvelopeFailure(error)
                }
                return try ObjectSecrets(dataKey: dataKey)
            case (.keyFile, _), (.recipient, nil): continue
            }
        }
        throw EnvelopeFailure(
            .wrongKey, .invalid,
            "the object is encrypted to \(facts.keyIDs.joined(separator: ", ")); the keys at hand are "
                + (given.isEmpty ? "none" : given.joined(separator: ", ")),
            hint: facts.wrappedKey == nil
                ? "name the file of the passphrase that was used then under encryption.former_key_files in the plan"
                : "give a recipient's key with --identity CERTIFICATE,KEY")
    }

    /// Reads the whole file and compares its length, SHA-256 and, for `enc1`, its MAC. Decrypts nothing; the chunks of `gcm1` are
    /// authenticated in reading.
    public func check(_ path: String) throws(EnvelopeFailure) { try check(try InputFile(path)) }

    /// Gives the plain bytes of a file. Of `enc1` and `none` the complete file is checked before the first byte is given; of `gcm1`
    /// each chunk is. Only when this returns was everything there and as it was written.
    public func read(_ path: String, to sink: ByteSink) throws(EnvelopeFailure) {
        let file = try InputFile(path)
        if facts.profile != .gcm1 { try check(file) }
        let opening = try opening()
        let digest = try crypto { () throws(CryptoError) in try SHA256Stream() }
        try file.read { (bytes) throws(EnvelopeFailure) in
            try crypto { () throws(CryptoError) in try digest.update(bytes) }
            try opening.write(bytes, to: sink)
        }
        try opening.finish(to: sink)
        let stored = try crypto { () throws(CryptoError) in Hexadecimal.text(of: try digest.finish()) }
        guard stored == facts.storedSHA256 else {
            throw EnvelopeFailure(.damaged, .invalid, "\(path) is not the object on record, or changed while it was read")
        }
    }

    /// For reading a `gcm1` object piece by piece from wherever it comes; fails as `unusable` for another profile, which has to be
    /// complete before a byte of it may be used.
    public func streaming() throws(EnvelopeFailure) -> EnvelopeOpening {
        guard facts.profile == .gcm1 else {
            throw EnvelopeFailure(
                .unusable, .invalid, "cannot read an object of profile \(facts.profile.rawValue) as it comes",
                hint: "fetch it whole, then read the file")
        }
        return try opening()
    }

    private func opening() throws(EnvelopeFailure) -> EnvelopeOpening {
        let body: any OpeningBody =
            switch (facts.profile, secrets) {
            case (.enc1, let secrets?):
                SaltedOpening(secrets.passphrase, .pbkdf2(iterations: facts.iterations ?? 0), salt: salt)
            case (.gcm1, let secrets?):
                ChunkedOpening(
                    secrets.root, header: ChunkedGCM.Header(iterations: UInt32(clamping: facts.iterations ?? 0), salt: salt))
            case (.none, _), (_, nil): PlainBody()
            }
        return try EnvelopeOpening(
            body, facts.compression.format, .exactly(byteCount: facts.plainBytes, sha256: facts.plainSHA256))
    }

    private func check(_ file: InputFile) throws(EnvelopeFailure) {
        guard file.byteCount == facts.storedBytes else {
            throw EnvelopeFailure(
                .damaged, .invalid, "\(file.path) has \(file.byteCount) bytes, where \(facts.storedBytes) are on record")
        }
        let mac = try secrets.flatMap { (secrets) throws(EnvelopeFailure) -> HMACSHA256Stream? in
            guard facts.profile == .enc1 else { return nil }
            let key = try secrets.key("serin-mac", salt: salt)
            return try crypto { () throws(CryptoError) in try HMACSHA256Stream(key: key) }
        }
        let digest = try crypto { () throws(CryptoError) in try SHA256Stream() }
        try file.read { (bytes) throws(EnvelopeFailure) in
            try crypto { () throws(CryptoError) in
                try digest.update(bytes)
                try mac?.update(bytes)
            }
        }
        let (stored, code) = try crypto { () throws(CryptoError) in
            (Hexadecimal.text(of: try digest.finish()), try mac.map { (mac) throws(CryptoError) in try mac.finish() })
        }
        let isMACRight = code.map { areEqual($0, Hexadecimal.bytes(of: facts.mac ?? "") ?? []) } ?? true
        guard stored == facts.storedSHA256, isMACRight else {
            throw EnvelopeFailure(.damaged, .invalid, "\(file.path) is not the object that was written: its digest differs")
        }
    }
}
