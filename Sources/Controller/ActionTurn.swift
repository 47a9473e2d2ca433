internal import SerinLocks

/// Lets one piece of work of a rollout run at a time: a newer one ends the one under way and waits until it is gone.
///
/// A promotion that still ran while the previous version is brought back would undo it, and so would a migration.
final class ActionTurn<Outcome: Sendable>: Sendable {
    private struct Running: Sendable {
        /// Finished to ask it to end.
        var end: AsyncStream<Never>.Continuation
        /// Finishes when it has ended. Only the next one waits for it.
        var ended: AsyncStream<Never>
    }

    private let latest = Locked<Running?>(nil)

    /// Does work once the one before has ended; its outcome is reported even when it was ended for a newer one.
    ///
    /// - Parameters:
    ///   - none: The outcome of work that was ended and said nothing.
    ///   - work: Says how it ended also when its task is cancelled.
    func run(orElse none: Outcome, _ work: @escaping @Sendable () async -> Outcome) async -> Outcome {
        let (end, endInlet) = AsyncStream.makeStream(of: Never.self)
        let (ended, endedInlet) = AsyncStream.makeStream(of: Never.self)
        let before = latest.withLock { latest in
            defer { latest = Running(end: endInlet, ended: ended) }
            return latest
        }
        defer { endedInlet.finish() }
        if let before {
            before.end.finish()
            for await _ in before.ended {}
        }
        return await outcome(of: work, until: end) ?? none
    }

    /// Asks the one under way to end.
    func end() { latest.withLock { $0?.end.finish() } }

    /// Ends the one under way and waits until it is gone.
    func endAndWait() async {
        let before = latest.withLock { latest in
            defer { latest = nil }
            return latest
        }
        guard let before else { return }
        before.end.finish()
        for await _ in before.ended {}
    }
}

/// Does work until it is done, or ends it by cancelling its task when `end` finishes; the work says how it ended in both cases.
func outcome<Outcome: Sendable>(
    of work: @escaping @Sendable () async -> Outcome, until end: AsyncStream<Never>
) async -> Outcome? {
    await withTaskGroup(of: Outcome?.self) { group in
        group.addTask { await work() }
        group.addTask {
            for await _ in end {}
            return nil
        }
        var outcome: Outcome?
        for await result in group {
            outcome = result ?? outcome
            group.cancelAll()
        }
        return outcome
    }
}
