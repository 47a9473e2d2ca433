internal import Glibc
internal import SerinLocks
internal import SerinModel
internal import SerinPorts

/// The real clock: wall time read once, then carried on by the computer's monotonic time (which runs on while it sleeps).
final class SystemClock: Clock {
    private let anchor: Instant
    private let monotonicAnchor: Int64

    /// A clock that starts now, but never before a moment that was journaled already.
    init(notBefore last: Instant? = nil) {
        let wall = Instant(millisecondsSince1970: SystemClock.milliseconds(CLOCK_REALTIME))
        anchor = last.map { max($0, wall) } ?? wall
        monotonicAnchor = SystemClock.milliseconds(CLOCK_BOOTTIME)
    }

    func now() -> Instant {
        anchor + Duration(milliseconds: SystemClock.milliseconds(CLOCK_BOOTTIME) - monotonicAnchor)
    }

    func wallClockOffset() -> Int64 { SystemClock.milliseconds(CLOCK_REALTIME) - now().millisecondsSince1970 }

    func sleep(for duration: Duration) async {
        // An early end means that the task was cancelled; the caller sees that itself.
        try? await Task.sleep(for: .milliseconds(duration.milliseconds))
    }

    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
