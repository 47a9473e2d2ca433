internal import CSerinProcess
internal import Glibc
internal import SerinLocks
public import SerinModel

extension Program {
    /// Starts the program in a process group of its own and does not wait for it: it outlives this process. Its output is appended
    /// to a file; `input`, `deadline`, `grace` and `outputLimit` do not apply.
    ///
    /// - Parameters:
    ///   - log: The file's path.
    ///   - line: A descriptor that becomes its standard input, which is `/dev/null` without one. The caller's stays open.
    /// - Returns: Its process id.
    @discardableResult public func startDetached(log: String, line: Int32? = nil) throws(Failure) -> Int32 {
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        defer {
            close(null)
            close(output)
        }
        guard null >= 0, output >= 0 else {
            throw Failure(.transient, "cannot start \(path): \(log): \(String(cString: strerror(errno)))")
        }
        var argv = ([path] + arguments).map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
        var envp =
            environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") as UnsafeMutablePointer<CChar>? } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let code = serin_spawn(path, &argv, &envp, directory, line ?? null, output, output, &pid)
        guard code == 0 else {
            throw Failure(
                code == ENOENT || code == EACCES ? .invalid : .transient,
                "cannot start \(path): \(String(cString: strerror(code)))")
        }
        // Someone has to collect its exit status while this process lives, or it stays in the process table.
        let pidfd = serin_pidfd_open(pid)
        if pidfd >= 0 {
            onNewThread {
                var status: Int32 = 0
                var signal: Int32 = 0
                _ = serin_wait_pidfd(pidfd, &status, &signal)
                close(pidfd)
            }
        }
        return pid
    }
}
