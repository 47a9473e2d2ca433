/// What kind of failure an outside part answered with, which decides whether and how to try again.
public enum FailureClass: String, Sendable, Hashable, Codable {
    /// The request can never succeed as it is: do not repeat it.
    case invalid
    /// Not allowed: credentials or rights are missing.
    case denied
    /// Someone else changed the thing meanwhile: read again.
    case conflict
    /// Asked too often: wait, then repeat.
    case throttled
    /// A passing fault: repeat.
    case transient
    /// Sent, but no answer came: it may or may not have happened. Read before any repeat.
    case unknown
}

/// A failure of something outside, in words for people and a class for the controller.
public struct Failure: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    /// What kind it is.
    public var kind: FailureClass
    /// What was tried, on what, and what came back; lower case, without secrets.
    public var message: String
    /// What to do about it, when known.
    public var hint: String?
    /// How long the other side asked to wait, when throttled.
    public var retryAfter: Duration?

    /// A failure with its words.
    public init(_ kind: FailureClass, _ message: String, hint: String? = nil, retryAfter: Duration? = nil) {
        self.kind = kind
        self.message = message
        self.hint = hint
        self.retryAfter = retryAfter
    }

    /// The message, then the hint on a line of its own.
    public var description: String { hint.map { "\(message)\nhint: \($0)" } ?? message }
}
