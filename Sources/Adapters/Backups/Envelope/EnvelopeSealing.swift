internal import Glibc
public import SerinCatalogue
public import SerinCompression
internal import SerinCrypto
public import SerinModel

/// How objects are written.
public struct EnvelopeSettings: Sendable, Hashable {
    /// How they are made safe.
    public var profile: EnvelopeProfile
    /// How they are compressed.
    public var compression: EnvelopeCompression
    /// 1…9.
    public var level: Int
    /// Rounds of PBKDF2, 10,000…10,000,000.
    public var iterations: Int

    /// What is allowed for `iterations`, in writing and in reading.
    public static let iterationRange = 10_000...10_000_000

    /// The usual settings, or others.
    public init(
        _ profile: EnvelopeProfile = .enc1, compression: EnvelopeCompression = .zstd, level: Int = 3, iterations: Int = 600_000
    ) {
        self.profile = profile
        self.compression = compression
        self.level = level
        self.iterations = iterations
    }
}

/// Compresses, encrypts and digests plain bytes in one pass; the stored object's bytes go to a sink. Used by one thread at a time;
/// after an error it must not be used again.
public final class EnvelopeSealing {
    private var facts: EnvelopeFacts
    private let secrets: ObjectSecrets?
    private let salt: [UInt8]
    private let body: any SealingBody
    private let compressor: Compressor?
    private let plainDigest: SHA256Stream
    private let storedDigest: SHA256Stream
    private let mac: HMACSHA256Stream?
    private var hasBegun = false

    /// Makes ready for one object: derives its keys, and wraps its data key when there are recipients.
    ///
    /// Fails as `unusable` when profile and key do not fit together, or a number is out of its range.
    public init(_ settings: EnvelopeSettings, key: EnvelopeKey) throws(EnvelopeFailure) {
        guard EnvelopeSettings.iterationRange.contains(settings.iterations) else {
            throw EnvelopeFailure(
                .unusable, .invalid,
                "cannot encrypt with \(settings.iterations) rounds of PBKDF2: 10,000 to 10,000,000 are allowed")
        }
        var facts = EnvelopeFacts(
            profile: settings.profile, compression: settings.compression, plainBytes: 0, plainSHA256: "", storedBytes: 0,
            storedSHA256: "", keyIDs: try key.ids())
        let salt = try crypto { () throws(CryptoError) -> [UInt8] in
            switch settings.profile {
            case .enc1: try randomBytes(SaltedCBC.saltByteCount)
            case .gcm1: try randomBytes(ChunkedGCM.Header.saltByteCount)
            case .none: []
            }
        }
        switch (settings.profile, key) {
        case (.none, .unencrypted): secrets = nil
        case (.enc1, .keyFile(let file)), (.gcm1, .keyFile(let file)):
            secrets = try ObjectSecrets(file, salt: salt, iterations: settings.iterations)
            facts.iterations = settings.iterations
        case (.enc1, .recipients(let certificates)), (.gcm1, .recipients(let certificates)):
            let dataKey = try crypto { () throws(CryptoError) in try Secret.random().hexadecimal }
            secrets = try ObjectSecrets(dataKey: dataKey)
            facts.wrappedKey = try crypto { () throws(CryptoError) in try KeyWrap.wrap(dataKey, to: certificates) }
            if settings.profile == .enc1 { facts.iterations = settings.iterations }
        case (.none, .keyFile), (.none, .recipients), (.enc1, .unencrypted), (.gcm1, .unencrypted):
            throw EnvelopeFailure(
                .unusable, .invalid, "cannot write an object of profile \(settings.profile.rawValue) with this kind of key",
                hint: "give a key file or recipients, or choose the profile none without a key")
        }
        switch (settings.profile, secrets) {
        case (.enc1, let secrets?):
            body = try SaltedBody(secrets.passphrase, salt: salt, iterations: settings.iterations)
            let key = try secrets.key("serin-mac", salt: salt)
            mac = try crypto { () throws(CryptoError) in try HMACSHA256Stream(key: key) }
        case (.gcm1, let secrets?):
            body = try ChunkedBody(
                secrets.root, header: ChunkedGCM.Header(iterations: UInt32(facts.iterations ?? 0), salt: salt))
            mac = nil
        case (.none, _), (_, nil):
            body = PlainBody()
            mac = nil
        }
        do throws(CompressionError) {
            compressor = try settings.compression.format.map { (format) throws(CompressionError) in
                try Compressor(format, level: settings.level)
            }
        } catch { throw EnvelopeFailure(.unusable, .invalid, "\(error)") }
        (plainDigest, storedDigest) = try crypto { () throws(CryptoError) in (try SHA256Stream(), try SHA256Stream()) }
        facts.salt = salt.isEmpty ? nil : Hexadecimal.text(of: salt)
        self.facts = facts
        self.salt = salt
    }

    /// Plain bytes taken so far.
    public var plainBytes: Int { facts.plainBytes }
    /// Bytes of the stored object so far.
    public var storedBytes: Int { facts.storedBytes }

    /// Takes more plain bytes; what is ready of the stored object goes to the sink.
    public func write(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(EnvelopeFailure) {
        try begin(sink)
        try crypto { () throws(CryptoError) in try plainDigest.update(bytes) }
        facts.plainBytes += bytes.count
        guard let compressor else { return try encrypt(bytes, to: sink) }
        try carry(bytes, through: compressor) { (bytes) throws(EnvelopeFailure) in try encrypt(bytes, to: sink) }
    }

    /// Ends the object and gives what has to be known about it. Call it once, last.
    public func finish(to sink: ByteSink) throws(EnvelopeFailure) -> EnvelopeFacts {
        try begin(sink)
        if let compressor {
            try carry(nil, through: compressor) { (bytes) throws(EnvelopeFailure) in try encrypt(bytes, to: sink) }
        }
        try body.finish { (bytes) throws(EnvelopeFailure) in try store(bytes, to: sink) }
        try crypto { () throws(CryptoError) in
            facts.plainSHA256 = Hexadecimal.text(of: try plainDigest.finish())
            facts.storedSHA256 = Hexadecimal.text(of: try storedDigest.finish())
            if let mac { facts.mac = Hexadecimal.text(of: try mac.finish()) }
        }
        if let secrets { facts.seal = try secrets.seal(of: facts, salt: salt) }
        return facts
    }

    private func begin(_ sink: ByteSink) throws(EnvelopeFailure) {
        guard !hasBegun else { return }
        hasBegun = true
        try body.header.span.withUnsafeBytes { (bytes) throws(EnvelopeFailure) in try store(bytes, to: sink) }
    }

    private func encrypt(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(EnvelopeFailure) {
        try body.write(bytes) { (bytes) throws(EnvelopeFailure) in try store(bytes, to: sink) }
    }

    private func store(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(EnvelopeFailure) {
        guard bytes.count > 0 else { return }
        try crypto { () throws(CryptoError) in
            try storedDigest.update(bytes)
            try mac?.update(bytes)
        }
        facts.storedBytes += bytes.count
        do throws(Failure) { try sink(bytes) } catch { throw EnvelopeFailure(stream: error) }
    }
}

extension EnvelopeCompression {
    /// The stream's format; nil is none.
    var format: CompressionFormat? {
        switch self {
        case .zstd: .zstd
        case .gzip: .gzip
        case .none: nil
        }
    }
}

/// A stream of Platform/Compression in either direction.
protocol ByteCoder {
    func write(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(CompressionError)
    func finish(to sink: ByteSink) throws(CompressionError)
}

extension Compressor: ByteCoder {}

extension Decompressor: ByteCoder {
    func finish(to sink: ByteSink) throws(CompressionError) { try finish() }
}

/// Gives bytes to a coder, or ends it with nil; the reason why the sink failed is not lost on the way.
func carry(_ bytes: UnsafeRawBufferPointer?, through coder: any ByteCoder, to sink: EnvelopeSink) throws(EnvelopeFailure) {
    var reason: EnvelopeFailure?
    func give(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        do throws(EnvelopeFailure) {
            try sink(bytes)
        } catch {
            reason = error
            throw error.failure
        }
    }
    do throws(CompressionError) {
        if let bytes { try coder.write(bytes, to: give) } else { try coder.finish(to: give) }
    } catch { throw reason ?? EnvelopeFailure(error) }
}
