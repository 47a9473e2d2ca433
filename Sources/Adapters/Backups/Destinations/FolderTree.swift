internal import Glibc
internal import SerinCatalogue
internal import SerinModel

/// The files below a folder, reached part by part from an open root, so that no symbolic link can lead elsewhere.
struct FolderTree: Sendable {
    /// One file below the root.
    struct File: Sendable {
        /// From the root, with slashes.
        var path: String
        var size: Int64
        var modified: Instant
        /// Whether it is the beginning of an object.
        var isTemporary: Bool
    }

    /// What temporary names begin with; keys cannot.
    static let temporaryPrefix = ".serin-put-"

    /// An absolute path without a slash behind.
    let root: String

    init(root: String) {
        var root = root
        while root.count > 1, root.hasSuffix("/") { root.removeLast() }
        self.root = root
    }

    /// The last part of a key.
    func leaf(_ key: ObjectKey) -> String { key.parts.last ?? "" }

    /// The root, made for this user only when it is missing.
    func openRoot(makes: Bool) throws(Failure) -> Int32 {
        if makes, mkdir(root, 0o700) != 0, errno != EEXIST {
            throw Failure(errno == EACCES ? .denied : .invalid, "cannot make the folder \(root): \(systemWords())")
        }
        let descriptor = Glibc.open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw refusal("open the folder", root) }
        return descriptor
    }

    /// The folder that holds a key.
    func openFolder(of key: ObjectKey, makes: Bool) throws(Failure) -> Int32 {
        var folder = try openRoot(makes: makes)
        for part in key.parts.dropLast() {
            var made = false
            if makes {
                made = mkdirat(folder, part, 0o700) == 0
                guard made || errno == EEXIST else {
                    defer { close(folder) }
                    throw refusal("make the folder \(part) for", "\(key) in \(root)")
                }
            }
            let next = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            let code = errno
            if made { fsync(folder) }
            close(folder)
            errno = code
            guard next >= 0 else { throw refusal("open the folder \(part) of", "\(key) in \(root)") }
            folder = next
        }
        return folder
    }

    /// The file of a key; nil when there is none.
    func open(_ key: ObjectKey) throws(Failure) -> Int32? {
        let folder: Int32
        do throws(Failure) { folder = try openFolder(of: key, makes: false) } catch {
            if errno == ENOENT { return nil }
            throw error
        }
        defer { close(folder) }
        let descriptor = openat(folder, leaf(key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw refusal("open", "\(key) in \(root)") }
        return descriptor
    }

    /// What the file system says of an open object.
    func object(_ key: ObjectKey, _ descriptor: Int32) throws(Failure) -> StoredObject {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.invalid, "\(key) in \(root) is no regular file")
        }
        return StoredObject(key: key, size: Int64(status.st_size), modified: moment(status))
    }

    /// A new temporary file, locked as long as its descriptor is open.
    func makeTemporary(in folder: Int32) throws(Failure) -> (Int32, String) {
        let name = Self.temporaryPrefix + (try randomName())
        let descriptor = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw refusal("write in", root) }
        flock(descriptor, LOCK_EX | LOCK_NB)
        return (descriptor, name)
    }

    /// Makes the entries of a folder durable.
    func sync(_ folder: Int32) throws(Failure) {
        guard fsync(folder) == 0 else { throw Failure(.transient, "cannot sync a folder of \(root): \(systemWords())") }
    }

    /// Removes the file of a key, if there is one.
    func remove(_ key: ObjectKey) throws(Failure) {
        guard let file = try open(key) else { return }
        close(file)
        let folder = try openFolder(of: key, makes: false)
        defer { close(folder) }
        guard unlinkat(folder, leaf(key), 0) == 0 || errno == ENOENT else { throw refusal("delete", "\(key) in \(root)") }
        try sync(folder)
    }

    /// Removes a temporary file that no upload has open.
    func removeTemporary(_ path: String) throws(Failure) {
        let parts = path.parts(at: "/").map(String.init)
        let isOurs = parts.last?.hasPrefix(Self.temporaryPrefix) == true
        guard isOurs, !parts.contains(".."), let key = ObjectKey((parts.dropLast() + ["x"]).joined(separator: "/")) else {
            throw Failure(.invalid, "\(path) is no temporary file of an upload")
        }
        let folder = try openFolder(of: key, makes: false)
        defer { close(folder) }
        let name = parts.last ?? ""
        let descriptor = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return }
        guard descriptor >= 0 else { throw refusal("open", path) }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw Failure(.conflict, "the upload behind \(path) in \(root) is under way")
        }
        guard unlinkat(folder, name, 0) == 0 || errno == ENOENT else { throw refusal("delete", path) }
    }

    /// Whether the root is missing, or has nothing in it but what a new file system has.
    func isBare() throws(Failure) -> Bool {
        if access(root, F_OK) != 0, errno == ENOENT { return true }
        let descriptor = try openRoot(makes: false)
        guard let entries = fdopendir(descriptor) else {
            close(descriptor)
            throw Failure(.transient, "cannot list \(root): \(systemWords())")
        }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if ![".", "..", "lost+found"].contains(name) { return false }
        }
        return true
    }

    /// Every regular file below the root; nothing when there is no root yet.
    func walk() throws(Failure) -> [File] {
        if access(root, F_OK) != 0, errno == ENOENT { return [] }
        var files: [File] = []
        let descriptor = try openRoot(makes: false)
        try walk(descriptor, "", 0, &files)
        return files
    }

    private func walk(_ folder: Int32, _ prefix: String, _ depth: Int, _ files: inout [File]) throws(Failure) {
        guard let entries = fdopendir(folder) else {
            close(folder)
            throw Failure(.transient, "cannot list \(root)/\(prefix): \(systemWords())")
        }
        defer { closedir(entries) }
        guard depth < 64 else { throw Failure(.invalid, "\(root)/\(prefix) is more than 64 folders deep") }
        while let entry = try next(entries, prefix) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            // The last one is root's on a file system of its own.
            if name == "." || name == ".." || (depth == 0 && name == "lost+found") { continue }
            var status = stat()
            // One that has gone meanwhile is not listed.
            guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                let next = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                if next < 0, errno == ENOENT { continue }
                guard next >= 0 else { throw refusal("list", "\(root)/\(prefix)\(name)") }
                try walk(next, prefix + name + "/", depth + 1, &files)
            } else if status.st_mode & S_IFMT == S_IFREG {
                guard files.count < 1_000_000 else { throw Failure(.invalid, "there are more than a million files in \(root)") }
                files.append(
                    File(
                        path: prefix + name, size: Int64(status.st_size), modified: moment(status),
                        isTemporary: name.hasPrefix(Self.temporaryPrefix)))
            }
        }
    }

    /// The next entry; nil at the end. What cannot be listed is no end: backups would seem to be gone.
    private func next(_ entries: OpaquePointer, _ prefix: String) throws(Failure) -> UnsafeMutablePointer<dirent>? {
        errno = 0
        let entry = readdir(entries)
        if entry == nil, errno != 0 { throw refusal("list", "\(root)/\(prefix)") }
        return entry
    }

    private func moment(_ status: stat) -> Instant {
        Instant(secondsSince1970: Int64(status.st_mtim.tv_sec), milliseconds: Int64(status.st_mtim.tv_nsec) / 1_000_000)
    }

    private func refusal(_ action: String, _ what: String) -> Failure {
        let code = errno
        defer { errno = code }
        switch code {
        case ELOOP, ENOTDIR:
            return Failure(.invalid, "cannot \(action) \(what): a symbolic link or a file is in the way")
        case EACCES, EPERM, EROFS, ENOSPC, EDQUOT: return Failure(.denied, "cannot \(action) \(what): \(systemWords())")
        case _: return Failure(.transient, "cannot \(action) \(what): \(systemWords())")
        }
    }
}
