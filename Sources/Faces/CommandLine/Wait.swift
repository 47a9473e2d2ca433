public import SerinModel

/// What a verb waits for, and how long that may take.
public struct Wait: Sendable, Hashable {
    /// What is being done: `asking Prometheus at http://127.0.0.1:9090`.
    public var words: String
    /// The longest that it takes; nil when several things together have no limit of their own.
    public var limit: Duration?

    /// A wait.
    public init(_ words: String, limit: Duration? = nil) {
        self.words = words
        self.limit = limit
    }

    /// Takes note that another wait has begun.
    public typealias Note = @Sendable (Wait) -> Void
}
