public import SerinModel

/// What a server accepts from outside.
public struct Limits: Sendable, Hashable {
    /// The longest body of a request, in bytes; a longer one is answered with 413.
    public var body = 1 << 20
    /// The most header fields, and the most query parameters, of a request.
    public var fields = 64
    /// The most connections at once of a unix socket.
    public var connections = 256
    /// The same of a TCP listener. With the unix socket's it stays below the thousand files that a process may usually open: a flood
    /// must not keep the journal from being written.
    public var tcpConnections = 512
    /// The most connections at once from one address of a TCP peer.
    public var addressConnections = 384
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
