internal import Glibc
internal import SerinCrypto
internal import SerinModel
internal import SerinProcesses

/// The words of the last error of the C library.
func systemWords() -> String { String(cString: strerror(errno)) }

/// Files in the system's temporary folder, whose names bear the mark of the process that made them.
enum TemporaryFile {
    private static let prefix = "serin-"
    static var folder: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

    /// A name that nobody else has.
    static func path() throws(Failure) -> String {
        "\(folder)/\(prefix)\(StarterMark.current ?? "0")-\(try randomName())"
    }

    /// Removes those of processes that were killed.
    static func sweep() {
        guard let entries = opendir(folder) else { return }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            // In place: an entry ends with its name, and a copy of the whole field would read beyond the buffer.
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            let parts = name.dropFirst(prefix.count).split(separator: "-").map(String.init)
            guard name.hasPrefix(prefix), parts.count == 2, parts[1].utf8.count == 32, StarterMark.isGone(parts[0]) else {
                continue
            }
            unlink("\(folder)/\(name)")
        }
    }
}

/// The path, or a temporary one when there is none.
func target(_ path: String?) throws(Failure) -> String {
    guard let path else { return try TemporaryFile.path() }
    return path
}

/// 32 random hexadecimal digits.
func randomName() throws(Failure) -> String {
    Hexadecimal.text(of: try hashing { () throws(CryptoError) in try randomBytes(16) })
}

/// Removes a temporary file of our own; one that cannot be removed is left to the system's cleaning.
func removeFile(_ path: String) { unlink(path) }

/// Writes bytes to a new private file.
func writeFile(_ path: String, _ bytes: [UInt8]) throws(Failure) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure(.transient, "cannot make \(path): \(systemWords())") }
    defer { close(descriptor) }
    try writeAll(descriptor, bytes, path)
}

/// Writes all bytes.
func writeAll(_ descriptor: Int32, _ bytes: [UInt8], _ path: String) throws(Failure) {
    let result: Result<Void, Failure> = bytes.withUnsafeBytes { buffer in
        do throws(Failure) { return .success(try writeAll(descriptor, buffer, path)) } catch { return .failure(error) }
    }
    try result.get()
}

/// Writes all bytes of a buffer.
func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, _ path: String) throws(Failure) {
    var written = 0
    while written < bytes.count {
        let count = write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
            // Repeating at once fills no disk less.
            throw Failure(errno == ENOSPC || errno == EDQUOT ? .denied : .transient, "cannot write \(path): \(systemWords())")
        }
        written += count
    }
}

/// A whole small file.
func readFile(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.invalid, "cannot open \(path): \(systemWords())") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    try forEachPiece(of: descriptor, path) { piece throws(Failure) in
        guard bytes.count + piece.count <= limit else { throw Failure(.invalid, "\(path) is longer than \(limit) bytes") }
        bytes += piece
    }
    return bytes
}

/// The size and digest of a file.
func fetched(_ path: String) throws(Failure) -> FetchedObject {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.invalid, "cannot open \(path): \(systemWords())") }
    defer { close(descriptor) }
    return try copy(descriptor, path, to: nil, path, limit: .max)
}

/// The digest of a range of a file in hexadecimal.
func digest(of path: String, offset: Int64, count: Int64) throws(Failure) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.invalid, "cannot open \(path): \(systemWords())") }
    defer { close(descriptor) }
    lseek(descriptor, off_t(offset), SEEK_SET)
    let found = try copy(descriptor, path, to: nil, path, limit: .max, only: count)
    guard found.size == count else { throw Failure(.invalid, "\(path) has become shorter while it was stored") }
    return found.sha256
}

/// Copies from one descriptor to another, hashing what goes by.
func copy(
    _ source: Int32, _ sourcePath: String, to target: Int32?, _ targetPath: String, limit: Int64, only: Int64 = .max
) throws(Failure) -> FetchedObject {
    let digest = try hashing { () throws(CryptoError) in try SHA256Stream() }
    var size: Int64 = 0
    try forEachPiece(of: source, sourcePath, only: only) { piece throws(Failure) in
        size += Int64(piece.count)
        guard size <= limit else { throw Failure(.invalid, "\(sourcePath) is longer than \(limit) bytes") }
        try hashing { () throws(CryptoError) in try digest.update(piece) }
        if let target { try writeAll(target, piece, targetPath) }
    }
    let bytes = try hashing { () throws(CryptoError) in try digest.finish() }
    return FetchedObject(size: size, sha256: Hexadecimal.text(of: bytes))
}

/// Runs a computation of the cryptographic library.
func hashing<Value>(_ body: () throws(CryptoError) -> Value) throws(Failure) -> Value {
    do throws(CryptoError) { return try body() } catch { throw Failure(.transient, error.description) }
}

/// Hands out what a descriptor still holds, or the first bytes of it, a quarter of a mebibyte at a time.
private func forEachPiece(
    of descriptor: Int32, _ path: String, only: Int64 = .max, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
) throws(Failure) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    defer { buffer.deallocate() }
    var left = only
    while left > 0 {
        let count = read(descriptor, buffer.baseAddress, Int(min(Int64(buffer.count), left)))
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw Failure(.transient, "cannot read \(path): \(systemWords())") }
        if count == 0 { return }
        left -= Int64(count)
        try body(UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
    }
}

/// The digest of bytes in hexadecimal.
func digest(of bytes: [UInt8]) throws(Failure) -> String {
    Hexadecimal.text(of: try hashing { () throws(CryptoError) in try SHA256.digest(bytes) })
}

/// Adds what one file holds to the end of another.
func append(_ path: String, to target: String) throws(Failure) {
    let source = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard source >= 0 else { throw Failure(.invalid, "cannot open \(path): \(systemWords())") }
    defer { close(source) }
    let end = open(target, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC)
    guard end >= 0 else { throw Failure(.invalid, "cannot open \(target): \(systemWords())") }
    defer { close(end) }
    _ = try copy(source, path, to: end, target, limit: .max)
}
