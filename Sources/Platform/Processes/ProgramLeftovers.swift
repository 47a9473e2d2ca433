internal import CSerinProcess
internal import Glibc
internal import SerinLocks
public import SerinModel

/// Programs that an earlier process of Serin started and did not live to end. They are known by one variable of their environment.
///
/// Only a program itself counts, which `Program` made the leader of a process group in the session of its starter. What it started
/// in turn and left behind, such as a server in a session of its own, is no program that is still at work.
public enum ProgramLeftovers {
    /// Asks them and their process groups to end (TERM), and ends them (KILL) after the grace period.
    ///
    /// - Returns: The process ids of those that even then have not ended, as in an uninterruptible read.
    public static func end(variable: String, value: String, grace: Duration = .seconds(2)) async -> [Int32] {
        await withCheckedContinuation { continuation in
            onNewThread {
                let entry = Array("\(variable)=\(value)".utf8)
                continuation.resume(returning: leaders(with: entry).filter { !end($0, with: entry, grace: grace) })
            }
        }
    }

    /// Whether it has ended.
    private static func end(_ pid: pid_t, with entry: [UInt8], grace: Duration) -> Bool {
        let pidfd = serin_pidfd_open(pid)
        guard pidfd >= 0 else { return errno == ESRCH }
        defer { close(pidfd) }
        // From here on the number cannot be another process', unless it was already.
        guard isLeader(pid, with: entry) else { return true }
        kill(-pid, SIGTERM)
        // A stopped program gets the signal only when it goes on.
        kill(-pid, SIGCONT)
        _ = hasEnded(pidfd, within: grace)
        kill(-pid, SIGKILL)
        return hasEnded(pidfd, within: grace)
    }

    private static func hasEnded(_ pidfd: Int32, within limit: Duration) -> Bool {
        let end = ContinuousClock.now + .milliseconds(limit.milliseconds)
        while true {
            let left = ContinuousClock.now.duration(to: end).components
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
            var polled = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            let count = poll(&polled, 1, Int32(clamping: max(0, milliseconds)))
            if count > 0 { return true }
            if count == 0 { return false }
        }
    }

    private static func leaders(with entry: [UInt8]) -> [pid_t] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var found: [pid_t] = []
        while let item = readdir(folder) {
            let name = withUnsafeBytes(of: item.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let pid = pid_t(name), isLeader(pid, with: entry) { found.append(pid) }
        }
        return found
    }

    /// Whether a process lives, leads a group but no session, and was started with this variable.
    private static func isLeader(_ pid: pid_t, with entry: [UInt8]) -> Bool {
        guard let stat = contents("/proc/\(pid)/stat"), let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return false }
        // proc(5): after the name come state, parent, group and session.
        let fields = stat[(end + 1)...].split(separator: UInt8(ascii: " ")).prefix(4).map { String(decoding: $0, as: UTF8.self) }
        guard fields.count == 4, !["Z", "X"].contains(fields[0]), fields[2] == "\(pid)", fields[3] != "\(pid)",
            let environment = contents("/proc/\(pid)/environ")
        else { return false }
        return environment.split(separator: 0).contains { $0.elementsEqual(entry) }
    }

    /// A file of `/proc`; nil when it is gone or not ours to read.
    private static func contents(_ path: String) -> [UInt8]? {
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
}
