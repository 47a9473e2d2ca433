public import SerinModel

/// What a server accepts from outside.
public struct Limits: Sendable, Hashable {
    /// The longest body of a request, in bytes; a longer one is answered with 413.
    public var body = 1 << 20
    /// The most header fields, and the most query parameters, of a request.
    public var fields = 64
    /// The most connections at once to one socket or port. With a few of them open, a process stays below the thousand files that it
    /// may usually have: a flood must not keep the journal from being written.
    public var connections = 512
    /// The most connections at once from one address of a TCP peer: one client leaves room for others.
    public var addressConnections: Int { connections * 3 / 4 }
    /// The most answers at once that stay open, such as logs and pages. Fewer than what one address may have, because everyone behind
    /// a proxy has the same, and a halt has to come through.
    public var streams: Int { connections * 5 / 8 }
    /// How long a connection may be silent, in whole seconds.
    public var idle = Duration.seconds(15)
    /// How long a request's header may take to arrive, however steadily it does: from the connection on, or, on one that was used
    /// before, from the end of the silence that it may keep. While more than half of all places are taken it is a fifth of that.
    public var header = Duration.seconds(10)
    /// How long a request may take to arrive once its header is there.
    public var arrival = Duration.seconds(15)
    /// How many bytes of a growing answer wait for a slow peer.
    public var backlog = 256 << 10
    /// How long requests under way may go on when the server stops.
    public var grace = Duration.seconds(5)

    /// The defaults.
    public init() {}
}
