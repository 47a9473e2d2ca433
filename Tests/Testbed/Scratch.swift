internal import FoundationEssentials
internal import Glibc
internal import SerinLocks
public import SerinModel

/// A folder of its own for one test, removed when it is no longer needed, at the latest when the process ends. What a process that was
/// killed left is removed by the next one.
public struct Scratch: Sendable {
    /// Its absolute path.
    public let path: String

    /// Makes a new folder under `home`, open to every user (servers drop root).
    public init(_ name: String = "serin") throws(Failure) {
        path = try Scratch.folder("\(try shelf.get())/\(name)-")
    }

    fileprivate static func folder(_ beginning: String) throws(Failure) -> String {
        var template = Array("\(beginning)XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Failure(.transient, "cannot make a scratch folder: \(String(cString: strerror(errno)))")
        }
        let path = template.withUnsafeBufferPointer {
            String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        chmod(path, 0o755)
        return path
    }

    /// Where scratch folders are made: in memory where there is plenty of it, else `/tmp`. A Postgres cluster is a thousand files, and
    /// on ext4 files that are made soon after others were removed cost more than all that the tests do with them.
    public static let home: String = {
        let memory = "/dev/shm"
        var status = statvfs()
        // ST_NOEXEC, which glibc declares for C only: tests start programs that they copied.
        let noExec: UInt = 8
        guard statvfs(memory, &status) == 0, status.f_flag & noExec == 0, access(memory, W_OK) == 0,
            status.f_bavail * status.f_frsize >= 8 << 30, freeMemory >= 8 << 30
        else { return "/tmp" }
        return memory
    }()

    /// What the machine could give to programs, in bytes.
    private static var freeMemory: UInt64 {
        guard let text = FileManager.default.contents(atPath: "/proc/meminfo").map({ String(decoding: $0, as: UTF8.self) }),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") })
        else { return 0 }
        return (UInt64(line.filter(\.isNumber)) ?? 0) << 10
    }

    fileprivate static let shelfPrefix = "serin."

    /// Removes the folders of processes that were killed.
    public static func sweep(_ home: String) {
        // Whoever cannot list them has none to remove.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: home)) ?? [] where name.hasPrefix(shelfPrefix) {
            let lock = open("\(home)/\(name)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard lock >= 0 else { continue }
            // What cannot be removed is left for the next one.
            if flock(lock, LOCK_EX | LOCK_NB) == 0 { _ = try? FileManager.default.removeItem(atPath: "\(home)/\(name)") }
            close(lock)
        }
    }

    /// The path of something inside.
    public func file(_ name: String) -> String { path + "/" + name }

    /// Writes a file inside and returns its path.
    @discardableResult public func write(_ name: String, _ text: String, mode: UInt32 = 0o644) throws(Failure) -> String {
        let path = file(name)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw Failure(.transient, "cannot write \(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw Failure(.transient, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        return path
    }

    /// Removes the folder and everything in it.
    public func remove() {
        // A folder that cannot be removed is left for the system's own cleaning.
        _ = try? FileManager.default.removeItem(atPath: path)
    }
}

/// The folder of this process in which it makes the others. It is locked as long as the process runs.
private let shelf: Result<String, Failure> = {
    Scratch.sweep(Scratch.home)
    do throws(Failure) {
        while true {
            let path = try Scratch.folder("\(Scratch.home)/\(Scratch.shelfPrefix)")
            let lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            // Another process may have removed it before it was locked.
            if lock >= 0, flock(lock, LOCK_EX) == 0, access(path, F_OK) == 0 {
                atexit { clearShelf() }
                return .success(path)
            }
            close(lock)
        }
    } catch { return .failure(error) }
}()

/// Ends the servers that still run, which would write into it, and removes it.
private func clearShelf() {
    guard case .success(let path) = shelf else { return }
    for thread in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? [] {
        let children = FileManager.default.contents(atPath: "/proc/self/task/\(thread)/children") ?? Data()
        for child in String(decoding: children, as: UTF8.self).split(separator: " ") {
            if let pid = pid_t(child) { kill(pid, SIGQUIT) }
        }
    }
    for _ in 0..<40 {
        // Again while somebody still writes; what stays is removed by the next process.
        _ = try? FileManager.default.removeItem(atPath: path)
        if access(path, F_OK) != 0 { return }
        usleep(50_000)
    }
}

/// A TCP port of the loopback interface that was free a moment ago.
public func freePort() throws(Failure) -> Int {
    for _ in 0..<testPorts.count {
        let port =
            testPorts.lowerBound
            + nextPort.withLock { next in
                next = (next + 1) % testPorts.count
                return next
            }
        if canListen(port) { return port }
    }
    throw Failure(.transient, "no free port in \(testPorts)")
}

/// Below those that the kernel gives to outgoing connections: a server that is started again finds its port as it left it.
private let testPorts = 10_500..<32_500
/// Programs of tests side by side begin at different places.
private let nextPort = Locked(Int(getpid()) * 613 % testPorts.count)

private func canListen(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
