internal import Glibc
public import SerinCrypto
internal import SerinModel

/// A file whose first line is a passphrase, read as `openssl enc -pass file:` reads it.
public struct KeyFile: Sendable {
    /// The first line, without its end.
    public let passphrase: Secret
    /// The first 16 hexadecimal digits of the SHA-256 of the whole file, as `sha256sum` prints them.
    public let id: String

    /// Fewer bytes than this can be guessed; `openssl rand -base64 32` gives 44.
    public static let minimumByteCount = 16
    /// `openssl` reads no more of a line than this.
    public static let maximumByteCount = 1023

    /// Reads a key file. Fails as `unusable` when others than its owner may read it, or when its first line is too short, too long
    /// or holds a NUL; as `file` when it cannot be read.
    public init(path: String) throws(EnvelopeFailure) {
        try self.init(content: try secretFile(path), name: path)
    }

    /// Takes the content of a key file; `name` is for the error texts.
    public init(content: Secret, name: String) throws(EnvelopeFailure) {
        let count = content.withUnsafeBytes { $0.firstIndex(of: 0x0A) ?? $0.count }
        let hasNUL = content.withUnsafeBytes { $0.prefix(count).contains(0) }
        guard (KeyFile.minimumByteCount...KeyFile.maximumByteCount).contains(count), !hasNUL else {
            throw EnvelopeFailure(
                .unusable, .invalid,
                "cannot use the key file \(name): its first line has \(count) bytes\(hasNUL ? " with a NUL" : "")",
                hint: "16 to 1023 bytes of text are expected: openssl rand -base64 32 > \(name)")
        }
        passphrase = content.withUnsafeBytes { Secret(UnsafeRawBufferPointer(rebasing: $0.prefix(count))) }
        id = try crypto { () throws(CryptoError) in try keyID(ofKeyFile: content) }
    }
}

/// The whole of a small file that only its owner may read. Fails as `unusable` when others may, or when it is over 64 KiB.
func secretFile(_ path: String) throws(EnvelopeFailure) -> Secret {
    // A pipe is refused below, and not waited for here.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw EnvelopeFailure("read the key file", path, errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        throw EnvelopeFailure(.unusable, .invalid, "cannot use the key file \(path): it is no regular file")
    }
    guard status.st_mode & 0o077 == 0 else {
        throw EnvelopeFailure(
            .unusable, .denied, "cannot use the key file \(path): others than its owner may read or change it",
            hint: "chmod 600 \(path)")
    }
    var bytes = [UInt8](repeating: 0, count: 65_537)
    var count = 0
    while count < bytes.count {
        let more = bytes.withUnsafeMutableBytes { raw in read(descriptor, raw.baseAddress.map { $0 + count }, raw.count - count) }
        if more < 0, errno == EINTR { continue }
        guard more >= 0 else { throw EnvelopeFailure("read the key file", path, errno: errno) }
        if more == 0 { break }
        count += more
    }
    let isTooLong = count == bytes.count
    let secret = bytes.withUnsafeBytes { Secret(UnsafeRawBufferPointer(rebasing: $0.prefix(count))) }
    // The array is wiped by the type that wipes.
    _ = Secret(wiping: &bytes)
    guard !isTooLong else { throw EnvelopeFailure(.unusable, .invalid, "cannot use the key file \(path): it is over 64 KiB") }
    return secret
}
