/// How a streamed program ended.
public struct StreamEnd: Sendable, Hashable {
    /// Who or what ended it.
    public enum Cause: Sendable, Hashable {
        /// It ended by itself; `termination` says how.
        case itself
        /// Its deadline passed.
        case deadline
        /// No byte moved for too long.
        case stall
        /// The stop signal was raised, or the caller gave it up.
        case givenUp
        /// It ended, but others that it left behind held its output open: the output may be incomplete.
        case outputHeldOpen
        /// It ended, or closed its input, before it had read everything.
        case inputRefused
    }

    /// The exit status or signal; `timedOut` when it was ended from here.
    public var termination: Termination
    /// Who or what ended it.
    public var cause: Cause
    /// Bytes of data read from it, or written to it.
    public var bytes: Int
    /// The end of what it wrote as errors (when written to: and as output), without secrets.
    public var diagnostics: String

    /// An end.
    public init(termination: Termination, cause: Cause, bytes: Int, diagnostics: String) {
        self.termination = termination
        self.cause = cause
        self.bytes = bytes
        self.diagnostics = diagnostics
    }

    /// Whether everything was moved and it ended by itself with status 0.
    public var isComplete: Bool { termination == .exited(0) && cause == .itself }
}
