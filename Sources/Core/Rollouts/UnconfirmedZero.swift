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
