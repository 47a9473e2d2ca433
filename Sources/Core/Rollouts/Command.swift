public import SerinModel

/// What someone asks of a rollout.
public struct Command: Sendable, Hashable, Codable {
    /// The verb.
    public enum Verb: String, Sendable, Hashable, Codable, CaseIterable {
        /// Weight 0 and the end of this rollout; never refused while it is live.
        case halt
        /// As `halt`, for a security reason: a new rollout then needs more people.
        case haltForSecurity
        /// Freeze the weight.
        case hold
        /// Go on after a hold.
        case resume
        /// Skip the remaining steps.
        case promote
        /// Take everything back.
        case rollback
        /// Agree to what is waiting for approval.
        case approve
    }

    /// The verb.
    public var verb: Verb
    /// Who asks.
    public var by: Principal
    /// Why; may be empty.
    public var reason: String
    /// The hash, or its first twelve digits at least, of the plan that an approval is for; nil where no plan is asked about.
    public var plan: String?

    /// A command.
    public init(_ verb: Verb, by: Principal, reason: String, plan: String? = nil) {
        self.verb = verb
        self.by = by
        self.reason = reason
        self.plan = plan
    }

    /// The most characters of a reason that are kept.
    public static let reasonLimit = 1000

    /// A reason as it is kept. A longer one loses its end: nothing is refused for what it says of itself, least of all a halt.
    public static func kept(_ reason: String) -> String {
        reason.utf8.count <= reasonLimit || reason.count <= reasonLimit ? reason : reason.prefix(reasonLimit - 1) + "…"
    }
}

/// Why a command is not accepted; nothing changed.
public struct Refusal: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    /// What is lacking, in words for the one who asked.
    public var message: String
    /// What to do instead.
    public var hint: String?

    /// A refusal.
    public init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }

    /// The message, then the hint on a line of its own.
    public var description: String { hint.map { "\(message)\nhint: \($0)" } ?? message }
}
