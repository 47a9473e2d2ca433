public import SerinController
public import SerinRollouts

/// What a command's end says to the program that called it. The numbers are a contract with release pipelines.
public enum ExitCode: Int32, Sendable, Hashable, CaseIterable {
    /// Promoted, or done as asked.
    case ok = 0
    /// An unexpected error.
    case unexpected = 1
    /// Wrong usage, or an invalid policy.
    case usage = 2
    /// The canary failed; everything was rolled back and is safe.
    case failed = 3
    /// A person or an alert halted it; safe.
    case halted = 4
    /// No conclusion; not promoted; safe.
    case inconclusive = 5
    /// The rollback is not complete: act now.
    case rollbackIncomplete = 6
    /// Refused: a permission, an approval, a freeze, another rollout, or the preflight.
    case refused = 7
    /// A verification failed.
    case verificationFailed = 8
    /// No controller answered: try again.
    case unreachable = 75
    /// The time of `--timeout` is over: a rollout goes on, a migration was ended.
    case timedOut = 124
    /// Interrupted; the rollout goes on.
    case interrupted = 130

    /// The code of a rollout's end: of how it ended, or 6 as soon as its rollback is past its deadline. Nil while it goes on.
    public init?(_ status: RolloutStatus) {
        if status.isRollbackIncomplete {
            self = .rollbackIncomplete
            return
        }
        guard status.isFinal else { return nil }
        switch status.ending {
        case .promoted: self = .ok
        case .failed: self = .failed
        case .halted: self = .halted
        case .inconclusive: self = .inconclusive
        case .refused: self = .refused
        // A final state without an ending breaks the machine's promise.
        case nil: self = .unexpected
        }
    }

    /// The code of an operation that was not done.
    public init(_ error: OperationError) {
        switch error {
        case .invalid, .notFound: self = .usage
        case .refused: self = .refused
        case .unavailable: self = .unreachable
        }
    }
}
