internal import SerinLocks
public import SerinModel
public import SerinPorts
public import SerinRollouts

/// The latest durable status of a rollout, for any number of readers, and a way to wait for the next one.
public final class StatusBoard: Sendable {
    private struct State: Sendable {
        var status: RolloutStatus
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter = 0
    }

    private let state: Locked<State>

    /// A board that shows a first status.
    public init(_ status: RolloutStatus) { state = Locked(State(status: status)) }

    /// What it shows.
    public var status: RolloutStatus { state.withLock { $0.status } }

    /// Shows a newer status and wakes everyone who waits for a change.
    public func show(_ status: RolloutStatus) {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard state.status != status else { return [] }
            state.status = status
            defer { state.waiters = [:] }
            return state.waiters.sorted { $0.key < $1.key }.map(\.value)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the status differs from `seen` or the timeout is over.
    public func change(from seen: RolloutStatus?, timeout: Duration, clock: any Clock) async -> RolloutStatus {
        guard let seen, status == seen else { return status }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.nextChange(from: seen) }
            group.addTask { await clock.sleep(for: timeout) }
            await group.next()
            group.cancelAll()
        }
        return status
    }

    private func nextChange(from seen: RolloutStatus) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.status != seen || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
