internal import Glibc
internal import SerinLocks
internal import SerinModel
internal import SerinPorts

/// The real clock, except that whoever sleeps for the time between polls wakes only when the bench says so: a poll that happens to
/// fall into a measurement would measure the poll.
final class BenchClock: Clock {
    private struct Sleepers: Sendable {
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastID = 0
    }

    private let period: SerinModel.Duration
    private let sleepers = Locked(Sleepers())

    init(period: SerinModel.Duration) { self.period = period }

    func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        // Any beginning will do for rollouts of this process.
        return Instant(millisecondsSince1970: 1_800_000_000_000 + Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    func wallClockOffset() -> Int64 { 0 }

    func sleep(for duration: SerinModel.Duration) async {
        guard duration == period else {
            // An early end means that the task was cancelled; the caller sees that itself.
            try? await Task.sleep(for: .milliseconds(duration.milliseconds))
            return
        }
        let id = sleepers.withLock { sleepers in
            sleepers.lastID += 1
            return sleepers.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = sleepers.withLock { sleepers in
                    if !Task.isCancelled { sleepers.waiting[id] = continuation }
                    return Task.isCancelled
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            sleepers.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
        }
    }

    /// Lets everyone poll once who waits for it.
    func poll() {
        let woken = sleepers.withLock { sleepers in
            defer { sleepers.waiting = [:] }
            return sleepers.waiting.sorted { $0.key < $1.key }.map(\.value)
        }
        for sleeper in woken { sleeper.resume() }
    }
}
