internal import SerinModel
internal import SerinRecords
internal import SerinRollouts

extension DriverLoop {
    /// What one event led to, until it is durable.
    struct Batch {
        var number: Int
        var drafts: [Draft]
        var effects: [Effect]
        var decidedAt: Instant
        var status: RolloutStatus
        var reply: RolloutDriver.CommandReply?
        /// Commands that were refused for what is in it or before it.
        var refusals: [(reply: RolloutDriver.CommandReply, refusal: Refusal)] = []
        /// Whether the lowering in it went ahead of the journal.
        var wentAhead = false
        /// Whether the journal failed under it, so that nothing but a lowering may come out of it.
        var isVoid = false
        /// Whether the watchdog's mark was seen to be without a lowering.
        var findsMarkStale = false

        /// Whether someone halts by it.
        var isHalt: Bool {
            drafts.contains { draft in
                guard case .event(.commanded(let command)) = draft.record else { return false }
                return command.verb == .halt || command.verb == .haltForSecurity
            }
        }

        /// Whether it is the end of a takeover: the world was read, and what was found is recorded.
        var isTakeover: Bool {
            drafts.contains { draft in
                if case .event(.takenOver) = draft.record { return true }
                return false
            }
        }

        /// Whether it begins or ends the rollout, or takes note of what the watchdog's mark is there for: what the mark said is over then.
        var settlesMark: Bool {
            if findsMarkStale || status.isFinal { return true }
            return drafts.contains { draft in
                switch draft.record {
                case .event(.started): true
                // The mark comes before the lowering: without 0, that is still to come, and a mark that was left after it was looked
                // for stays for the next poll, too.
                case .event(.takenOver(let takeover)): takeover.watchdogLowered && takeover.traffic.reading?.weight == .zero
                case .event, .effect, .opened, .created, .clockJumped: false
                }
            }
        }
    }
}
