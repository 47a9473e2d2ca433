internal import CSerinProcess
internal import Glibc
public import SerinModel

/// A running program whose standard output is read, or whose standard input is written, piece by piece.
///
/// Everything blocks the calling thread, so it is used inside `onOwnThread`, by one thread at a time. The end of the data is only
/// reported once the program has ended with status 0: a program that dies cannot be taken for one that was done. Its whole
/// process group is ended (TERM, then KILL after the grace period) when its deadline passes, no byte moves for longer than `stall`
/// while the caller waits for it, the stop signal is raised, or the stream is let go. The time in which the caller does something
/// else counts for the deadline only. What it leaves running in its group when it ends is killed. It is told its starter in the
/// variable `SERIN_STARTER`, by which one whose starter was killed is found (`ProgramLeftovers.endOrphans`).
public final class ProgramStream {
    /// Which way the data goes.
    public enum Direction: Sendable, Hashable {
        /// From the program's standard output; it reads nothing.
        case reading
        /// To the program's standard input; what it prints is kept with its errors.
        case writing
    }

    /// How it ended, once it has.
    public private(set) var end: StreamEnd?
    /// Bytes of data moved so far.
    public private(set) var bytes = 0

    private let program: Program
    private let direction: Direction
    private let stall: Duration?
    private let redaction: Redaction
    private var watch: ProgramWatch
    private var data: Int32

    /// Starts the program. Of its limits, `outputLimit` and `kept` are for its errors; `input` does not apply.
    ///
    /// - Parameter stall: How long it may move no byte while the caller waits for it; nil is as long as the deadline.
    /// - Throws: `invalid` when there is no such program, `transient` when the system has no room for it.
    public init(
        _ program: Program, _ direction: Direction, stall: Duration?, redaction: Redaction = Redaction(), stop: StopSignal
    ) throws(Failure) {
        self.program = program
        self.direction = direction
        self.stall = stall
        self.redaction = redaction
        guard !stop.isRaised else { throw Failure(.transient, "\(program.path) was not started: interrupted") }
        var marked = program
        marked.environment[StarterMark.variable] = StarterMark.current
        let running = try ProgramLaunch(program: marked).start(direction == .reading ? .outputApart : .outputTogether)
        watch = ProgramWatch(program: program, running: running, stop: stop, isStreamed: true)
        data = direction == .reading ? running.data : running.input
        if direction == .reading { close(running.input) }
        // Fewer switches between the two processes; a system that refuses is only slower.
        serin_pipe_capacity(data, 1 << 20)
    }

    deinit { giveUp() }

    /// Waits for data and reads it.
    ///
    /// - Returns: How many bytes, or 0 at the end, when the program has ended with status 0.
    /// - Throws: When the program ended in any other way; `end` then holds how.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
        precondition(direction == .reading && buffer.count > 0, "only a reading stream with room is read")
        if data >= 0, end == nil {
            let count = waitAndMove(POLLIN) { Glibc.read($0, buffer.baseAddress, buffer.count) }
            if count > 0 { return count }
        }
        conclude(.itself)
        guard let end, end.isComplete else { throw failure() }
        return 0
    }

    /// Reads to the end and gives every piece to the body, at most 256 KiB at a time.
    ///
    /// - Throws: What the body throws, having ended the program; else as `read`.
    public func readAll(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try read(into: buffer)
            if count == 0 { return }
            do throws(Failure) {
                try body(UnsafeRawBufferPointer(rebasing: buffer.prefix(count)))
            } catch {
                giveUp()
                throw error
            }
        }
    }

    /// Writes all of the bytes.
    ///
    /// - Throws: When the program ends, or closes its input, before it has taken them; `end` then holds how.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        precondition(direction == .writing, "only a writing stream is written")
        var rest = bytes
        while rest.count > 0 {
            let count =
                data >= 0 && end == nil
                ? withoutPipeSignal { waitAndMove(POLLOUT) { Glibc.write($0, rest.baseAddress, rest.count) } } : 0
            guard count > 0 else {
                conclude(.inputRefused)
                throw failure()
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    /// Closes the program's input, waits until it has ended, and gives how it did. Only the deadline limits this: what was
    /// written may take long to be worked on. A reading stream that is not at its end is given up.
    ///
    /// - Throws: When it did not end by itself with status 0; `end` then holds how.
    @discardableResult public func finish() throws(Failure) -> StreamEnd {
        if direction == .reading, data >= 0 { watch.end(.givenUp) }
        conclude(.itself)
        guard let end, end.isComplete else { throw failure() }
        return end
    }

    /// Ends the program, if it has not ended, and waits until it has.
    public func giveUp() {
        guard end == nil else { return }
        watch.end(.givenUp)
        conclude(.itself)
    }

    /// Waits until the data can be moved and moves some; 0 when that is over for whatever reason.
    private func waitAndMove(_ events: Int32, _ move: (Int32) -> Int) -> Int {
        var patience = stall.map { ContinuousClock.now + .milliseconds($0.milliseconds) }
        var knowsExit = false
        while !watch.isEnding {
            if watch.hasExited, !knowsExit {
                // What it wrote is in the pipe already; more can only come from others.
                knowsExit = true
                if direction == .writing { return 0 }
                let grace = ContinuousClock.now + .milliseconds(program.grace.milliseconds)
                patience = patience.map { min($0, grace) } ?? grace
            }
            switch watch.step(stream: data, events: events, patience: patience) {
            case .notReady: continue
            case .outOfTime: return 0
            case .ready:
                let count = move(data)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                guard count > 0 else {
                    closeData()
                    return 0
                }
                bytes += count
                return count
            }
        }
        return 0
    }

    private func closeData() {
        if data >= 0 { close(data) }
        data = -1
    }

    /// Waits for the end and keeps how it was. `cause` is for a program that ended by itself.
    private func conclude(_ cause: StreamEnd.Cause) {
        guard end == nil else { return }
        let isCut = direction == .reading && data >= 0 && watch.hasExited
        closeData()
        let hadExited = watch.hasExited
        let completion = watch.run()
        let actual: StreamEnd.Cause =
            switch watch.cause {
            case .givenUp: .givenUp
            case .deadline: .deadline
            case .patience: hadExited ? .outputHeldOpen : .stall
            case nil: isCut ? .outputHeldOpen : cause
            }
        let text = redaction.tail(completion.output, limit: program.outputLimit, isCut: completion.isTruncated)
        end = StreamEnd(termination: completion.termination, cause: actual, bytes: bytes, diagnostics: text)
    }

    private func failure() -> Failure {
        guard let end else { return Failure(.unknown, "\(program.path) is still running") }
        let way =
            switch end.cause {
            case .itself, .inputRefused:
                switch end.termination {
                case .exited(let status): "ended with status \(status)"
                case .signalled(let signal): "was ended by signal \(signal)"
                case .timedOut: "was ended"
                }
            case .deadline: "was ended: it took longer than \(program.deadline)"
            case .stall: "was ended: it moved no byte for \(stall ?? program.deadline)"
            case .givenUp: "was interrupted"
            case .outputHeldOpen: "ended but left others behind that held its output open"
            }
        let place = direction == .reading ? "after \(end.bytes) bytes of output" : "after it was given \(end.bytes) bytes"
        let text = String(end.diagnostics.drop { $0.isWhitespace })
        // What a program did with what it was given is not known from here; a source can be asked again.
        return Failure(
            direction == .reading ? .transient : .unknown,
            "\(program.path) \(way) \(place)" + (text.isEmpty ? "" : ": \(text)"))
    }
}
