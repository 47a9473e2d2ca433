public import SerinModel

/// Why a compressed stream could not be written or read.
public enum CompressionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The bytes end before the end mark of a frame, or there are none at all.
    case truncated
    /// The bytes are not of the format or were changed, in the library's words.
    case corrupt(String)
    /// They decompress to more than the caller allows, in bytes.
    case tooLarge(limit: Int)
    /// Reading them would take more memory than allowed.
    case needsTooMuchMemory
    /// The library refused, in its words.
    case library(String)
    /// Who took the result failed.
    case sink(Failure)

    /// The words.
    public var description: String {
        switch self {
        case .truncated: "the compressed bytes end too early"
        case .corrupt(let words): "the compressed bytes are damaged: \(words)"
        case .tooLarge(let limit): "the compressed bytes hold more than the \(limit) bytes expected"
        case .needsTooMuchMemory: "reading the compressed bytes would take more memory than is allowed"
        case .library(let words): "the compression library refused: \(words)"
        case .sink(let failure): failure.message
        }
    }
}

/// Takes the bytes that come out of a stream. They are valid during the call only.
public typealias ByteSink = (UnsafeRawBufferPointer) throws(Failure) -> Void

/// The format of a compressed stream.
public enum CompressionFormat: Sendable, Hashable {
    /// Zstandard (RFC 8878), with a checksum of the content.
    case zstd
    /// gzip (RFC 1952).
    case gzip
}

/// How hard to compress, and how much to read at most.
public enum CompressionLimits {
    /// The levels of both formats that are allowed: above 9 zstd takes more than 30 MB.
    public static let levels = 1...9
    /// The largest window of a zstd stream that is read, as a power of two: 8 MB, what stock `zstd -19` needs at most.
    public static let windowLog: Int32 = 23
}
