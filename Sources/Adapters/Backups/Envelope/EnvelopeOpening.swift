public import SerinCompression
internal import SerinCrypto
public import SerinModel

/// Decrypts and decompresses a stored object that comes one piece after another, and checks the plain bytes against the facts.
/// Used by one thread at a time; after an error it must not be used again.
public final class EnvelopeOpening {
    /// What the plain bytes have to be.
    enum Expectation {
        case exactly(byteCount: Int, sha256: String)
        case atMost(Int)

        var limit: Int {
            switch self {
            case .exactly(let count, _), .atMost(let count): count
            }
        }
    }

    private let expected: Expectation
    private let body: any OpeningBody
    private let decompressor: Decompressor?
    private let plainDigest: SHA256Stream
    private var plainBytes = 0

    init(_ body: any OpeningBody, _ format: CompressionFormat?, _ expected: Expectation) throws(EnvelopeFailure) {
        self.expected = expected
        self.body = body
        do throws(CompressionError) {
            decompressor = try format.map { (format) throws(CompressionError) in
                try Decompressor(format, limit: expected.limit)
            }
        } catch { throw EnvelopeFailure(error) }
        plainDigest = try crypto { () throws(CryptoError) in try SHA256Stream() }
    }

    /// Takes more of the stored object; plain bytes that may be used go to the sink.
    public func write(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(EnvelopeFailure) {
        try body.write(bytes) { (bytes) throws(EnvelopeFailure) in try decompress(bytes, to: sink) }
    }

    /// Ends the object. Only when this returns was everything there and as it was written.
    public func finish(to sink: ByteSink) throws(EnvelopeFailure) {
        try body.finish { (bytes) throws(EnvelopeFailure) in try decompress(bytes, to: sink) }
        do throws(CompressionError) { try decompressor?.finish() } catch { throw EnvelopeFailure(error) }
        let digest = try crypto { () throws(CryptoError) in Hexadecimal.text(of: try plainDigest.finish()) }
        guard case .exactly(let byteCount, let sha256) = expected else { return }
        guard plainBytes == byteCount, digest == sha256 else {
            throw EnvelopeFailure(
                .damaged, .invalid,
                "the plain bytes are not those on record: \(plainBytes) bytes with SHA-256 \(digest), where "
                    + "\(byteCount) with \(sha256) were expected")
        }
    }

    private func decompress(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(EnvelopeFailure) {
        guard let decompressor else { return try release(bytes, to: sink) }
        try carry(bytes, through: decompressor) { (bytes) throws(EnvelopeFailure) in try release(bytes, to: sink) }
    }

    private func release(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(EnvelopeFailure) {
        guard bytes.count > 0 else { return }
        plainBytes += bytes.count
        guard plainBytes <= expected.limit else {
            throw EnvelopeFailure(.damaged, .invalid, "the object holds more than the \(expected.limit) plain bytes allowed")
        }
        try crypto { () throws(CryptoError) in try plainDigest.update(bytes) }
        do throws(Failure) { try sink(bytes) } catch { throw EnvelopeFailure(stream: error) }
    }
}
