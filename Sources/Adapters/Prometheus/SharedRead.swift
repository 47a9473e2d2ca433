internal import SerinLocks
internal import SerinModel

/// One read that any number of callers wait for, each as long as it likes.
///
/// Who gives up leaves the read running for the others. The first caller that is still there when the bytes arrive turns them into
/// the value, so that no parsing happens on the network's thread, and a late caller finds the value at once.
final class SharedRead<Raw: Sendable, Value: Sendable>: Sendable {
    private enum Wake: Sendable {
        case parse(Raw)
        case done(Value)
        case givenUp
    }

    private enum Phase: Sendable {
        /// Leads to `arrived` or `parsing`.
        case waiting
        /// Here, but nobody was left to read it. Leads to `parsing`.
        case arrived(Raw)
        /// Leads to `done`.
        case parsing
        /// Final.
        case done(Value)
    }

    private struct State: Sendable {
        var phase = Phase.waiting
        var lastID = 0
        /// In the order of arrival.
        var waiters: [(id: Int, continuation: CheckedContinuation<Wake, Never>)] = []
        var cancelled: Set<Int> = []
    }

    private let state = Locked(State())
    private let parse: @Sendable (Raw) -> Value

    /// A read whose bytes will be turned into the value by `parse`.
    init(parse: @escaping @Sendable (Raw) -> Value) { self.parse = parse }

    /// Hands in what arrived; called once, from any thread.
    func arrive(_ raw: Raw) {
        let leader: CheckedContinuation<Wake, Never>? = state.withLock { state in
            guard !state.waiters.isEmpty else {
                state.phase = .arrived(raw)
                return nil
            }
            state.phase = .parsing
            return state.waiters.removeFirst().continuation
        }
        leader?.resume(returning: .parse(raw))
    }

    /// Waits for the value; nil when the task is cancelled first.
    func value() async -> Value? {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let wake = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in join(id, continuation) }
        } onCancel: {
            leave(id)
        }
        switch wake {
        case .done(let value): return value
        case .givenUp: return nil
        case .parse(let raw):
            let value = parse(raw)
            let others = state.withLock { state in
                state.phase = .done(value)
                defer { state.waiters = [] }
                return state.waiters.map(\.continuation)
            }
            for other in others { other.resume(returning: .done(value)) }
            return value
        }
    }

    private func join(_ id: Int, _ continuation: CheckedContinuation<Wake, Never>) {
        let now: Wake? = state.withLock { state in
            if state.cancelled.remove(id) != nil { return .givenUp }
            switch state.phase {
            case .done(let value): return .done(value)
            case .arrived(let raw):
                state.phase = .parsing
                return .parse(raw)
            case .waiting, .parsing:
                state.waiters.append((id, continuation))
                return nil
            }
        }
        if let now { continuation.resume(returning: now) }
    }

    private func leave(_ id: Int) {
        let continuation: CheckedContinuation<Wake, Never>? = state.withLock { state in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
                // Not joined yet, or already answered; the note is found by `join` or never looked at again.
                state.cancelled.insert(id)
                return nil
            }
            return state.waiters.remove(at: index).continuation
        }
        continuation?.resume(returning: .givenUp)
    }
}
