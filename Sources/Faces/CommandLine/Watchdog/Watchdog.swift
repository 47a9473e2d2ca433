internal import SerinModel
internal import SerinPorts

/// Lowers the weight of a rollout that no controller is in charge of any more, and leaves a mark of it.
///
/// It knows no journal and no verdict: a lock to look at, a balancer to lower, and an end.
struct Watchdog: Sendable {
    /// What it needs from outside.
    struct Parts: Sendable {
        /// The handover as it stands now; nil when the rollout has ended.
        var handover: @Sendable () -> Handover?
        /// Whether a controller holds the service's lock.
        var isHeld: @Sendable () -> Bool
        /// Leaves the mark that Serin itself lowered the weight.
        var leaveMark: @Sendable () throws(Failure) -> Void
        /// Says what happened, for the log.
        var say: @Sendable (String) -> Void
        var clock: any Clock
        var traffic: any Traffic
    }

    let parts: Parts
    let handover: Handover
    /// Between two looks at the lock.
    var period = Duration.seconds(1)
    /// For one request to the balancer.
    var limit = Duration.seconds(3)

    /// Watches until the rollout has ended, or the weight was lowered and 0 was read back.
    func run() async {
        var vigil = Vigil(after: handover.after, from: parts.clock.now())
        while parts.handover()?.rollout == handover.rollout {
            if vigil.look(isHeld: parts.isHeld(), at: parts.clock.now()), await isLowered() { return }
            if Task.isCancelled { return }
            await parts.clock.sleep(for: period)
        }
    }

    /// One try; true when 0 was read back.
    private func isLowered() async -> Bool {
        do throws(Failure) {
            let before = try await parts.traffic.read(deadline: limit)
            if before.weight == .zero { return true }
            // The mark first: a lowering that nobody owns up to would look like someone else's.
            try parts.leaveMark()
            try await parts.traffic.zero(deadline: limit)
            let after = try await parts.traffic.read(deadline: limit)
            let raw = after.raw
            parts.say(
                after.weight == .zero
                    ? "no controller for \(handover.after): lowered \(handover.rollout) from \(before.raw) to 0"
                    : "no controller for \(handover.after): wrote 0, read back \(raw); trying again")
            return after.weight == .zero
        } catch {
            parts.say("no controller for \(handover.after), and the weight cannot be lowered: \(error.message); trying again")
            // When the weight cannot even be read, 0 is asked for all the same.
            do throws(Failure) {
                try parts.leaveMark()
                try await parts.traffic.zero(deadline: limit)
            } catch {
                parts.say("asking for 0 failed as well: \(error.message)")
            }
            return false
        }
    }
}
