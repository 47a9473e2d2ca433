public import SerinModel

/// How a program ended.
public enum Termination: Sendable, Hashable {
    /// It ended by itself with this status.
    case exited(Int32)
    /// A signal ended it that Serin did not send.
    case signalled(Int32)
    /// The deadline passed, or the caller gave up, and Serin ended it.
    case timedOut
}

/// Which part of an output that is too long is kept.
public enum KeptOutput: Sendable, Hashable {
    /// Its beginning.
    case beginning
    /// Its end.
    case end
}

/// What a program run came to.
public struct Completion: Sendable, Hashable {
    /// How it ended.
    public var termination: Termination
    /// Its standard output and error, in the order written.
    public var output: [UInt8]
    /// Whether it wrote more than the limit.
    public var isTruncated: Bool

    /// What a run came to.
    public init(termination: Termination, output: [UInt8], isTruncated: Bool) {
        self.termination = termination
        self.output = output
        self.isTruncated = isTruncated
    }

    /// The output as text; bytes that are no UTF-8 are replaced.
    public var text: String { String(decoding: output, as: UTF8.self) }
}

/// A program with its arguments, environment and limits. No shell is involved.
public struct Program: Sendable, Hashable {
    /// The program: a path, or a name looked up in the `PATH` of its environment, or of the caller when that has none.
    public var path: String
    /// Its arguments, without the program's own name.
    public var arguments: [String]
    /// Its whole environment.
    public var environment: [String: String]
    /// Its working directory; nil is the caller's.
    public var directory: String?
    /// What it reads on standard input; nil is nothing.
    public var input: [UInt8]?
    /// For the whole run.
    public var deadline: Duration
    /// Between asking it to end and ending it.
    public var grace: Duration
    /// How much output is kept, in bytes.
    public var outputLimit: Int
    /// Which part is kept when there is more.
    public var kept: KeptOutput

    /// A program to run.
    public init(
        _ path: String, _ arguments: [String] = [], environment: [String: String] = [:], directory: String? = nil,
        input: [UInt8]? = nil, deadline: Duration, grace: Duration = .seconds(2), outputLimit: Int = 1 << 20,
        kept: KeptOutput = .beginning
    ) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.input = input
        self.deadline = deadline
        self.grace = grace
        self.outputLimit = outputLimit
        self.kept = kept
    }

    /// Runs it on a thread of its own. When the deadline passes or the task is cancelled its whole process group is asked to end
    /// (TERM), then ended (KILL) after the grace period. When the program ends by itself and leaves others behind that hold its
    /// output open, they are given the grace period to finish writing and are then left alone.
    ///
    /// Fails, without having started anything, as `invalid` when there is no such program or an argument holds a NUL, and as
    /// `transient` when the system has no room for it or the task was cancelled before.
    public func run() async throws(Failure) -> Completion {
        guard !Task.isCancelled else { throw Failure(.transient, "\(path) was not started: interrupted") }
        return try await onOwnThread { (stop) throws(Failure) in
            let running = try ProgramLaunch(program: self).start(.outputTogether)
            var watch = ProgramWatch(program: self, running: running, stop: stop)
            return withoutPipeSignal { watch.run() }
        }
    }
}
