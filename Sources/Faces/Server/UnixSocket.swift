internal import Glibc
public import SerinModel

/// A unix socket on which a server listens.
public struct UnixSocket: Sendable, Hashable {
    /// The longest path the kernel takes, in bytes.
    public static let pathLimit = 107

    /// Where it is.
    public let path: String
    /// Its descriptor, listening.
    let descriptor: Int32
    /// The file's identity, so that only our own is removed later.
    private let inode: UInt64

    /// Listens at a path. A socket left behind by a process that ended is replaced; one that answers is not touched.
    ///
    /// - Parameters:
    ///   - path: Where, at most 107 bytes.
    ///   - group: A group whose members may connect too; without it only the owner may (mode 0600).
    ///   - root: The folder up to which the group is let through, the outermost one; without it only the socket's own. Above it the
    ///     rights are nobody's business but the computer's.
    public init(listeningAt path: String, group: String? = nil, within root: String? = nil) throws(Failure) {
        var address = try Self.address(path)
        try Self.removeStale(path, address: &address)
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure("cannot make a socket for \(path)", errno) }
        var succeeded = false
        var isBound = false
        defer {
            if !succeeded { close(descriptor) }
            if !succeeded, isBound { unlink(path) }
        }
        guard Self.call(bind, descriptor, &address) == 0 else { throw Self.failure("cannot listen at \(path)", errno) }
        isBound = true
        // Nobody can connect before `listen`, so nobody gets in before the mode is right.
        guard chmod(path, group == nil ? 0o600 : 0o660) == 0 else { throw Self.failure("cannot protect \(path)", errno) }
        if let group { try Self.give(path, to: group, within: root) }
        guard listen(descriptor, 128) == 0 else { throw Self.failure("cannot listen at \(path)", errno) }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw Self.failure("cannot read \(path)", errno) }
        succeeded = true
        self.path = path
        self.descriptor = descriptor
        inode = UInt64(status.st_ino)
    }

    /// Checks what can be checked before anything is made: the path's length, and that there is such a group.
    public static func check(_ path: String, group: String?) throws(Failure) {
        _ = try address(path)
        if let group { _ = try identifier(of: group, for: path) }
    }

    /// Removes the file, when it is still this socket's.
    func unlinkFile() {
        var status = stat()
        if lstat(path, &status) == 0, UInt64(status.st_ino) == inode { unlink(path) }
    }

    /// Whether something listens at a path and takes a connection.
    public static func answers(at path: String) -> Bool {
        // A path that is too long answers nobody.
        guard var address = try? Self.address(path) else { return false }
        return connectError(&address) == 0
    }

    /// Whether whoever listened at a path is gone without removing it: it was killed.
    public static func isAbandoned(_ path: String) -> Bool {
        guard var address = try? Self.address(path) else { return false }
        return connectError(&address) == ECONNREFUSED
    }

    /// Why nobody can be asked at a path although someone may listen there: the owner of what this user may not pass; nil when the
    /// rights are not in the way.
    public static func deniedBy(_ path: String) -> UInt32? {
        guard var address = try? Self.address(path), connectError(&address) == EACCES else { return nil }
        var place = path
        var status = stat()
        // What is inside a closed folder cannot be looked at: then the folder itself is in the way.
        while lstat(place, &status) != 0 {
            guard let slash = place.lastIndex(of: "/"), slash != place.startIndex else { return nil }
            place = String(place[..<slash])
        }
        return status.st_uid
    }

    private static func address(_ path: String) throws(Failure) -> sockaddr_un {
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= pathLimit, !bytes.contains(0) else {
            throw Failure(
                .invalid,
                "cannot use the socket path \(path): it has \(bytes.count) bytes, the kernel takes at most \(pathLimit)",
                hint: "choose a shorter state folder with --state or SERIN_STATE")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    private static func call(
        _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ descriptor: Int32, _ address: inout sockaddr_un
    ) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                function(descriptor, generic, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// The error of trying to connect, 0 when it worked.
    private static func connectError(_ address: inout sockaddr_un) -> Int32 {
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        return call(connect, descriptor, &address) == 0 ? 0 : errno
    }

    private static func removeStale(_ path: String, address: inout sockaddr_un) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure(
                .conflict, "cannot listen at \(path): a file that is no socket is there", hint: "remove it or choose another path"
            )
        }
        let code = connectError(&address)
        // Only a refusal proves that nobody listens; a full queue (EAGAIN) or a lack of rights does not.
        guard code == ECONNREFUSED else {
            throw Failure(
                .conflict, "cannot listen at \(path): another process answers there", hint: "ask it with serin status, or end it")
        }
        guard unlink(path) == 0 else { throw failure("cannot remove the old socket \(path)", errno) }
    }

    private static func identifier(of group: String, for path: String) throws(Failure) -> gid_t {
        var entry = group_t()
        var found: UnsafeMutablePointer<group_t>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getgrnam_r(group, &entry, &buffer, buffer.count, &found) == 0, found != nil else {
            throw Failure(.invalid, "cannot give \(path) to the group '\(group)': there is no such group")
        }
        return entry.gr_gid
    }

    private static func give(_ path: String, to group: String, within root: String?) throws(Failure) {
        let number = try identifier(of: group, for: path)
        guard chown(path, uid_t.max, number) == 0 else {
            throw failure("cannot give \(path) to the group '\(group)'", errno)
        }
        try letThrough(path, number, within: root)
    }

    /// Lets a group pass through the folders above a socket that are closed to everyone but this user: to pass, not to list.
    private static func letThrough(_ path: String, _ group: gid_t, within root: String?) throws(Failure) {
        var folder = path
        var isOwn = true
        while let slash = folder.lastIndex(of: "/"), slash != folder.startIndex {
            folder = String(folder[..<slash])
            guard isOwn || root.map({ folder == $0 || folder.hasPrefix($0 + "/") }) ?? false else { return }
            isOwn = false
            var status = stat()
            guard stat(folder, &status) == 0, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 || status.st_gid == group,
                status.st_mode & 0o001 == 0
            else { return }
            guard chown(folder, uid_t.max, group) == 0, chmod(folder, (status.st_mode & 0o7700) | 0o010) == 0 else {
                throw failure("cannot let a group through \(folder)", errno)
            }
        }
    }

    private static func failure(_ text: String, _ code: Int32) -> Failure {
        Failure(.transient, "\(text): \(String(cString: strerror(code)))")
    }
}

private typealias group_t = Glibc.group
