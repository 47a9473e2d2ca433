internal import Glibc
internal import SerinModel
internal import SerinProcesses

/// Lets the calling thread, which is never one of the cooperative pool, rest for a while.
func rest(_ time: Duration) { usleep(UInt32(clamping: max(0, time.milliseconds) * 1000)) }

/// The same, but ends early when the signal is raised.
func rest(_ time: Duration, until stop: StopSignal) {
    let end = ContinuousClock.now + .milliseconds(time.milliseconds)
    while !stop.isRaised, ContinuousClock.now < end { rest(.milliseconds(10)) }
}

extension ContinuousClock.Instant {
    /// The time from now to this moment, never negative.
    var left: SerinModel.Duration {
        let parts = ContinuousClock.now.duration(to: self).components
        return .milliseconds(max(0, parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000))
    }

    /// The time from this moment to now.
    var elapsed: SerinModel.Duration {
        let parts = duration(to: ContinuousClock.now).components
        return .milliseconds(parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000)
    }
}
