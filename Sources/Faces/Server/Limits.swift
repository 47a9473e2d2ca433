public import SerinModel

/// What a server accepts from outside.
public struct Limits: Sendable, Hashable {
    /// The longest body of a request, in bytes; a longer one is answered with 413.
    public var body = 1 << 20
    /// The most header fields, and the most query parameters, of a request.
    public var fields = 64
    /// The most connections at once.
    public var connections = 1024
    /// The most connections at once from one address of a TCP peer.
    public var addressConnections = 512
    /// How long a connection may be silent, in whole seconds.
    public var idle = Duration.seconds(15)
    /// How long a request may take to arrive once its header is there.
    public var arrival = Duration.seconds(15)
    /// How many bytes of a growing answer wait for a slow peer.
    public var backlog = 256 << 10
    /// How long requests under way may go on when the server stops.
    public var grace = Duration.seconds(5)

    /// The defaults.
    public init() {}
}
