internal import Glibc
public import SerinCompression
public import SerinModel

/// Writes a tar stream of files and folders that any `tar` unpacks.
///
/// Each file is written with exactly the bytes it had when it was opened: a log that grows meanwhile is cut there, a file that
/// shrinks fails the stream. Devices, sockets and pipes are refused. Symbolic links are kept as links and never followed, so nothing
/// outside the listed paths is read. Names are bytes to the system, whatever encoding people meant, and go into the archive as they are.
public struct TarWriter {
    /// What was written.
    public struct Tally: Sendable, Hashable {
        /// Files.
        public var files = 0
        /// Folders.
        public var folders = 0
        /// Symbolic links.
        public var links = 0
        /// Bytes of files.
        public var bytes: Int64 = 0
    }

    /// What was written so far.
    public private(set) var tally = Tally()
    private let exclude: NamePatterns
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)

    private let countsOnly: Bool

    /// A writer.
    ///
    /// - Parameters:
    ///   - exclude: Names that are left out, with all below them.
    ///   - countsOnly: Whether files are opened and counted but not read.
    public init(exclude: [String] = [], countsOnly: Bool = false) {
        self.exclude = NamePatterns(exclude)
        self.countsOnly = countsOnly
    }

    /// Adds a file or folder with everything below it.
    ///
    /// - Parameter name: Its name in the archive, relative; empty for a folder whose content goes to the archive's root.
    public mutating func add(_ path: String, as name: String, to sink: ByteSink) throws(Failure) {
        let path = Array(path.utf8)
        var status = stat()
        guard lstat(terminated(path), &status) == 0 else { throw problem("read", path, errno) }
        try add(path, as: Array(name.utf8), status, sink)
    }

    /// Ends the archive.
    public func finish(to sink: ByteSink) throws(Failure) { try emit(TarEntry.end, sink) }

    private mutating func add(_ path: [UInt8], as name: [UInt8], _ status: stat, _ sink: ByteSink) throws(Failure) {
        switch status.st_mode & S_IFMT {
        case S_IFDIR: try addFolder(path, as: name, status, sink)
        case S_IFREG: try addFile(path, as: name, sink)
        case S_IFLNK: try addLink(path, as: name, status, sink)
        default:
            throw Failure(
                .invalid, "cannot back up \(shown(path)): it is a device, pipe or socket, not a file",
                hint: "leave it out with exclude")
        }
    }

    private func entry(_ name: [UInt8], _ kind: TarEntry.Kind, _ status: stat) -> TarEntry {
        TarEntry(
            name: name, kind: kind, size: kind == .file ? Int(status.st_size) : 0, mode: status.st_mode & 0o7777,
            modified: Int64(status.st_mtim.tv_sec), user: status.st_uid, group: status.st_gid)
    }

    private mutating func addFolder(_ path: [UInt8], as name: [UInt8], _ status: stat, _ sink: ByteSink) throws(Failure) {
        if !name.isEmpty {
            tally.folders += 1
            try emit(entry(name + [slash], .folder, status).header, sink)
        }
        for child in try nameBytes(in: path) where !exclude.matches(child) {
            let below = (path == [slash] ? [] : path) + [slash] + child
            var childStatus = stat()
            guard lstat(terminated(below), &childStatus) == 0 else {
                // Removed since the folder was listed, for this is its name to the byte: the folder is as it is now.
                if errno == ENOENT { continue }
                throw problem("read", below, errno)
            }
            try add(below, as: name.isEmpty ? child : name + [slash] + child, childStatus, sink)
        }
    }

    private mutating func addLink(_ path: [UInt8], as name: [UInt8], _ status: stat, _ sink: ByteSink) throws(Failure) {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(terminated(path), &target, target.count)
        guard count > 0 else { throw problem("read", path, errno) }
        tally.links += 1
        let bytes = target.prefix(count).map { UInt8(bitPattern: $0) }
        try emit(entry(name, .symbolicLink(target: bytes), status).header, sink)
    }

    private mutating func addFile(_ path: [UInt8], as name: [UInt8], _ sink: ByteSink) throws(Failure) {
        // Not blocking: what was a file when it was listed may be a pipe now.
        let file = open(terminated(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw problem("read", path, errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.conflict, "cannot back up \(shown(path)): it stopped being a file meanwhile")
        }
        let entry = entry(name, .file, status)
        try emit(entry.header, sink)
        var left = countsOnly ? 0 : entry.size
        while left > 0 {
            let wanted = min(left, buffer.count)
            let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, wanted) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw problem("read", path, errno) }
            guard count > 0 else {
                throw Failure(.conflict, "cannot back up \(shown(path)): it became shorter by \(left) bytes while it was read")
            }
            try buffer.span.withUnsafeBytes { (raw) throws(Failure) in
                try sink(UnsafeRawBufferPointer(rebasing: raw.prefix(count)))
            }
            left -= count
        }
        tally.files += 1
        tally.bytes += Int64(entry.size)
        let padding = TarEntry.padding(entry.size)
        if padding > 0, !countsOnly { try emit([UInt8](repeating: 0, count: padding), sink) }
    }

    private func emit(_ bytes: [UInt8], _ sink: ByteSink) throws(Failure) {
        try bytes.span.withUnsafeBytes { (raw) throws(Failure) in try sink(raw) }
    }
}

private let slash = UInt8(ascii: "/")

/// The names in a folder, sorted by their bytes so that the same content gives the same archive.
func nameBytes(in folder: [UInt8]) throws(Failure) -> [[UInt8]] {
    guard let handle = opendir(terminated(folder)) else { throw problem("list", folder, errno) }
    defer { closedir(handle) }
    var names: [[UInt8]] = []
    while true {
        errno = 0
        guard let entry = readdir(handle) else { break }
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
        if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
    }
    guard errno == 0 else { throw problem("list", folder, errno) }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
}

/// The names in a folder of Serin or a server's, which are UTF-8; others come with U+FFFD in them.
func names(in folder: String) throws(Failure) -> [String] {
    try nameBytes(in: Array(folder.utf8)).map { String(decoding: $0, as: UTF8.self) }
}

/// What the system said about a path.
func problem(_ verb: String, _ path: [UInt8], _ code: Int32) -> Failure { problem(verb, shown(path), code) }

/// What the system said about a path.
func problem(_ verb: String, _ path: String, _ code: Int32) -> Failure {
    let kind: FailureClass =
        [EACCES, EPERM, EROFS].contains(code) ? .denied : [ENOENT, ENOTDIR, ELOOP].contains(code) ? .invalid : .transient
    return Failure(kind, "cannot \(verb) \(path): \(String(cString: strerror(code)))")
}
