internal import CMicroHTTPD
internal import CSerinHTTPD
internal import Glibc
internal import SerinAPI
internal import SerinLocks
internal import SerinModel

/// One request and its answer, between one of libmicrohttpd's threads and the task that answers.
///
/// Suspending and resuming the connection happen under the lock that guards the state on which they depend, so no wake-up is lost.
final class Exchange: Sendable {
    // Unchecked: libmicrohttpd lets any thread resume a suspended connection; everything else happens in its own callbacks.
    private struct Connection: @unchecked Sendable { let pointer: OpaquePointer }

    private struct State: Sendable {
        var body: [UInt8] = []
        var isTooLong = false
        var isSubmitted = false
        var response: Response?
        /// Bytes of a growing answer that the peer has not taken yet.
        var pending: [UInt8] = []
        var isEnded = false
        /// Whether the connection is out of libmicrohttpd's loop until somebody resumes it.
        var isSuspended = false
        /// Whether libmicrohttpd is done with the connection.
        var isGone = false
        /// A sender that waits for the peer to take what is pending.
        var sender: CheckedContinuation<Bool, Never>?
    }

    let request: Request
    let limits: Limits
    private let connection: Connection
    private let begun = ContinuousClock().now
    private let state = Locked(State())

    init(connection: OpaquePointer, request: Request, limits: Limits) {
        self.connection = Connection(pointer: connection)
        self.request = request
        self.limits = limits
    }

    /// Takes a part of the body; false when the connection must be closed.
    func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard ContinuousClock().now - begun <= .milliseconds(limits.arrival.milliseconds) else { return false }
        return state.withLock { state in
            // What is too long is read to its end, within reason, because a peer that still writes would not see the answer.
            guard !state.isTooLong, state.body.count + bytes.count <= limits.body else {
                state.isTooLong = true
                state.body = []
                return true
            }
            state.body.append(contentsOf: bytes)
            return true
        }
    }

    /// What the connection's thread must do now that the whole request is there.
    enum Step: Sendable {
        /// Hand the request, now with its body, to the tasks; the connection is suspended.
        case submit(Request)
        /// Queue this answer.
        case answer(Response)
    }

    /// Called when the request is complete, and again after each resume.
    func advance() -> Step {
        let step: Step = state.withLock { state in
            if state.isTooLong {
                return .answer(Problem(.tooLong, "the body is longer than \(limits.body) bytes").response)
            }
            if let response = state.response { return .answer(response) }
            var whole = request
            whole.body = state.body
            state.isSubmitted = true
            state.isSuspended = true
            MHD_suspend_connection(connection.pointer)
            return .submit(whole)
        }
        return step
    }

    /// Hands the answer to the connection's thread.
    func complete(_ response: Response) {
        state.withLock { state in
            guard !state.isGone, state.response == nil else { return }
            state.response = response
            resume(&state)
        }
    }

    private func resume(_ state: inout State) {
        guard state.isSuspended else { return }
        state.isSuspended = false
        MHD_resume_connection(connection.pointer)
    }

    /// Ends a growing answer.
    func end() {
        state.withLock { state in
            state.isEnded = true
            if !state.isGone { resume(&state) }
        }
    }

    /// libmicrohttpd will not use the connection again.
    func finished() {
        let sender = state.withLock { state in
            state.isGone = true
            state.isSuspended = false
            defer { state.sender = nil }
            return state.sender
        }
        sender?.resume(returning: false)
    }

    /// Fills a buffer with the next bytes of a growing answer; 0 when the connection was suspended for lack of any, -1 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let (count, sender) = state.withLock { state -> (Int, CheckedContinuation<Bool, Never>?) in
            let count = min(buffer.count, state.pending.count)
            if count > 0 {
                buffer.copyBytes(from: state.pending.prefix(count))
                state.pending.removeFirst(count)
                guard state.pending.count < limits.backlog else { return (count, nil) }
                defer { state.sender = nil }
                return (count, state.sender)
            }
            if state.isEnded { return (-1, nil) }
            state.isSuspended = true
            MHD_suspend_connection(connection.pointer)
            return (0, nil)
        }
        sender?.resume(returning: true)
        return count
    }
}

extension Exchange: ResponseSink {
    func send(_ bytes: [UInt8]) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = state.withLock { state in
                    guard !state.isGone, !state.isEnded else { return false }
                    state.pending += bytes
                    resume(&state)
                    guard state.pending.count >= limits.backlog else { return true }
                    state.sender = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            end()
            finishSender()
        }
    }

    /// Ends the request because the server stops: with an error when nothing was answered yet.
    func abandon() {
        complete(Problem(.unavailable, "the server is stopping").response)
        end()
        finishSender()
    }

    private func finishSender() {
        let sender = state.withLock { state in
            defer { state.sender = nil }
            return state.sender
        }
        sender?.resume(returning: false)
    }
}
