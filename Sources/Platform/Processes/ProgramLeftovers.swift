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
        let entry = Array("\(variable)=\(value)".utf8)
        return await end(grace: grace) { $0 == entry }
    }

    /// Ends, in the same way, the programs of streams whose starter is gone. A `ProgramStream` ends its program with itself; only a
    /// starter that was killed leaves one behind, which may go on for hours where it does not notice.
    ///
    /// - Returns: The process ids of those that even then have not ended.
    public static func endOrphans(grace: Duration = .seconds(2)) async -> [Int32] {
        await end(grace: grace) { StarterMark.isOrphan(environmentEntry: $0) }
    }

    private static func end(grace: Duration, _ isMeant: @escaping @Sendable ([UInt8]) -> Bool) async -> [Int32] {
        await withCheckedContinuation { continuation in
            onNewThread {
                continuation.resume(returning: leaders(isMeant).filter { !end($0, isMeant, grace: grace) })
            }
        }
    }

    /// Whether it has ended.
    private static func end(_ pid: pid_t, _ isMeant: ([UInt8]) -> Bool, grace: Duration) -> Bool {
        let pidfd = serin_pidfd_open(pid)
        guard pidfd >= 0 else { return errno == ESRCH }
        defer { close(pidfd) }
        // From here on the number cannot be another process', unless it was already.
        guard isLeader(pid, isMeant) else { return true }
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

    private static func leaders(_ isMeant: ([UInt8]) -> Bool) -> [pid_t] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var found: [pid_t] = []
        while let item = readdir(folder) {
            // In place: an entry ends with its name, and a copy of the whole field would read beyond the buffer.
            let name = withUnsafeBytes(of: &item.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let pid = pid_t(name), isLeader(pid, isMeant) { found.append(pid) }
        }
        return found
    }

    /// Whether a process lives, leads a group but no session, and was started with a variable that is meant.
    private static func isLeader(_ pid: pid_t, _ isMeant: ([UInt8]) -> Bool) -> Bool {
        guard let fields = ProcessFields(pid), !fields.hasEnded, fields.group == "\(pid)", fields.session != "\(pid)",
            let environment = fileContents("/proc/\(pid)/environ")
        else { return false }
        return environment.split(separator: 0).contains { isMeant(Array($0)) }
    }
}
