internal import Glibc
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies

/// The thread that owns the connection to one server. Jobs come in one at a time; a job that nobody waits for any more is dropped.
final class ServerThread: Sendable {
    private struct State: Sendable {
        var jobs: [Job] = []
        var isStopped = false
    }

    /// A piece of work and the caller who waits for it; whoever comes first, the work or the caller's patience, answers.
    private final class Job: Sendable {
        let body: @Sendable (Session) -> Void
        let isWanted: @Sendable () -> Bool
        init(body: @escaping @Sendable (Session) -> Void, isWanted: @escaping @Sendable () -> Bool) {
            self.body = body
            self.isWanted = isWanted
        }
    }

    private let state = Locked(State())
    private let wakeRead: Int32
    private let wakeWrite: Int32

    /// Starts the thread; nothing is connected yet.
    init(_ reference: SecretReference, role: String, lookup: @escaping SecretLookup) throws(Failure) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw Failure(.transient, "cannot watch the \(role): \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (wakeRead, wakeWrite) = (ends[0], ends[1])
        let code = startThread { [state, wakeRead] in
            ServerThread.serve(Session(reference, role: role, lookup: lookup), state: state, wake: wakeRead)
        }
        guard code == 0 else {
            close(wakeRead)
            close(wakeWrite)
            throw Failure(.transient, "cannot start a thread for the \(role): \(String(cString: strerror(code)))")
        }
    }

    /// Ends the thread once its job is over. Closing the writing end is what it sees.
    deinit {
        state.withLock { $0.isStopped = true }
        close(wakeWrite)
    }

    private static func serve(_ session: Session, state: Locked<State>, wake: Int32) {
        defer { close(wake) }
        var byte: UInt8 = 0
        while !state.withLock({ $0.isStopped }) {
            let count = read(wake, &byte, 1)
            if count == 0 || (count < 0 && errno != EINTR) { return }
            let jobs = state.withLock { state in
                defer { state.jobs = [] }
                return state.jobs
            }
            for job in jobs where job.isWanted() { job.body(session) }
        }
    }

    /// Runs the body on the thread; nil when the task is cancelled first.
    func perform<Value: Sendable>(_ body: @escaping @Sendable (Session) -> Value) async -> Value? {
        let answer = Locked<Answer<Value>>(.awaited(nil))
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = answer.withLock { answer in
                    if case .given = answer { return true }
                    answer = .awaited(continuation)
                    return false
                }
                guard !isOver else { return continuation.resume(returning: nil) }
                let job = Job(
                    body: { session in answer.give(body(session)) },
                    isWanted: {
                        answer.withLock { answer in
                            if case .awaited = answer { return true }
                            return false
                        }
                    })
                state.withLock { $0.jobs.append(job) }
                var byte: UInt8 = 1
                // A full pipe has woken the thread already.
                _ = write(wakeWrite, &byte, 1)
            }
        } onCancel: {
            answer.give(nil)
        }
    }
}

/// Whether a caller still waits.
private enum Answer<Value: Sendable>: Sendable {
    /// Leads to `given`.
    case awaited(CheckedContinuation<Value?, Never>?)
    /// Final.
    case given
}

extension Locked {
    /// Answers the caller unless that was done before.
    fileprivate func give<Result: Sendable>(_ value: Result?) where Value == Answer<Result> {
        let waiting: CheckedContinuation<Result?, Never>? = withLock { answer in
            guard case .awaited(let continuation) = answer else { return nil }
            answer = .given
            return continuation
        }
        waiting?.resume(returning: value)
    }
}
