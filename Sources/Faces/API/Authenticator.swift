internal import Glibc
internal import SerinModel

/// Finds out who sends a request.
public protocol Authenticator: Sendable {
    /// The identity that a request proves.
    ///
    /// - Returns: Nil when the request bears nothing that this authenticator judges; another one is asked then.
    /// - Throws: `unidentified` when it bears credentials that are not good, or `unavailable` when nobody can tell at the moment.
    func identify(_ request: Request) async throws(Problem) -> Identity?
}

/// Several authenticators; the first that knows a request's credentials decides.
public struct Authenticators: Authenticator {
    /// In the order in which they are asked.
    public var all: [any Authenticator]

    /// These, in this order.
    public init(_ all: [any Authenticator]) { self.all = all }

    /// What the first one says that does not pass.
    public func identify(_ request: Request) async throws(Problem) -> Identity? {
        for authenticator in all {
            if let identity = try await authenticator.identify(request) { return identity }
        }
        return nil
    }
}

/// Identifies the peers of unix sockets by their user, as the kernel tells it.
///
/// This process' own user and root may do everything. Whoever else can connect sees everything, makes a release safer, lets it go on
/// and approves; they may start rollouts only when they are let, because a policy names programs, which run as this process' user, and
/// files, which are read as that user.
public struct SocketPeers: Authenticator {
    private let owner: UInt32
    private let othersMayStart: Bool

    /// An authenticator of sockets.
    ///
    /// - Parameters:
    ///   - owner: The user that may do everything, beside root; nil for this process' own.
    ///   - othersMayStart: Whether everyone who can connect may do what the owner may.
    public init(owner: UInt32? = nil, othersMayStart: Bool = false) {
        self.owner = owner ?? geteuid()
        self.othersMayStart = othersMayStart
    }

    /// The peer's user; nil for a peer that is no local one.
    public func identify(_ request: Request) -> Identity? {
        guard let uid = request.peer.uid else { return nil }
        let mayAll = othersMayStart || uid == owner || uid == 0
        return Identity(
            .uid(uid), roles: mayAll ? Set(Role.allCases) : [.approver], scopes: mayAll ? Set(Scope.allCases) : [.backupRead],
            isPerson: true, how: .unix,
            hint:
                "do it as the user that the controller runs as; to start, the group may be let with serin daemon --group-may-start"
        )
    }
}
