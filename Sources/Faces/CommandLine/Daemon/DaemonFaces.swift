internal import SerinAPI
internal import SerinController
internal import SerinModel

/// What a daemon answers, and how it finds out who asks: the one place where its faces are put together.
struct DaemonFaces: Sendable {
    let operations: any RolloutOperations
    let messages: (any DaemonMessages)?

    /// The routes of every face.
    var routes: [Route] { RolloutAPI(operations).routes + (messages?.routes ?? []) }

    /// The router of the unix socket.
    func router(groupMayStart: Bool) -> Router { Router(routes, authenticator: SocketPeers(othersMayStart: groupMayStart)) }

    /// The router of addresses.
    var router: Router { Router(routes, authenticator: Authenticators([])) }
}
