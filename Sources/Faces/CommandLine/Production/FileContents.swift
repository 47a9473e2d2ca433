internal import Glibc
internal import SerinModel

/// Reads a small regular file; nil when there is none. Nothing that has to be waited for is opened: no pipe, no device.
func contents(ofFile path: String, limit: Int) throws(Failure) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else {
        if errno == ENOENT { return nil }
        throw Failure(errno == EACCES ? .denied : .transient, "cannot open \(path): \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        throw Failure(.denied, "cannot read \(path): it is no regular file")
    }
    guard status.st_size <= limit else {
        throw Failure(.invalid, "cannot read \(path): it has \(status.st_size) bytes, expected at most \(limit)")
    }
    var bytes = [UInt8](repeating: 0, count: limit)
    var length = 0
    while length < limit {
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress?.advanced(by: length), limit - length) }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw Failure(.transient, "cannot read \(path): \(String(cString: strerror(errno)))") }
        if count == 0 { break }
        length += count
    }
    return Array(bytes.prefix(length))
}
