internal import CZlib
internal import CZstd
public import SerinModel

/// Decompresses bytes that come one after another. Several frames one after another are read as one, as the stock tools do.
/// Used by one thread at a time; after an error it must not be used again.
public final class Decompressor {
    private let coder: any Decoder
    private var left: Int
    private let limit: Int

    /// Starts a stream that may come to at most `limit` bytes of plain content.
    public init(_ format: CompressionFormat, limit: Int) throws(CompressionError) {
        switch format {
        case .zstd: coder = try ZstdDecoder()
        case .gzip: coder = try GzipDecoder()
        }
        self.limit = limit
        left = limit
    }

    /// Takes more bytes; what is ready goes to the sink.
    public func write(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(CompressionError) {
        try coder.decode(bytes) { (buffer, count) throws(CompressionError) in
            guard count <= left else { throw .tooLarge(limit: limit) }
            left -= count
            try give(buffer, count, to: sink)
        }
    }

    /// Fails as `truncated` unless the last frame is complete and there was one. Call it last.
    public func finish() throws(CompressionError) {
        guard coder.isAtEnd else { throw .truncated }
    }
}

private protocol Decoder {
    /// Whether a frame is complete and no other has begun.
    var isAtEnd: Bool { get }
    func decode(
        _ bytes: UnsafeRawBufferPointer, give: (UnsafeMutableRawBufferPointer, Int) throws(CompressionError) -> Void
    ) throws(CompressionError)
}

private final class ZstdDecoder: Decoder {
    private let context: OpaquePointer
    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var isAtEnd = false

    init() throws(CompressionError) {
        guard let context = ZSTD_createDCtx() else { throw .library("no memory for zstd") }
        self.context = context
        buffer = .allocate(byteCount: ZSTD_DStreamOutSize(), alignment: 16)
        let code = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, CompressionLimits.windowLog)
        guard ZSTD_isError(code) == 0 else { throw .library(String(cString: ZSTD_getErrorName(code))) }
    }

    deinit {
        ZSTD_freeDCtx(context)
        buffer.deallocate()
    }

    func decode(
        _ bytes: UnsafeRawBufferPointer, give: (UnsafeMutableRawBufferPointer, Int) throws(CompressionError) -> Void
    ) throws(CompressionError) {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        var isFull = false
        // A full buffer may have left something behind in the library, even with no input left.
        while input.pos < input.size || isFull {
            var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            let wanted = ZSTD_decompressStream(context, &output, &input)
            guard ZSTD_isError(wanted) == 0 else {
                let words = String(cString: ZSTD_getErrorName(wanted))
                throw ZSTD_getErrorCode(wanted) == ZSTD_error_frameParameter_windowTooLarge
                    ? .needsTooMuchMemory : .corrupt(words)
            }
            isAtEnd = wanted == 0
            try give(buffer, output.pos)
            isFull = output.pos == output.size && !isAtEnd
        }
    }
}

private final class GzipDecoder: Decoder {
    // In memory of its own: zlib keeps the address of the structure.
    private let stream: UnsafeMutablePointer<z_stream>
    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var isAtEnd = false

    init() throws(CompressionError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        buffer = .allocate(byteCount: 131_072, alignment: 16)
        let code = inflateInit2_(stream, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard code == Z_OK else { throw .library("zlib error \(code)") }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        buffer.deallocate()
    }

    func decode(
        _ bytes: UnsafeRawBufferPointer, give: (UnsafeMutableRawBufferPointer, Int) throws(CompressionError) -> Void
    ) throws(CompressionError) {
        guard bytes.count <= 1 << 30 else { throw .library("more than 1 GiB at once") }
        stream.pointee.next_in = UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: Bytef.self)
        stream.pointee.avail_in = UInt32(bytes.count)
        var isFull = false
        while stream.pointee.avail_in > 0 || isFull {
            if isAtEnd {
                // Another member follows, or what is no member and fails as one.
                guard inflateReset(stream) == Z_OK else { throw .library("zlib cannot start again") }
                isAtEnd = false
            }
            stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: Bytef.self)
            stream.pointee.avail_out = UInt32(buffer.count)
            let code = inflate(stream, Z_NO_FLUSH)
            guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else {
                throw .corrupt(stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(code)")
            }
            isAtEnd = code == Z_STREAM_END
            try give(buffer, buffer.count - Int(stream.pointee.avail_out))
            isFull = stream.pointee.avail_out == 0 && !isAtEnd
        }
    }
}
