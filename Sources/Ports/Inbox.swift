public import SerinModel

/// Names one message from outside, so that it acts once however often it is delivered.
public struct ReplayKey: Sendable, Hashable {
    /// The name of the way it came in by.
    public var hook: String
    /// The message within it.
    public var message: String
    /// How long it must be remembered: 30 days where no two messages are alike, 10 minutes where the same words may rightly be
    /// sent again.
    public var keptFor: Duration

    /// How long the same words count as one message where they may rightly be sent again.
    public static let repeatable = Duration.minutes(10)

    /// Whether the same words may rightly be sent again, and mean something new then.
    public var isRepeatable: Bool { keptFor <= Self.repeatable }

    /// The key of a message.
    public init(hook: String, message: String, keptFor: Duration) {
        self.hook = hook
        self.message = message
        self.keptFor = keptFor
    }
}

/// Remembers which messages were acted upon, across restarts.
public protocol Inbox: Sendable {
    /// Takes a message before anything is done about it; durable when it returns.
    ///
    /// - Parameter isSafeToRepeat: Whether to take it again when a process took it and never said what came of it.
    func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) async throws(Failure) -> InboxEntry.Claim

    /// Notes what was answered once everything is done; a later delivery is answered the same.
    func settle(_ key: ReplayKey, answer: [UInt8]) async throws(Failure)

    /// Gives a message back of which nothing was done.
    func release(_ key: ReplayKey) async throws(Failure)
}

/// What is remembered of one message.
public struct InboxEntry: Sendable, Hashable {
    /// What a claim found.
    public enum Claim: Sendable, Hashable {
        /// It is this caller's to act upon.
        case taken
        /// Another delivery of it is being acted upon, or was when a process ended.
        case underWay
        /// It was acted upon, and answered so.
        case settled([UInt8])
    }

    /// How long a claim keeps others from a message whose repetition is safe.
    public static let patience = Duration.seconds(30)

    /// When it was claimed.
    public var claimedAt: Instant
    /// When it may be forgotten.
    public var expiresAt: Instant
    /// What was answered; nil while it is not settled.
    public var answer: [UInt8]?

    /// A message.
    public init(claimedAt: Instant, expiresAt: Instant, answer: [UInt8]?) {
        self.claimedAt = claimedAt
        self.expiresAt = expiresAt
        self.answer = answer
    }

    /// What a claim makes of what is remembered (nil: nothing), with what is to be remembered when it is taken.
    public static func claim(
        _ existing: InboxEntry?, _ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant
    ) -> (Claim, InboxEntry?) {
        let fresh = InboxEntry(claimedAt: now, expiresAt: now + key.keptFor, answer: nil)
        guard let existing, existing.expiresAt > now else { return (.taken, fresh) }
        if let answer = existing.answer { return (.settled(answer), nil) }
        return isSafeToRepeat && now - existing.claimedAt >= patience ? (.taken, fresh) : (.underWay, nil)
    }
}
