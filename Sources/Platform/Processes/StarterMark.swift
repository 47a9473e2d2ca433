internal import Glibc

/// Names a process by the namespace of process ids, its process id and its start time, so that another process that was given the
/// same number later is not taken for it. What a process started or made bears its mark, and can be told when it is gone.
public enum StarterMark {
    /// The variable of the environment that tells a program its starter.
    static let variable = "SERIN_STARTER"

    /// This process, in digits and dots; nil where `/proc` cannot be read.
    public static let current: String? = {
        guard let space = namespace, let fields = ProcessFields(getpid()) else { return nil }
        return "\(space).\(getpid()).\(fields.startTicks)"
    }()

    /// Whether the process of a mark is gone. One of another namespace cannot be looked for, and is taken to be there.
    public static func isGone(_ mark: String) -> Bool {
        let parts = mark.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let space = namespace, parts[0] == space, let pid = pid_t(parts[1]), pid > 0 else { return false }
        guard let fields = ProcessFields(pid) else { return kill(pid, 0) != 0 && errno == ESRCH }
        return fields.hasEnded || fields.startTicks != parts[2]
    }

    /// Whether an entry of an environment names a starter that is gone.
    static func isOrphan(environmentEntry entry: [UInt8]) -> Bool {
        let prefix = Array("\(variable)=".utf8)
        return entry.starts(with: prefix) && isGone(String(decoding: entry.dropFirst(prefix.count), as: UTF8.self))
    }

    private static var namespace: String? {
        var status = stat()
        return stat("/proc/self/ns/pid", &status) == 0 ? "\(status.st_ino)" : nil
    }
}

/// What proc(5) tells in a process' `stat` behind its name, which may hold anything.
struct ProcessFields {
    private let fields: [String]

    /// Nil when there is no such process, or it cannot be read.
    init?(_ pid: pid_t) {
        guard let stat = fileContents("/proc/\(pid)/stat"), let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        fields = stat[(end + 1)...].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        guard fields.count > 19 else { return nil }
    }

    /// Whether only its exit status is left of it.
    var hasEnded: Bool { ["Z", "X"].contains(fields[0]) }
    var group: String { fields[2] }
    var session: String { fields[3] }
    /// Field 22: ticks of the clock from the boot to its start.
    var startTicks: String { fields[19] }
}

/// A file of `/proc`; nil when it is gone or not ours to read.
func fileContents(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { return nil }
        if count == 0 { return bytes }
        bytes += buffer.prefix(count)
    }
}
