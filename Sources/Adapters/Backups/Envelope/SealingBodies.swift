internal import SerinCrypto

typealias EnvelopeSink = (UnsafeRawBufferPointer) throws(EnvelopeFailure) -> Void

/// Turns compressed bytes into the stored object.
protocol SealingBody {
    /// What the object begins with.
    var header: [UInt8] { get }
    func write(_ bytes: UnsafeRawBufferPointer, to sink: EnvelopeSink) throws(EnvelopeFailure)
    func finish(to sink: EnvelopeSink) throws(EnvelopeFailure)
}

/// Bytes as they are.
struct PlainBody: SealingBody {
    let header: [UInt8] = []
    func write(_ bytes: UnsafeRawBufferPointer, to sink: EnvelopeSink) throws(EnvelopeFailure) { try sink(bytes) }
    func finish(to sink: EnvelopeSink) {}
}

/// The format of `openssl enc`.
final class SaltedBody: SealingBody {
    private let salt: [UInt8]
    private let cipher: SaltedCBC.Cipher
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: (1 << 17) + 16, alignment: 16)

    init(_ passphrase: Secret, salt: [UInt8], iterations: Int) throws(EnvelopeFailure) {
        self.salt = salt
        cipher = try crypto { () throws(CryptoError) in
            try SaltedCBC.Cipher(encrypting: passphrase, salt: salt, iterations: iterations)
        }
    }

    deinit { buffer.deallocate() }

    var header: [UInt8] { SaltedCBC.magic + salt }

    func write(_ bytes: UnsafeRawBufferPointer, to sink: EnvelopeSink) throws(EnvelopeFailure) {
        try transform(bytes, through: cipher, buffer, to: sink)
    }

    func finish(to sink: EnvelopeSink) throws(EnvelopeFailure) {
        let count = try crypto { () throws(CryptoError) in try cipher.finish(into: buffer) }
        try sink(UnsafeRawBufferPointer(rebasing: buffer.prefix(count)))
    }
}

/// Runs bytes through a cipher in pieces that the buffer has room for.
func transform(
    _ bytes: UnsafeRawBufferPointer, through cipher: SaltedCBC.Cipher, _ buffer: UnsafeMutableRawBufferPointer,
    to sink: EnvelopeSink
) throws(EnvelopeFailure) {
    var rest = bytes
    while rest.count > 0 {
        let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(buffer.count - 16))
        let count = try crypto { () throws(CryptoError) in try cipher.update(piece, into: buffer) }
        if count > 0 { try sink(UnsafeRawBufferPointer(rebasing: buffer.prefix(count))) }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
    }
}

/// Chunks of AES-256-GCM.
final class ChunkedBody: SealingBody {
    let header: [UInt8]
    private let cipher: ChunkedGCM.Cipher
    private let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: ChunkedGCM.chunkByteCount, alignment: 16)
    private let sealed = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ChunkedGCM.chunkByteCount + ChunkedGCM.tagByteCount, alignment: 16)
    private var count = 0

    init(_ root: Secret, header: ChunkedGCM.Header) throws(EnvelopeFailure) {
        self.header = header.bytes
        cipher = try crypto { () throws(CryptoError) in
            try ChunkedGCM.Cipher(root, header: header, isEncrypting: true)
        }
    }

    deinit {
        chunk.deallocate()
        sealed.deallocate()
    }

    func write(_ bytes: UnsafeRawBufferPointer, to sink: EnvelopeSink) throws(EnvelopeFailure) {
        var rest = bytes
        while rest.count > 0 {
            // A full chunk waits until it is known not to be the last.
            if count == chunk.count { try seal(isLast: false, to: sink) }
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(chunk.count - count))
            UnsafeMutableRawBufferPointer(rebasing: chunk.dropFirst(count)).copyMemory(from: piece)
            count += piece.count
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
        }
    }

    func finish(to sink: EnvelopeSink) throws(EnvelopeFailure) { try seal(isLast: true, to: sink) }

    private func seal(isLast: Bool, to sink: EnvelopeSink) throws(EnvelopeFailure) {
        let plain = UnsafeRawBufferPointer(rebasing: chunk.prefix(count))
        let length = try crypto { () throws(CryptoError) in try cipher.seal(plain, isLast: isLast, into: sealed) }
        count = 0
        try sink(UnsafeRawBufferPointer(rebasing: sealed.prefix(length)))
    }
}
