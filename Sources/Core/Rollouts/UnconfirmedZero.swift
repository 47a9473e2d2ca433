public import SerinModel

/// Weight 0 was asked for and is not confirmed: since when, how often it was tried, and what came back last.
public struct UnconfirmedZero: Sendable, Hashable, Codable {
    /// When the first try came to nothing.
    public var since: Instant
    /// How many tries came to nothing, from 1.
    public var tries: Int
    /// When the last one did.
    public var failedAt: Instant
    /// Why the last one did.
    public var reason: String

    /// What is known of it.
    public init(since: Instant, tries: Int, failedAt: Instant, reason: String) {
        self.since = since
        self.tries = tries
        self.failedAt = failedAt
        self.reason = reason
    }

    /// `17 tries since 22:15:58Z, the last at 22:16:18Z: no answer`.
    public var words: String {
        tries == 1
            ? "one try at \(failedAt.timeOfDay): \(reason)"
            : "\(tries) tries since \(since.timeOfDay), the last at \(failedAt.timeOfDay): \(reason)"
    }
}

/// Counts the tries for 0 and says which of them are worth a line: the first, one whose reason is new, and one a minute.
struct ZeroTries: Sendable, Hashable {
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
