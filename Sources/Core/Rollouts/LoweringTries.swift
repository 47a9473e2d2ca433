internal import SerinModel

/// Counts the tries for 0, or for another weight that is being lowered to, and says which of them are worth a line: the first, one whose
/// reason is new, and one a minute.
struct LoweringTries: Sendable, Hashable {
    /// The time between two lines that say nothing new.
    static let pace = Duration.minutes(1)
    /// How many different reasons are written down a minute.
    static let most = 5

    /// What is known; nil while none has failed.
    private(set) var failed: UnconfirmedZero?
    private var saidAt: Instant?
    /// The reasons written down since then.
    private var said: [String] = []

    /// Takes note of a try that came to nothing; true when it is worth a line.
    mutating func fail(_ reason: String, at now: Instant) -> Bool {
        failed = UnconfirmedZero(
            since: failed?.since ?? now, tries: (failed?.tries ?? 0) + 1, failedAt: now, reason: reason)
        if let saidAt, now - saidAt < Self.pace {
            guard !said.contains(reason), said.count < Self.most else { return false }
            said.append(reason)
            return true
        }
        saidAt = now
        said = [reason]
        return true
    }
}
