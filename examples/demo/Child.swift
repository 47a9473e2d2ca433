import CSerinProcess
import Glibc
import SerinModel

/// Starts a program that writes to this process' own output and ends when this process does.
///
/// - Returns: Its process id.
func startVisibly(_ path: String, _ arguments: [String], environment: [String: String] = [:], isQuiet: Bool = false)
    throws(Failure) -> Int32
{
    var variables = environment
    if variables["PATH"] == nil { variables["PATH"] = "/usr/local/bin:/usr/bin:/bin" }
    let command = ["setpriv", "--pdeathsig", "TERM", "--", path] + arguments
    var argv = command.map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
    var envp =
        variables.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") as UnsafeMutablePointer<CChar>? } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(null) }
    var pid: pid_t = 0
    let code = serin_spawn(
        "setpriv", &argv, &envp, nil, null, isQuiet ? null : STDOUT_FILENO, isQuiet ? null : STDOUT_FILENO, &pid)
    guard code == 0 else { throw Failure(.invalid, "cannot start \(path): \(String(cString: strerror(code)))") }
    return pid
}

/// Waits for a program; its exit status, or 128 and the signal that ended it.
func end(of pid: Int32) async throws -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, WNOHANG) == 0 { try await Task.sleep(for: .milliseconds(50)) }
    let signal = status & 0x7F
    return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
}

/// Runs a program to its end.
func runVisibly(_ path: String, _ arguments: [String], environment: [String: String] = [:], isQuiet: Bool = false) async throws
    -> Int32
{
    try await end(of: try startVisibly(path, arguments, environment: environment, isQuiet: isQuiet))
}
