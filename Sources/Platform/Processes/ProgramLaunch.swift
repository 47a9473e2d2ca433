internal import CSerinProcess
internal import Glibc
internal import SerinModel

/// A program that was started: its process and our ends of its pipes, -1 where there is none.
struct RunningProgram {
    let pid: pid_t
    let pidfd: Int32
    /// What is kept to a limit: standard output and error together, or errors alone.
    let kept: Int32
    /// Standard output, when it is read apart.
    let data: Int32
    /// Its standard input.
    let input: Int32
}

/// Starts a program with pipes to it, on the calling thread.
struct ProgramLaunch {
    /// Where its standard output goes.
    enum Wiring {
        case outputTogether
        case outputApart
    }

    let program: Program

    func start(_ wiring: Wiring) throws(Failure) -> RunningProgram {
        let path = try ProgramPath(program).resolve()
        var pipes = Pipes()
        defer { pipes.closeAll() }
        let kept = try pipe(&pipes)
        let input = try pipe(&pipes)
        let data = wiring == .outputApart ? try pipe(&pipes) : nil
        var pid: pid_t = 0
        let code = spawn(path, in: input.reading, out: (data ?? kept).writing, err: kept.writing, pid: &pid)
        guard code == 0 else { throw failure(code) }
        let pidfd = serin_pidfd_open(pid)
        guard pidfd >= 0 else {
            let code = errno
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            throw failure(code)
        }
        for descriptor in [kept.reading, input.writing] + (data.map { [$0.reading] } ?? []) { pipes.keep(descriptor) }
        return RunningProgram(
            pid: pid, pidfd: pidfd, kept: kept.reading, data: data?.reading ?? -1, input: input.writing)
    }

    private func pipe(_ pipes: inout Pipes) throws(Failure) -> (reading: Int32, writing: Int32) {
        guard let ends = pipes.make() else { throw failure(errno) }
        return ends
    }

    private func failure(_ code: Int32) -> Failure {
        let isPermanent = [ENOENT, EACCES, ENOEXEC, ENOTDIR, EISDIR, E2BIG, ELOOP, ENAMETOOLONG].contains(code)
        return Failure(
            isPermanent ? .invalid : .transient, "cannot start \(program.path): \(String(cString: strerror(code)))",
            hint: code == ENOEXEC ? "a script needs a first line such as #!/bin/sh" : nil)
    }

    private func spawn(_ path: String, in input: Int32, out: Int32, err: Int32, pid: inout pid_t) -> Int32 {
        var argv = ([program.path] + program.arguments).map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
        var envp =
            program.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") as UnsafeMutablePointer<CChar>? }
            + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        return serin_spawn(path, &argv, &envp, program.directory, input, out, err, &pid)
    }
}

/// The descriptors that are to be closed when the start is over, one way or the other.
private struct Pipes {
    private var open: [Int32] = []

    mutating func make() -> (reading: Int32, writing: Int32)? {
        var ends: [Int32] = [-1, -1]
        guard serin_pipe(&ends) == 0 else { return nil }
        open += ends
        return (ends[0], ends[1])
    }

    mutating func keep(_ descriptor: Int32) { open.removeAll { $0 == descriptor } }

    mutating func closeAll() {
        for descriptor in open { close(descriptor) }
        open = []
    }
}

/// Keeps SIGPIPE from this thread while the body writes to a program that may have closed its input.
func withoutPipeSignal<Value>(_ body: () -> Value) -> Value {
    var pipe = sigset_t()
    var before = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    let value = body()
    // One that arrived must not be delivered once the mask is lifted.
    var noTime = timespec(tv_sec: 0, tv_nsec: 0)
    sigtimedwait(&pipe, nil, &noTime)
    pthread_sigmask(SIG_SETMASK, &before, nil)
    return value
}
