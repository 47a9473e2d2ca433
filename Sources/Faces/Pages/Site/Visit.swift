public import SerinModel
public import SerinRollouts

/// What every page knows of the one who reads it, and of the moment.
public struct Visit: Sendable, Hashable {
    /// Who reads; nil before the sign-in.
    public var reader: String?
    /// What they may ask of rollouts.
    public var verbs: Set<Command.Verb>
    /// Whether they came with a session of the pages, which can be ended.
    public var hasSession: Bool
    /// The token that forms send back, so that no other site can send them.
    public var formToken: String
    /// The word by which the browser knows this page's own style and script; new for each answer.
    public var nonce: String
    /// The time.
    public var now: Instant

    /// A visit.
    public init(
        reader: String?, verbs: Set<Command.Verb> = [], hasSession: Bool = false, formToken: String, nonce: String, now: Instant
    ) {
        self.reader = reader
        self.verbs = verbs
        self.hasSession = hasSession
        self.formToken = formToken
        self.nonce = nonce
        self.now = now
    }
}
