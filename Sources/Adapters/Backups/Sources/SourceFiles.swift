internal import Glibc
internal import SerinModel

/// Removes a folder with everything in it, as far as that can be done.
func removeTree(_ path: String) { removeTree(Array(path.utf8)) }

private func removeTree(_ path: [UInt8]) {
    // Of a folder it says so; a link to one is removed as a link. What cannot be removed is in a private folder that the next run finds.
    guard unlink(terminated(path)) != 0, errno == EISDIR else { return }
    removeContent(path)
    rmdir(terminated(path))
}

/// Removes everything in a folder, whatever its names.
func removeContent(_ folder: String) { removeContent(Array(folder.utf8)) }

private func removeContent(_ folder: [UInt8]) {
    // What cannot be listed was not made here.
    for name in (try? nameBytes(in: folder)) ?? [] { removeTree(folder + [UInt8(ascii: "/")] + name) }
}

/// Makes a user the owner of a file or folder.
func give(_ path: String, to account: String) throws(Failure) {
    guard let entry = getpwnam(account) else { throw Failure(.invalid, "there is no user \(account)") }
    guard lchown(path, entry.pointee.pw_uid, entry.pointee.pw_gid) == 0 else { throw problem("hand over", path, errno) }
}

/// Reads a file, which is small, as a whole.
func bytes(of path: String, limit: Int) throws(Failure) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else { throw problem("read", path, errno) }
    defer { close(file) }
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(file, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw problem("read", path, errno) }
        if count == 0 { return result }
        result += buffer.prefix(count)
        guard result.count <= limit else { throw Failure(.invalid, "cannot read \(path): it is longer than \(limit) bytes") }
    }
}

/// Writes a new private file.
func write(_ text: String, to path: String, mode: mode_t = 0o600, account: String? = nil) throws(Failure) {
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard file >= 0 else { throw problem("write", path, errno) }
    defer { close(file) }
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
        let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw problem("write", path, count < 0 ? errno : EIO) }
        written += count
    }
    if let account { try give(path, to: account) }
}

/// Gives a file's bytes, piece by piece.
func readPieces(of path: String, _ sink: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else { throw problem("read", path, errno) }
    defer { close(file) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { buffer.deallocate() }
    while true {
        let count = read(file, buffer.baseAddress, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw problem("read", path, errno) }
        if count == 0 { return }
        try sink(UnsafeRawBufferPointer(rebasing: buffer.prefix(count)))
    }
}

/// Fails when a folder's file system has less room than this.
func requireSpace(_ bytes: Int64, in folder: String, for purpose: String) throws(Failure) {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else { throw problem("look at", folder, errno) }
    let free = Int64(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    guard free >= bytes else {
        throw Failure(
            .transient, "\(purpose) needs about \(bytes) bytes in \(folder), which has \(free) left",
            hint: "make room, or choose another folder for temporary files")
    }
}

/// Copies a file into a new private one.
func copyFile(_ path: String, to other: String) throws(Failure) {
    let file = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw problem("write", other, errno) }
    defer { close(file) }
    try readPieces(of: path) { (bytes) throws(Failure) in
        var rest = bytes
        while rest.count > 0 {
            let count = Glibc.write(file, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw problem("write", other, count < 0 ? errno : EIO) }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }
}

/// Whether there is a program at a path.
func isProgram(_ path: String) -> Bool { access(path, X_OK) == 0 }
