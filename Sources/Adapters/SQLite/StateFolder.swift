internal import Glibc
public import SerinModel
public import SerinPorts

/// The folder that holds everything Serin keeps for one service: `$STATE/<service>/`, readable by its owner alone.
public struct StateFolder: Sendable, Hashable {
    /// Its path.
    public let path: String
    /// The service.
    public let service: ServiceName

    /// The folder of a service under a state folder. Nothing is made yet.
    public init(under root: String, service: ServiceName) {
        path = root.hasSuffix("/") ? root + service.description : root + "/" + service.description
        self.service = service
    }

    /// The journal's file.
    public var journal: String { path + "/journal.sqlite" }
    /// The file that keeps disk space back.
    public var reserve: String { path + "/reserve" }
    /// The file that carries the service's lock and the name of its holder.
    public var lock: String { path + "/lock" }
    /// The unix socket of the controller in charge.
    public var socket: String { path + "/serin.sock" }
    /// The file whose presence asks for a halt.
    public var halt: String { path + "/halt" }
    /// The watchdog's note that it lowered the weight.
    public var watchdogMark: String { path + "/watchdog" }

    /// Makes the folder and those above it that are missing, and closes it to everyone but its owner.
    public func create() throws(StoreError) {
        var partial = ""
        for component in path.split(separator: "/", omittingEmptySubsequences: false) {
            partial += component
            if !partial.isEmpty, mkdir(partial, 0o700) != 0, errno != EEXIST, errno != EISDIR {
                throw .unavailable("cannot make the state folder \(partial): \(systemMessage())")
            }
            partial += "/"
        }
        var status = stat()
        guard stat(path, &status) == 0 else { throw .unavailable("cannot read the state folder \(path): \(systemMessage())") }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .unavailable("cannot keep state in \(path): it is no folder")
        }
        // Root could, but its owner could not use what root would leave there.
        guard status.st_uid == geteuid() else {
            let owner = userName(status.st_uid)
            throw .unavailable(
                "cannot keep state in \(path): it belongs to \(owner), and this is \(userName(geteuid()))\n"
                    + "hint: run it as \(owner), or name another state folder with --state or SERIN_STATE")
        }
        if status.st_mode & 0o777 != 0o700, chmod(path, 0o700) != 0 {
            throw .unavailable("cannot close the state folder \(path) to others: \(systemMessage())")
        }
    }
}

/// The words for the last failed system call.
func systemMessage(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

/// Makes an empty file that only its owner can open, so that SQLite finds it with those rights. What root makes belongs to the owner of
/// its folder, as do the files that SQLite makes beside it. Nothing else in this process may open the file: closing a second descriptor
/// would give up SQLite's lock.
func makePrivateFile(_ path: String, called name: String) throws(StoreError) {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    if descriptor >= 0 {
        defer { Glibc.close(descriptor) }
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard giveToOwner(descriptor, of: folder) else {
            let words = systemMessage()
            unlink(path)
            throw .unavailable("cannot give the \(name) \(path) to the owner of its folder: \(words)")
        }
    } else if errno != EEXIST || chmod(path, 0o600) != 0 {
        let words = systemMessage()
        throw othersFile(path, called: name)
            ?? .unavailable("cannot make the \(name) \(path), or close it to others: \(words)")
    }
}

/// What is said of a file that belongs to another user; nil where it does not.
func othersFile(_ path: String, called name: String) -> StoreError? {
    stranger(owning: path).map { user in
        .unavailable(
            "cannot use the \(name) \(path): it belongs to \(userName(user)), and this is \(userName(geteuid()))\n"
                + "hint: run it as \(userName(user)), or name another state folder with --state or SERIN_STATE")
    }
}
