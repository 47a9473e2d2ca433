internal import CSerinProcess
internal import FoundationEssentials
internal import Glibc
internal import SerinLocks
public import SerinModel

/// A real server started for a test: its output goes to a file, it is stopped by its pid, and it never outlives the test's process.
public final class ServerProcess: Sendable {
    /// Its process id, which is also its process group.
    public let pid: Int32
    /// The file with its output.
    public let log: String
    /// Its wait status once it has ended.
    private let ended = Locked<Int32?>(nil)

    /// Starts a program. With `user`, it runs as that unprivileged user when the caller is root.
    public init(
        _ path: String, _ arguments: [String], environment: [String: String] = [:], user: String? = nil, directory: String? = nil,
        log: String
    ) throws(Failure) {
        // The kernel ends the server when this process ends, however it ends. It forgets to when the user changes afterwards.
        var command = ["setpriv", "--pdeathsig", "TERM", "--", path] + arguments
        if let user, geteuid() == 0 {
            command = ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--"] + command
        }
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        defer {
            close(null)
            close(output)
        }
        var full = environment
        if full["PATH"] == nil { full["PATH"] = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" }
        let launch = Launch(command: command, environment: full, directory: directory, input: null, output: output)
        let (code, started) = launch.start()
        guard code == 0 else { throw Failure(.invalid, "cannot start \(path): \(String(cString: strerror(code)))") }
        pid = started
        self.log = log
    }

    /// Sends a signal to the server alone.
    public func signal(_ number: Int32) { kill(pid, number) }

    /// Stops the server without ending it; returns when every thread of it has stopped, as each does so only once it has the processor.
    public func freeze() {
        kill(pid, SIGSTOP)
        let clock = ContinuousClock()
        let limit = clock.now + .seconds(5)
        while isRunning, !isFrozen, clock.now < limit { usleep(1_000) }
    }

    private var isFrozen: Bool {
        // A process that is gone has no threads left to stop.
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        return threads.allSatisfy { thread in
            // A thread that has ended meanwhile cannot be read and runs no more.
            guard let status = try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/task/\(thread)/stat")) else {
                return true
            }
            // The state follows the name, which is in parentheses.
            let text = String(decoding: status, as: UTF8.self)
            return text[(text.lastIndex(of: ")") ?? text.startIndex)...].dropFirst(2).first == "T"
        }
    }

    /// Whether it still runs.
    public var isRunning: Bool {
        ended.withLock { ended in
            if ended == nil {
                var status: Int32 = 0
                if waitpid(pid, &status, WNOHANG) != 0 { ended = status }
            }
            return ended == nil
        }
    }

    /// Its exit status, or 128 and the number of the signal that ended it; nil while it runs.
    public var exitStatus: Int32? {
        guard !isRunning else { return nil }
        return ended.withLock { $0 }.map { $0 & 0x7F == 0 ? ($0 >> 8) & 0xFF : 128 + ($0 & 0x7F) }
    }

    /// Ends the server: TERM (or the given signal) to it, KILL to its group after the grace period; returns when it is gone.
    public func stop(signal: Int32 = 15, grace: Duration = .seconds(5)) {
        guard isRunning else { return }
        kill(pid, SIGCONT)
        kill(pid, signal)
        let clock = ContinuousClock()
        let limit = clock.now + .milliseconds(grace.milliseconds)
        while isRunning, clock.now < limit { usleep(5_000) }
        if isRunning {
            kill(-pid, SIGKILL)
            while isRunning { usleep(5_000) }
        }
    }

    /// The end of its output, for the message of a failed test.
    public func logTail(_ bytes: Int = 2000) -> String {
        let descriptor = open(log, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        lseek(descriptor, max(0, size - bytes), SEEK_SET)
        var buffer = [UInt8](repeating: 0, count: bytes)
        let count = read(descriptor, &buffer, bytes)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    deinit { stop(grace: .seconds(1)) }
}

/// Repeats a question until its answer is yes; a failure when the deadline passes first.
public func waitUntil(
    _ what: @autoclosure () -> String, within deadline: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let limit = clock.now + .milliseconds(deadline.milliseconds)
    while true {
        if try await condition() { return }
        guard clock.now < limit else { throw Failure(.transient, "\(what()) did not happen within \(deadline)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}
