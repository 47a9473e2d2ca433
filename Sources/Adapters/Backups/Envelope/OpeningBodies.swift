internal import SerinCrypto
internal import SerinModel

/// Turns the stored object into compressed bytes.
protocol OpeningBody {
    func write(_ bytes: UnsafeRawBufferPointer, to sink: EnvelopeSink) throws(EnvelopeFailure)
    func finish(to sink: EnvelopeSink) throws(EnvelopeFailure)
}

extension PlainBody: OpeningBody {}

/// Collects a header of known length from the beginning of a stream.
struct HeaderCollection {
    private(set) var bytes: [UInt8] = []
    let count: Int

    /// Takes what belongs to the header off the bytes; true once it is complete.
    mutating func take(_ rest: inout UnsafeRawBufferPointer) -> Bool {
        let piece = rest.prefix(count - bytes.count)
        bytes += piece
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
        return bytes.count == count
    }
}

/// The format of `openssl enc`.
final class SaltedOpening: OpeningBody {
    private let passphrase: Secret
    private let derivation: SaltedCBC.Derivation
    private let expectedSalt: [UInt8]?
    private var header = HeaderCollection(count: SaltedCBC.headerByteCount)
    private var cipher: SaltedCBC.Cipher?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: (1 << 17) + 16, alignment: 16)

    init(_ passphrase: Secret, _ derivation: SaltedCBC.Derivation, salt: [UInt8]?) {
        self.passphrase = passphrase
        self.derivation = derivation
        expectedSalt = salt
    }

    deinit { buffer.deallocate() }

    func write(_ bytes: UnsafeRawBufferPointer, to sink: EnvelopeSink) throws(EnvelopeFailure) {
        var rest = bytes
        if cipher == nil {
            guard header.take(&rest) else { return }
            guard let salt = SaltedCBC.salt(ofHeader: header.bytes), expectedSalt == nil || salt == expectedSalt else {
                throw EnvelopeFailure(.damaged, .invalid, "the object does not begin with Salted__ and the salt on record")
            }
            cipher = try crypto { () throws(CryptoError) in
                try SaltedCBC.Cipher(decrypting: passphrase, salt: salt, derivation)
            }
        }
        guard let cipher else { return }
        try transform(rest, through: cipher, buffer, to: sink)
    }

    func finish(to sink: EnvelopeSink) throws(EnvelopeFailure) {
        guard let cipher else { throw EnvelopeFailure(.damaged, .invalid, "the object ends within its header") }
        let count = try crypto { () throws(CryptoError) in try cipher.finish(into: buffer) }
        try sink(UnsafeRawBufferPointer(rebasing: buffer.prefix(count)))
    }
}

/// Chunks of AES-256-GCM; a chunk is given on only after it has been authenticated.
final class ChunkedOpening: OpeningBody {
    private let root: Secret
    private let expected: ChunkedGCM.Header
    private var header = HeaderCollection(count: ChunkedGCM.Header.byteCount)
    private var cipher: ChunkedGCM.Cipher?
    private let sealed = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ChunkedGCM.chunkByteCount + ChunkedGCM.tagByteCount, alignment: 16)
    private let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: ChunkedGCM.chunkByteCount, alignment: 16)
    private var count = 0

    init(_ root: Secret, header: ChunkedGCM.Header) {
        self.root = root
        expected = header
    }

    deinit {
        sealed.deallocate()
        plain.deallocate()
    }

    func write(_ bytes: UnsafeRawBufferPointer, to sink: EnvelopeSink) throws(EnvelopeFailure) {
        var rest = bytes
        if cipher == nil {
            guard header.take(&rest) else { return }
            cipher = try crypto { () throws(CryptoError) in
                guard try ChunkedGCM.Header(header.bytes) == expected else { return nil }
                return try ChunkedGCM.Cipher(root, header: expected, isEncrypting: false)
            }
            guard cipher != nil else {
                throw EnvelopeFailure(.damaged, .invalid, "the object's header is not the one on record")
            }
        }
        while rest.count > 0 {
            // A full chunk waits until it is known not to be the last.
            if count == sealed.count { try open(isLast: false, to: sink) }
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(sealed.count - count))
            UnsafeMutableRawBufferPointer(rebasing: sealed.dropFirst(count)).copyMemory(from: piece)
            count += piece.count
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
        }
    }

    func finish(to sink: EnvelopeSink) throws(EnvelopeFailure) { try open(isLast: true, to: sink) }

    private func open(isLast: Bool, to sink: EnvelopeSink) throws(EnvelopeFailure) {
        guard let cipher else { throw EnvelopeFailure(.damaged, .invalid, "the object ends within its header") }
        let chunk = UnsafeRawBufferPointer(rebasing: sealed.prefix(count))
        let length = try crypto { () throws(CryptoError) in try cipher.open(chunk, isLast: isLast, into: plain) }
        count = 0
        try sink(UnsafeRawBufferPointer(rebasing: plain.prefix(length)))
    }
}
