internal import Glibc
internal import SerinCrypto
public import SerinModel

/// One piece of a body that is read while it is sent.
public enum BodyPiece: Sendable, Hashable {
    /// Bytes in memory.
    case bytes([UInt8])
    /// So many bytes of a file, from an offset. The file must not change meanwhile.
    case file(path: String, offset: Int64, count: Int64)

    /// How long it is, in bytes.
    public var count: Int64 {
        switch self {
        case .bytes(let bytes): Int64(bytes.count)
        case .file(_, _, let count): count
        }
    }
}

/// Where the body of an answer goes.
public struct Download: Sendable, Hashable {
    /// A file that must not exist yet and is made readable for this user only; nil: the bytes are hashed and dropped. A file that was
    /// begun stays behind when the exchange fails.
    public var path: String?
    /// The longest body accepted, in bytes.
    public var limit: Int64

    /// A place for a body.
    public init(path: String?, limit: Int64) {
        self.path = path
        self.limit = limit
    }
}

/// What came of a download.
public struct Downloaded: Sendable, Hashable {
    /// How many bytes went by.
    public var byteCount: Int64
    /// Their SHA-256, 32 bytes.
    public var sha256: [UInt8]

    /// What came of a download.
    public init(byteCount: Int64, sha256: [UInt8]) {
        self.byteCount = byteCount
        self.sha256 = sha256
    }
}

/// A pace below which an exchange is given up.
public struct StallLimit: Sendable, Hashable {
    /// The least number of bytes a second.
    public var bytesPerSecond: Int
    /// How long it may be slower, in whole seconds, at least one.
    public var lasting: Duration

    /// A pace.
    public init(bytesPerSecond: Int, lasting: Duration) {
        self.bytesPerSecond = bytesPerSecond
        self.lasting = lasting
    }
}

/// Why a file could not be read or written.
struct FileFault: Error {
    var words: String

    init(_ words: String) { self.words = words }

    /// `cannot open /x: No such file or directory`
    init(_ action: String, _ path: String) { words = "cannot \(action) \(path): \(String(cString: strerror(errno)))" }
}

/// A body read from its pieces. One thread at a time.
final class BodySource {
    private let pieces: [BodyPiece]
    private var index = 0
    private var inPiece: Int64 = 0
    private var descriptor: Int32 = -1

    /// Opens the first file, so that one that is missing is known before anything is sent.
    init(_ pieces: [BodyPiece]) throws(FileFault) {
        self.pieces = pieces
        for piece in pieces {
            guard case .file(let path, _, _) = piece else { continue }
            let opened = open(path, O_RDONLY | O_CLOEXEC)
            guard opened >= 0 else { throw FileFault("open", path) }
            close(opened)
        }
    }

    deinit { closeFile() }

    /// The count read into the buffer; 0 at the end of the body.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileFault) -> Int {
        while index < pieces.count {
            let piece = pieces[index]
            let wanted = Int(min(Int64(buffer.count), piece.count - inPiece))
            guard wanted > 0 else {
                next()
                continue
            }
            switch piece {
            case .bytes(let bytes): buffer.copyBytes(from: bytes[Int(inPiece)..<Int(inPiece) + wanted])
            case .file(let path, let offset, _):
                if descriptor < 0 { descriptor = open(path, O_RDONLY | O_CLOEXEC) }
                guard descriptor >= 0 else { throw FileFault("open", path) }
                let count = pread(descriptor, buffer.baseAddress, wanted, off_t(offset + inPiece))
                guard count >= 0 else { throw FileFault("read", path) }
                guard count > 0 else { throw FileFault("\(path) has become shorter while it was sent") }
                inPiece += Int64(count)
                return count
            }
            inPiece += Int64(wanted)
            return wanted
        }
        return 0
    }

    func seek(to offset: Int64) -> Bool {
        closeFile()
        index = 0
        inPiece = offset
        while index < pieces.count, inPiece > pieces[index].count {
            inPiece -= pieces[index].count
            index += 1
        }
        return inPiece >= 0 && (index < pieces.count || inPiece == 0)
    }

    private func next() {
        closeFile()
        index += 1
        inPiece = 0
    }

    private func closeFile() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }
}

/// Takes a body in pieces: hashes it, and writes it to a file when there is one. One thread at a time.
final class DownloadSink {
    private let download: Download
    private let digest: SHA256Stream
    private let descriptor: Int32
    private var count: Int64 = 0

    init(_ download: Download) throws(FileFault) {
        self.download = download
        do throws(CryptoError) { digest = try SHA256Stream() } catch { throw FileFault(error.description) }
        guard let path = download.path else {
            descriptor = -1
            return
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFault("make", path) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func take(_ bytes: UnsafeRawBufferPointer) throws(FileFault) {
        count += Int64(bytes.count)
        guard count <= download.limit else { throw FileFault("the answer is longer than \(download.limit) bytes") }
        do throws(CryptoError) { try digest.update(bytes) } catch { throw FileFault(error.description) }
        guard let path = download.path else { return }
        var written = 0
        while written < bytes.count {
            let step = write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            if step < 0, errno == EINTR { continue }
            guard step > 0 else { throw FileFault("write", path) }
            written += step
        }
    }

    func finish() throws(FileFault) -> Downloaded {
        do throws(CryptoError) {
            return Downloaded(byteCount: count, sha256: try digest.finish())
        } catch {
            throw FileFault(error.description)
        }
    }
}
