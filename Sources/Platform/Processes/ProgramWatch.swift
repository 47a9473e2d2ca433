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

    /// Why a program was ended before it ended by itself.
    enum Cause {
        case givenUp
        case deadline
        case patience
    }

    private let program: Program
    private let running: RunningProgram
    private let stop: StopSignal
    private let isStreamed: Bool
    private var input: Int32
    private var written = 0
    private var kept: [UInt8] = []
    private var isTruncated = false
    private var isOpen = true
    private(set) var hasExited = false
    private(set) var cause: Cause?
    private var stage = Stage.running
    private var limit: ContinuousClock.Instant
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    /// Takes over the descriptors of the program. The standard input is filled from the program's `input` and closed,
    /// unless it is streamed: then it is the caller's, and what the program leaves running in its group is killed at the end.
    init(program: Program, running: RunningProgram, stop: StopSignal, isStreamed: Bool = false) {
        self.program = program
        self.running = running
        self.stop = stop
        self.isStreamed = isStreamed
        input = isStreamed ? -1 : running.input
        limit = ContinuousClock.now + .milliseconds(program.deadline.milliseconds)
        _ = fcntl(running.input, F_SETFL, O_NONBLOCK)
    }

    /// Whether it was asked to end.
    var isEnding: Bool { stage != .running }

    /// Returns when the program has ended and its output is read, or as much of it as the limits allow.
    mutating func run() -> Completion {
        if hasExited { shortenForOthers() }
        while isOpen || !hasExited {
            guard step() != .outOfTime else { break }
        }
        return finish()
    }

    /// What one look at the program came to.
    enum Look {
        /// The caller's descriptor can be read or written.
        case ready
        /// Something else happened, or nothing.
        case notReady
        /// There is nothing more to be tried against it.
        case outOfTime
    }

    /// Waits until something happens, and takes care of it. A stream may be given that the caller reads or writes itself, with
    /// the time until when it must get ready.
    mutating func step(
        stream: Int32 = -1, events: Int32 = 0, patience: ContinuousClock.Instant? = nil
    ) -> Look {
        if input >= 0, written >= program.input?.count ?? 0 { closeInput() }
        var polled = [
            pollfd(fd: isOpen ? running.kept : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: hasExited ? -1 : running.pidfd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stage == .running ? stop.descriptor : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: stream, events: Int16(events), revents: 0),
        ]
        if poll(&polled, 5, milliseconds(to: patience.map { min($0, limit) } ?? limit)) < 0 { return .notReady }
        let isReady = polled[4].revents != 0
        // The clock and not poll's answer decides: a program that never stops writing always has something to read.
        let now = ContinuousClock.now
        if polled[2].revents != 0 {
            guard advance(.givenUp) else { return .outOfTime }
        } else if now >= limit {
            guard advance(.deadline) else { return .outOfTime }
        } else if let patience, !isReady, now >= patience {
            end(.patience)
        }
        if polled[0].revents != 0 { readOutput() }
        if polled[3].revents != 0 { writeInput() }
        if polled[1].revents != 0 {
            hasExited = true
            if stream < 0 { shortenForOthers() }
        }
        return isReady ? .ready : .notReady
    }

    /// Others may still hold the pipe: they get the grace period, not for ever.
    private mutating func shortenForOthers() {
        limit = min(limit, ContinuousClock.now + .milliseconds(program.grace.milliseconds))
    }

    /// Asks the program's group to end, if that has not happened yet.
    mutating func end(_ cause: Cause) {
        guard stage == .running else { return }
        self.cause = cause
        stage = .asked
        kill(-running.pid, SIGTERM)
        // A stopped program gets the signal only when it goes on.
        kill(-running.pid, SIGCONT)
        limit = ContinuousClock.now + .milliseconds(program.grace.milliseconds)
    }

    /// Takes the next step against a program that will not end; false when there is none.
    private mutating func advance(_ cause: Cause) -> Bool {
        switch stage {
        case .running:
            // It has ended by itself; only its output is held open by others.
            if hasExited { return false }
            end(cause)
        case .asked:
            stage = .killed
            kill(-running.pid, SIGKILL)
            limit = ContinuousClock.now + .milliseconds(program.grace.milliseconds)
        case .killed: return false
        }
        return true
    }

    private mutating func finish() -> Completion {
        closeInput()
        close(running.kept)
        // The leader is not yet waited for, so its group's number cannot have been given to anyone else.
        if stage != .running || isStreamed { kill(-running.pid, SIGKILL) }
        cutToLimit()
        var completion = Completion(termination: .timedOut, output: kept, isTruncated: isTruncated)
        guard hasExited else {
            // Not even KILL ended it, as happens in an uninterruptible read: a thread waits for it, the caller does not.
            let pidfd = running.pidfd
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
        _ = serin_wait_pidfd(running.pidfd, &status, &signal)
        close(running.pidfd)
        if stage == .running { completion.termination = signal != 0 ? .signalled(signal) : .exited(status) }
        return completion
    }

    private func milliseconds(to instant: ContinuousClock.Instant) -> Int32 {
        let left = ContinuousClock.now.duration(to: instant).components
        return Int32(clamping: max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1))
    }

    private mutating func readOutput() {
        let count = read(running.kept, &buffer, buffer.count)
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
