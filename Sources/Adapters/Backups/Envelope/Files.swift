internal import Glibc
internal import SerinCrypto
internal import SerinModel

/// A new file that appears under its name only when it is complete and on the disk.
final class DurableFile {
    let path: String
    private let partial: String
    private let folder: String
    private var descriptor: Int32

    /// Creates the partial file, readable and writable for its owner alone.
    init(_ path: String) throws(EnvelopeFailure) {
        let cut = path.lastIndex(of: "/")
        folder = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = cut.map { path[path.index(after: $0)...] } ?? path[...]
        guard !name.isEmpty else { throw EnvelopeFailure(.unusable, .invalid, "cannot write \(path): it names no file") }
        let mark = try crypto { () throws(CryptoError) in Hexadecimal.text(of: try randomBytes(6)) }
        partial = "\(folder)/.\(name).\(mark)\(EnvelopeWriter.partialSuffix)"
        self.path = path
        // A link that leads nowhere has the name too.
        var status = stat()
        guard lstat(path, &status) != 0 else { throw EnvelopeFailure("write", path, errno: EEXIST) }
        descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw EnvelopeFailure("write", partial, errno: errno) }
    }

    deinit { abandon() }

    func write(_ bytes: UnsafeRawBufferPointer) throws(EnvelopeFailure) {
        var rest = bytes
        while rest.count > 0 {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw EnvelopeFailure("write", partial, errno: count < 0 ? errno : EIO) }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    /// Puts everything on the disk, then under its name, unless that is taken.
    func commit() throws(EnvelopeFailure) {
        guard fsync(descriptor) == 0 else { throw EnvelopeFailure("write", partial, errno: errno) }
        let code = close(descriptor)
        descriptor = -1
        guard code == 0 else { throw dropping(errno) }
        try takeName()
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw EnvelopeFailure("write", folder, errno: errno) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw EnvelopeFailure("write", folder, errno: errno) }
    }

    /// A second name and then the removal of the first: unlike a rename this never replaces what has the name already.
    private func takeName() throws(EnvelopeFailure) {
        if link(partial, path) != 0 {
            // A file system without second names: the name is claimed first, then filled.
            guard [EPERM, EOPNOTSUPP, EMLINK].contains(errno) else { throw dropping(errno) }
            let claim = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard claim >= 0 else { throw dropping(errno) }
            close(claim)
            guard rename(partial, path) == 0 else {
                let code = errno
                unlink(path)
                throw dropping(code)
            }
            return
        }
        guard unlink(partial) == 0 else { throw EnvelopeFailure("write", partial, errno: errno) }
    }

    private func dropping(_ code: Int32) -> EnvelopeFailure {
        unlink(partial)
        return EnvelopeFailure("write", path, errno: code)
    }

    /// Removes what was written so far.
    func abandon() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        unlink(partial)
    }
}

/// A file that is read from its beginning to its end, more than once if need be, through one descriptor.
final class InputFile {
    let path: String
    let byteCount: Int
    private let descriptor: Int32

    init(_ path: String) throws(EnvelopeFailure) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            byteCount = 0
            throw EnvelopeFailure("read", path, errno: errno)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            byteCount = 0
            throw EnvelopeFailure(.file, .invalid, "cannot read \(path): it is no regular file")
        }
        byteCount = Int(status.st_size)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Gives everything, piece by piece, from the beginning.
    func read(_ body: (UnsafeRawBufferPointer) throws(EnvelopeFailure) -> Void) throws(EnvelopeFailure) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        var offset = 0
        while true {
            let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw EnvelopeFailure("read", path, errno: errno) }
            if count == 0 { return }
            offset += count
            try body(UnsafeRawBufferPointer(rebasing: buffer.prefix(count)))
        }
    }
}
