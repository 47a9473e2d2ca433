internal import CSerinProcess
internal import Glibc
internal import SerinLocks
internal import SerinModel

/// Feeds a running program, collects its output and ends it when its time is up.
struct ProgramWatch {
    private enum Stage {
        /// Leads to `asked`.
        case running
        /// TERM was sent; leads to `killed`.
        case asked
        /// KILL was sent; final.
        case killed
    }

    private let program: Program
    private let pid: pid_t
    private let pidfd: Int32
    private let output: Int32
    private let cancel: Int32
    private var input: Int32
    private var written = 0
    private var kept: [UInt8] = []
    private var isTruncated = false
    private var isOpen = true
    private var hasExited = false
    private var stage = Stage.running
    private var limit: ContinuousClock.Instant
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(program: Program, pid: pid_t, pidfd: Int32, output: Int32, input: Int32, cancel: Int32) {
        self.program = program
        self.pid = pid
        self.pidfd = pidfd
        self.output = output
        self.input = input
        self.cancel = cancel
        limit = ContinuousClock.now + .milliseconds(program.deadline.milliseconds)
        _ = fcntl(input, F_SETFL, O_NONBLOCK)
    }

    /// Returns when the program has ended and its output is read, or as much of it as the limits allow.
    mutating func run() -> Completion {
        while isOpen || !hasExited {
            if input >= 0, written >= program.input?.count ?? 0 { closeInput() }
            var polled = [
                pollfd(fd: isOpen ? output : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: hasExited ? -1 : pidfd, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stage == .running ? cancel : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
            ]
            if poll(&polled, 4, milliseconds()) < 0 { continue }
            // The clock and not poll's answer decides: a program that never stops writing always has something to read.
            if polled[2].revents != 0 || ContinuousClock.now >= limit {
                guard advance() else { break }
            }
            if polled[0].revents != 0 { readOutput() }
            if polled[3].revents != 0 { writeInput() }
            if polled[1].revents != 0 {
                hasExited = true
                // Others may still hold the pipe: they get the grace period, not for ever.
                limit = min(limit, ContinuousClock.now + .milliseconds(program.grace.milliseconds))
            }
        }
        return finish()
    }

    /// Takes the next step against a program that will not end; false when there is none.
    private mutating func advance() -> Bool {
        switch stage {
        case .running:
            // It has ended by itself; only its output is held open by others.
            if hasExited { return false }
            stage = .asked
            kill(-pid, SIGTERM)
            // A stopped program gets the signal only when it goes on.
            kill(-pid, SIGCONT)
        case .asked:
            stage = .killed
            kill(-pid, SIGKILL)
        case .killed: return false
        }
        limit = ContinuousClock.now + .milliseconds(program.grace.milliseconds)
        return true
    }

    private mutating func finish() -> Completion {
        closeInput()
        // The leader is not yet waited for, so its group's number cannot have been given to anyone else.
        if stage != .running { kill(-pid, SIGKILL) }
        cutToLimit()
        var completion = Completion(termination: .timedOut, output: kept, isTruncated: isTruncated)
        guard hasExited else {
            // Not even KILL ended it, as happens in an uninterruptible read: a thread waits for it, the caller does not.
            let pidfd = self.pidfd
            onNewThread {
                var status: Int32 = 0
                var signal: Int32 = 0
                _ = serin_wait_pidfd(pidfd, &status, &signal)
                close(pidfd)
            }
            return completion
        }
        var status: Int32 = 0
        var signal: Int32 = 0
        _ = serin_wait_pidfd(pidfd, &status, &signal)
        close(pidfd)
        if stage == .running { completion.termination = signal != 0 ? .signalled(signal) : .exited(status) }
        return completion
    }

    private func milliseconds() -> Int32 {
        let left = ContinuousClock.now.duration(to: limit).components
        return Int32(clamping: max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1))
    }

    private mutating func readOutput() {
        let count = read(output, &buffer, buffer.count)
        if count < 0, errno == EINTR { return }
        guard count > 0 else {
            isOpen = false
            return
        }
        switch program.kept {
        case .beginning:
            let room = max(0, program.outputLimit - kept.count)
            kept += buffer[0..<min(count, room)]
            if count > room { isTruncated = true }
        case .end:
            kept += buffer[0..<count]
            // Cut rarely, so that a flood costs time in proportion to its length.
            if kept.count > 2 * program.outputLimit + buffer.count { cutToLimit() }
        }
    }

    private mutating func cutToLimit() {
        guard kept.count > program.outputLimit else { return }
        kept.removeFirst(kept.count - program.outputLimit)
        isTruncated = true
    }

    private mutating func writeInput() {
        guard let bytes = program.input, written < bytes.count else { return }
        let count = bytes.withUnsafeBytes { raw in
            raw.baseAddress.map { write(input, $0 + written, bytes.count - written) } ?? 0
        }
        if count >= 0 { written += count } else if errno != EAGAIN, errno != EINTR { closeInput() }
    }

    private mutating func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }
}
