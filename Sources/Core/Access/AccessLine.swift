public import SerinModel

/// What one entry of the log of access says: who did what to whom may do what.
public struct AccessLine: Sendable, Hashable, Codable {
    /// What was done.
    public enum Event: Sendable, Hashable, Codable {
        /// A token was made.
        case tokenCreated(TokenRecord)
        /// A token was ended before its time.
        case tokenRevoked(id: String, reason: String)
        /// A second person agreed to a token.
        case tokenApproved(id: String)
        /// A change of what is critical was proposed.
        case configurationProposed(ConfigurationChange, reason: String)
        /// What is in force from now on.
        case configurationSet(ConfigurationStatement, ConfigurationSignature)
    }

    /// When.
    public var at: Instant
    /// By whom.
    public var by: Principal
    /// What.
    public var event: Event

    /// A line.
    public init(at: Instant, by: Principal, _ event: Event) {
        self.at = at
        self.by = by
        self.event = event
    }
}

/// One line with its place in the log.
public struct AccessEntry: Sendable, Hashable {
    /// Its number, from 1 without gaps.
    public var sequence: Int64
    /// What it says.
    public var line: AccessLine
    /// The hash that links it to the entries before, lower-case hexadecimal.
    public var hash: String

    /// An entry.
    public init(sequence: Int64, line: AccessLine, hash: String) {
        self.sequence = sequence
        self.line = line
        self.hash = hash
    }
}
