internal import Glibc
public import SerinCompression
public import SerinModel

/// Writes a tar stream of files and folders that any `tar` unpacks.
///
/// Each file is written with exactly the bytes it had when it was opened: a log that grows meanwhile is cut there, a file that
/// shrinks fails the stream. Devices, sockets and pipes are refused. Symbolic links are kept as links and never followed, so nothing
/// outside the listed paths is read.
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
        var status = stat()
        guard lstat(path, &status) == 0 else { throw problem("read", path, errno) }
        try add(path, as: name, status, sink)
    }

    /// Ends the archive.
    public func finish(to sink: ByteSink) throws(Failure) { try emit(TarEntry.end, sink) }

    private mutating func add(_ path: String, as name: String, _ status: stat, _ sink: ByteSink) throws(Failure) {
        switch status.st_mode & S_IFMT {
        case S_IFDIR: try addFolder(path, as: name, status, sink)
        case S_IFREG: try addFile(path, as: name, sink)
        case S_IFLNK: try addLink(path, as: name, status, sink)
        default:
            throw Failure(
                .invalid, "cannot back up \(path): it is a device, pipe or socket, not a file",
                hint: "leave it out with exclude")
        }
    }

    private func entry(_ name: String, _ kind: TarEntry.Kind, _ status: stat) -> TarEntry {
        TarEntry(
            name: name, kind: kind, size: kind == .file ? Int(status.st_size) : 0, mode: status.st_mode & 0o7777,
            modified: Int64(status.st_mtim.tv_sec), user: status.st_uid, group: status.st_gid)
    }

    private mutating func addFolder(_ path: String, as name: String, _ status: stat, _ sink: ByteSink) throws(Failure) {
        if !name.isEmpty {
            tally.folders += 1
            try emit(entry(name + "/", .folder, status).header, sink)
        }
        for child in try names(in: path) where !exclude.matches(child) {
            let below = path == "/" ? "/\(child)" : "\(path)/\(child)"
            var childStatus = stat()
            guard lstat(below, &childStatus) == 0 else {
                // Removed since the folder was listed: the folder is as it is now.
                if errno == ENOENT { continue }
                throw problem("read", below, errno)
            }
            try add(below, as: name.isEmpty ? child : "\(name)/\(child)", childStatus, sink)
        }
    }

    private mutating func addLink(_ path: String, as name: String, _ status: stat, _ sink: ByteSink) throws(Failure) {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &target, target.count)
        guard count > 0 else { throw problem("read", path, errno) }
        tally.links += 1
        try emit(
            entry(
                name, .symbolicLink(target: String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)),
                status
            ).header,
            sink)
    }

    private mutating func addFile(_ path: String, as name: String, _ sink: ByteSink) throws(Failure) {
        // Not blocking: what was a file when it was listed may be a pipe now.
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw problem("read", path, errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.conflict, "cannot back up \(path): it stopped being a file meanwhile")
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
                throw Failure(.conflict, "cannot back up \(path): it became shorter by \(left) bytes while it was read")
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

/// The names in a folder, sorted by their bytes so that the same content gives the same archive.
func names(in folder: String) throws(Failure) -> [String] {
    guard let handle = opendir(folder) else { throw problem("list", folder, errno) }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

/// What the system said about a path.
func problem(_ verb: String, _ path: String, _ code: Int32) -> Failure {
    let kind: FailureClass =
        [EACCES, EPERM, EROFS].contains(code) ? .denied : [ENOENT, ENOTDIR, ELOOP].contains(code) ? .invalid : .transient
    return Failure(kind, "cannot \(verb) \(path): \(String(cString: strerror(code)))")
}
