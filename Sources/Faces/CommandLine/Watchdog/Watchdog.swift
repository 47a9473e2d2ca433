internal import SerinModel
internal import SerinPorts

/// Lowers the weight of a rollout whose controller has ended or shows no life any more, and leaves a mark of it.
///
/// It knows no journal and no verdict: a line to the controller, a balancer to lower, and an end.
struct Watchdog: Sendable {
    /// What it needs from outside.
    struct Parts: Sendable {
        /// The handover as it stands now; nil when the rollout has ended.
        var handover: @Sendable () -> Handover?
        /// What can be seen of the controller.
        var look: @Sendable () -> SignOfLife
        /// Leaves the mark that Serin itself lowered the weight; does not take longer than a moment, whatever the disk does.
        var leaveMark: @Sendable () async throws(Failure) -> Void
        /// Says what happened, for the log.
        var say: @Sendable (String) -> Void
        var clock: any Clock
        var traffic: any Traffic
    }

    let parts: Parts
    let handover: Handover
    /// Between two looks.
    var period = Duration.seconds(1)
    /// For one request to the balancer.
    var limit = Duration.seconds(3)

    /// Watches until the rollout has ended, another controller has its own watchdog, or the weight was lowered and 0 was read back
    /// after the controller's end. One that stands still may wake up and raise again, so it is watched on.
    func run() async {
        var vigil = Vigil(after: handover.after, from: parts.clock.now())
        while parts.handover() == handover {
            let sign = parts.look()
            if vigil.look(sign, at: parts.clock.now()), await isLowered(), sign.isGone { return }
            if Task.isCancelled { return }
            await parts.clock.sleep(for: period)
        }
    }

    /// One try; true when 0 was read back.
    private func isLowered() async -> Bool {
        do throws(Failure) {
            let before = try await parts.traffic.read(deadline: limit)
            if before.weight == .zero { return true }
            await leaveMark()
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
            await leaveMark()
            do throws(Failure) {
                try await parts.traffic.zero(deadline: limit)
            } catch {
                parts.say("asking for 0 failed as well: \(error.message)")
            }
            return false
        }
    }

    /// Before the weight: a lowering that nobody owns up to would look like someone else's. Without a mark it is lowered all the same.
    private func leaveMark() async {
        do throws(Failure) {
            try await parts.leaveMark()
        } catch {
            parts.say("\(error.message): the lowering will look like someone else's")
        }
    }
}
