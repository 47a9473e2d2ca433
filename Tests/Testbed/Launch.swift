internal import CSerinProcess
internal import Glibc
internal import SerinLocks

/// Starts a program from a thread that lives as long as the program.
///
/// The kernel sends the parent-death signal when the *thread* that started a program ends, and threads of the cooperative pool end
/// when they are idle for some seconds.
final class Launch: Sendable {
    private let command: [String]
    private let environment: [String: String]
    private let directory: String?
    private let input: Int32
    private let output: Int32
    private let result = Locked<(code: Int32, pid: pid_t)?>(nil)

    init(command: [String], environment: [String: String], directory: String?, input: Int32, output: Int32) {
        self.command = command
        self.environment = environment
        self.directory = directory
        self.input = input
        self.output = output
    }

    /// Returns an errno, or 0 and the process.
    func start() -> (code: Int32, pid: pid_t) {
        let code = startThread { self.run() }
        guard code == 0 else { return (code, 0) }
        // A start takes about a millisecond.
        while true {
            if let result = result.withLock({ $0 }) { return result }
            usleep(200)
        }
    }

    private func run() {
        var argv = command.map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
        var envp =
            environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") as UnsafeMutablePointer<CChar>? } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let code = serin_spawn(command[0], &argv, &envp, directory, input, output, output, &pid)
        result.withLock { $0 = (code, pid) }
        guard code == 0 else { return }
        // Leaves the process to be waited for by its owner.
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    }
}
