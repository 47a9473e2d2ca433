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

    private func failure(_ code: Int32) -> Failure {
        Failure(
            code == ENOENT || code == EACCES ? .invalid : .transient,
            "cannot start \(program.path): \(String(cString: strerror(code)))")
    }

    private func run() throws(Failure) -> Completion {
        var out: [Int32] = [-1, -1]
        var input: [Int32] = [-1, -1]
        guard serin_pipe(&out) == 0 else { throw failure(errno) }
        defer { close(out[0]) }
        guard serin_pipe(&input) == 0 else {
            let code = errno
            close(out[1])
            throw failure(code)
        }
        defer { if input[1] >= 0 { close(input[1]) } }
        var pid: pid_t = 0
        let code = spawn(in: input[0], out: out[1], pid: &pid)
        close(out[1])
        close(input[0])
        guard code == 0 else { throw failure(code) }
        let pidfd = serin_pidfd_open(pid)
        guard pidfd >= 0 else {
            let code = errno
            kill(-pid, SIGKILL)
            throw failure(code)
        }
        defer { close(pidfd) }
        return watch(pid: pid, pidfd: pidfd, output: out[0], input: &input[1])
    }

    private func spawn(in input: Int32, out: Int32, pid: inout pid_t) -> Int32 {
        var argv = ([program.path] + program.arguments).map { strdup($0) as UnsafeMutablePointer<CChar>? } + [nil]
        var envp =
            program.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") as UnsafeMutablePointer<CChar>? }
            + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        return serin_spawn(program.path, &argv, &envp, program.directory, input, out, out, &pid)
    }

    private func watch(pid: pid_t, pidfd: Int32, output: Int32, input: inout Int32) -> Completion {
        var completion = Completion(termination: .timedOut, output: [], isTruncated: false)
        var pending = program.input ?? []
        var isOpen = true
        var hasExited = false
        var wasAsked = false
        var wasKilled = false
        let clock = ContinuousClock()
        var limit = clock.now + .milliseconds(program.deadline.milliseconds)
        _ = fcntl(input, F_SETFL, O_NONBLOCK)
        signal(SIGPIPE, SIG_IGN)
        while isOpen || !hasExited {
            if pending.isEmpty, input >= 0 {
                close(input)
                input = -1
            }
            var polled = [
                pollfd(fd: isOpen ? output : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: hasExited ? -1 : pidfd, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wasAsked ? -1 : cancel, events: Int16(POLLIN), revents: 0),
                pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
            ]
            let left = clock.now.duration(to: limit).components
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
            let count = poll(&polled, 4, Int32(clamping: max(0, milliseconds)))
            if count < 0 { continue }
            if count == 0 || polled[2].revents != 0 {
                if wasKilled { break }
                kill(-pid, wasAsked ? SIGKILL : SIGTERM)
                wasKilled = wasAsked
                wasAsked = true
                limit = clock.now + .milliseconds(program.grace.milliseconds)
                continue
            }
            if polled[0].revents != 0 { isOpen = readOutput(output, into: &completion) }
            if polled[3].revents != 0 { writeInput(&pending, to: input) }
            if polled[1].revents != 0 {
                hasExited = true
                // A grandchild may still hold the pipe: it gets the grace period, not for ever.
                limit = min(limit, clock.now + .milliseconds(program.grace.milliseconds))
            }
        }
        var status: Int32 = 0
        var signal: Int32 = 0
        _ = serin_wait_pidfd(pidfd, &status, &signal)
        if !wasAsked { completion.termination = signal != 0 ? .signalled(signal) : .exited(status) }
        return completion
    }

    private func readOutput(_ descriptor: Int32, into completion: inout Completion) -> Bool {
        let room = max(0, program.outputLimit - completion.output.count)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return false }
        completion.output += buffer[0..<min(count, room)]
        if count > room { completion.isTruncated = true }
        return true
    }

    private func writeInput(_ pending: inout [UInt8], to descriptor: Int32) {
        let count = write(descriptor, pending, pending.count)
        if count > 0 {
            pending.removeFirst(count)
        } else if errno != EAGAIN {
            pending = []
        }
    }
}
