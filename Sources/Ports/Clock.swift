public import SerinModel

/// The controller's clock: anchored to wall time once, then monotonic.
public protocol Clock: Sendable {
    /// The present moment; never earlier than an answer it gave before.
    func now() -> Instant

    /// By how many milliseconds the computer's clock is ahead of this one now.
    func wallClockOffset() -> Int64

    /// Returns after the time has passed, or early when the task is cancelled.
    func sleep(for duration: Duration) async
}

extension Clock {
    /// The moment by the computer's clock as it is set now, for what is compared with the times that other computers write. It may
    /// be earlier than an answer before.
    public var wall: Instant { now() + .milliseconds(wallClockOffset()) }
}
