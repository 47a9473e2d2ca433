internal import CZlib
internal import CZstd
public import SerinModel

/// Compresses bytes that come one after another. Used by one thread at a time.
public final class Compressor {
    private let coder: any Encoder

    /// Starts a stream. `level` is 1…9; 3 is a good choice for zstd and 6 for gzip.
    public init(_ format: CompressionFormat, level: Int) throws(CompressionError) {
        guard CompressionLimits.levels.contains(level) else { throw .library("level \(level) is not in 1…9") }
        switch format {
        case .zstd: coder = try ZstdEncoder(level: level)
        case .gzip: coder = try GzipEncoder(level: level)
        }
    }

    /// Takes more bytes; what is ready goes to the sink.
    public func write(_ bytes: UnsafeRawBufferPointer, to sink: ByteSink) throws(CompressionError) {
        guard bytes.count > 0 else { return }
        try coder.encode(bytes, isLast: false, to: sink)
    }

    /// Ends the stream; without this it reads as truncated. Call it once, last.
    public func finish(to sink: ByteSink) throws(CompressionError) {
        try coder.encode(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true, to: sink)
    }
}

private protocol Encoder {
    func encode(_ bytes: UnsafeRawBufferPointer, isLast: Bool, to sink: ByteSink) throws(CompressionError)
}

/// Hands bytes to the sink and marks its failure as such.
func give(
    _ buffer: UnsafeMutableRawBufferPointer, _ count: Int, to sink: ByteSink
) throws(CompressionError) {
    guard count > 0 else { return }
    do throws(Failure) {
        try sink(UnsafeRawBufferPointer(rebasing: buffer.prefix(count)))
    } catch { throw .sink(error) }
}

private final class ZstdEncoder: Encoder {
    private let context: OpaquePointer
    private let buffer: UnsafeMutableRawBufferPointer

    init(level: Int) throws(CompressionError) {
        guard let context = ZSTD_createCCtx() else { throw .library("no memory for zstd") }
        self.context = context
        buffer = .allocate(byteCount: ZSTD_CStreamOutSize(), alignment: 16)
        for (parameter, value) in [(ZSTD_c_compressionLevel, Int32(level)), (ZSTD_c_checksumFlag, 1)] {
            let code = ZSTD_CCtx_setParameter(context, parameter, value)
            guard ZSTD_isError(code) == 0 else { throw .library(String(cString: ZSTD_getErrorName(code))) }
        }
    }

    deinit {
        ZSTD_freeCCtx(context)
        buffer.deallocate()
    }

    func encode(_ bytes: UnsafeRawBufferPointer, isLast: Bool, to sink: ByteSink) throws(CompressionError) {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        while true {
            var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            let left = ZSTD_compressStream2(context, &output, &input, isLast ? ZSTD_e_end : ZSTD_e_continue)
            guard ZSTD_isError(left) == 0 else { throw .library(String(cString: ZSTD_getErrorName(left))) }
            try give(buffer, output.pos, to: sink)
            if isLast ? left == 0 : input.pos == input.size { return }
        }
    }
}

private final class GzipEncoder: Encoder {
    // In memory of its own: zlib keeps the address of the structure.
    private let stream: UnsafeMutablePointer<z_stream>
    private let buffer: UnsafeMutableRawBufferPointer

    init(level: Int) throws(CompressionError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        buffer = .allocate(byteCount: 131_072, alignment: 16)
        // 16 + 15: a gzip header and the largest window.
        let code = deflateInit2_(
            stream, Int32(level), Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard code == Z_OK else { throw .library("zlib error \(code)") }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        buffer.deallocate()
    }

    func encode(_ bytes: UnsafeRawBufferPointer, isLast: Bool, to sink: ByteSink) throws(CompressionError) {
        var rest = bytes
        repeat {
            // zlib counts in 32 bits.
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
            stream.pointee.next_in = UnsafeMutableRawPointer(mutating: part.baseAddress)?.assumingMemoryBound(to: Bytef.self)
            stream.pointee.avail_in = UInt32(part.count)
            var code = Z_OK
            repeat {
                stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: Bytef.self)
                stream.pointee.avail_out = UInt32(buffer.count)
                code = deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
                guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { throw .library("zlib error \(code)") }
                try give(buffer, buffer.count - Int(stream.pointee.avail_out), to: sink)
            } while stream.pointee.avail_out == 0 || (isLast && code != Z_STREAM_END)
        } while rest.count > 0
    }
}
