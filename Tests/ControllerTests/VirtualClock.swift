import SerinLocks
import SerinModel
import SerinPorts

/// A clock that a test moves by hand; whoever sleeps wakes in the order of time.
final class VirtualClock: Clock {
    private struct Sleeper: Sendable {
        var id: Int
        var due: Instant
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State: Sendable {
        var now = Instant(millisecondsSince1970: 1_800_000_000_000)
        var offset: Int64 = 0
        var sleepers: [Sleeper] = []
        var lastID = 0
    }

    private let state = Locked(State())

    func now() -> Instant { state.withLock { $0.now } }

    func wallClockOffset() -> Int64 { state.withLock { $0.offset } }

    /// Moves the computer's clock, not this one.
    func jumpWallClock(by milliseconds: Int64) { state.withLock { $0.offset += milliseconds } }

    func sleep(for duration: Duration) async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if duration <= .zero || Task.isCancelled { return true }
                    state.sleepers.append(Sleeper(id: id, due: state.now + duration, continuation: continuation))
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else { return nil }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume()
        }
    }

    /// Moves time to a moment before anyone sleeps.
    func advance(to moment: Instant) { state.withLock { $0.now = max($0.now, moment) } }

    /// Moves time to the next sleeper's due time, at most by `limit`, and wakes it.
    func advance(atMost limit: Duration) {
        let woken = state.withLock { state -> [Sleeper] in
            let end = state.now + limit
            guard let next = state.sleepers.map(\.due).min(), next <= end else {
                state.now = end
                return []
            }
            state.now = max(state.now, next)
            let due = state.sleepers.filter { $0.due <= state.now }
            state.sleepers.removeAll { $0.due <= state.now }
            return due.sorted { ($0.due, $0.id) < ($1.due, $1.id) }
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }
}
