internal import CSerinProcess
internal import Glibc
internal import SerinModel

/// One blocking run of a program, on the calling thread.
struct ProgramRun {
    let program: Program
    /// An event descriptor that becomes readable when the caller gives up.
    let cancel: Int32

    func result() -> Result<Completion, Failure> {
        do throws(Failure) { return .success(try run()) } catch { return .failure(error) }
    }

    private func run() throws(Failure) -> Completion {
        let path = try ProgramPath(program).resolve()
        var out: [Int32] = [-1, -1]
        var input: [Int32] = [-1, -1]
        guard serin_pipe(&out) == 0 else { throw failure(errno) }
        defer { close(out[0]) }
        guard serin_pipe(&input) == 0 else {
            let code = errno
            close(out[1])
            throw failure(code)
        }
        var pid: pid_t = 0
        let code = spawn(path, in: input[0], out: out[1], pid: &pid)
        close(out[1])
        close(input[0])
        guard code == 0 else {
            close(input[1])
            throw failure(code)
        }
        let pidfd = serin_pidfd_open(pid)
        guard pidfd >= 0 else {
            let code = errno
            close(input[1])
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            throw failure(code)
        }
        var watch = ProgramWatch(program: program, pid: pid, pidfd: pidfd, output: out[0], input: input[1], cancel: cancel)
        return withoutPipeSignal { watch.run() }
    }

    private func failure(_ code: Int32) -> Failure {
        let isPermanent = [ENOENT, EACCES, ENOEXEC, ENOTDIR, EISDIR, E2BIG, ELOOP, ENAMETOOLONG].contains(code)
        return Failure(
            isPermanent ? .invalid : .transient, "cannot start \(program.path): \(String(cString: strerror(code)))",
            hint: code == ENOEXEC ? "a script needs a first line such as #!/bin/sh" : nil)
    }

    private func spawn(_ path: String, in input: Int32, out: Int32, pid: inout pid_t) -> Int32 {
        var argv = ([program.path] + program.arguments).map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
        var envp =
            program.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") as UnsafeMutablePointer<CChar>? }
            + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        return serin_spawn(path, &argv, &envp, program.directory, input, out, out, &pid)
    }
}

/// Keeps SIGPIPE from this thread while the body writes to a program that may have closed its input.
private func withoutPipeSignal<Value>(_ body: () -> Value) -> Value {
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
