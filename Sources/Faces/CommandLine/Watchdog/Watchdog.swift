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
        /// Whether a halt file is there, which nobody but a controller in charge takes away.
        var isHaltAsked: @Sendable () -> Bool = { false }
        /// Leaves the mark that Serin itself lowered the weight; does not take longer than a moment, whatever the disk does.
        var leaveMark: @Sendable () async throws(Failure) -> Void
        /// Says what happened, for the log.
        var say: @Sendable (String) -> Void
        var clock: any Clock
        var traffic: any Traffic
    }

    /// How long a controller has time to take a halt file: it looks twice a second.
    private static let haltPatience = Duration.seconds(3)

    let parts: Parts
    let handover: Handover
    /// How long nobody may be in charge; nil: as the handover says.
    var after: Duration?
    /// When a controller of the rollout that was in charge last showed life; nil when that is not known.
    var lastSign: Instant?
    /// Between two looks.
    var period = Duration.seconds(1)
    /// For one request to the balancer.
    var limit = Duration.seconds(3)

    /// Watches until the rollout has ended, another controller has its own watchdog, or the weight was lowered and 0 was read back
    /// after the controller's end. One that stands still may wake up and raise again, so it is watched on.
    func run() async {
        let now = parts.clock.now()
        var vigil = Vigil(after: after ?? handover.after, from: min(lastSign ?? now, now))
        while parts.handover() == handover {
            let sign = parts.look()
            let now = parts.clock.now()
            let isLeftAlone = vigil.look(sign, at: now)
            // A halt that no controller takes is not waited with for the whole patience.
            if isLeftAlone || vigil.silence(at: now) >= Self.haltPatience && parts.isHaltAsked() {
                // Beside one that stands still, a mark is left only with a lowering: nobody would take it away.
                let isDown = await sign == .gone ? isLowered() : isFoundLowered()
                if isDown, sign == .gone { return }
            }
            if Task.isCancelled { return }
            await parts.clock.sleep(for: period)
        }
    }

    /// One try; true when 0 was read back. 0 is asked for before anything is read, so that nothing in an answer can come between.
    private func isLowered() async -> Bool {
        await leaveMark()
        do throws(Failure) {
            try await parts.traffic.zero(deadline: limit)
        } catch {
            parts.say("no controller for \(handover.after), and asking for 0 failed: \(error.message); trying again")
        }
        do throws(Failure) {
            let after = try await parts.traffic.read(deadline: limit)
            parts.say(
                after.weight == .zero
                    ? "no controller for \(handover.after): lowered \(handover.rollout) to 0"
                    : "no controller for \(handover.after): wrote 0, read back \(after.raw); trying again")
            return after.weight == .zero
        } catch {
            parts.say("no controller for \(handover.after), and the weight cannot be read: \(error.message); trying again")
            return false
        }
    }

    /// As `isLowered`, but what is read to be 0 is left alone.
    private func isFoundLowered() async -> Bool {
        do throws(Failure) {
            if try await parts.traffic.read(deadline: limit).weight == .zero { return true }
        } catch {
            parts.say("no controller for \(handover.after), and the weight cannot be read: \(error.message); asking for 0")
        }
        return await isLowered()
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
