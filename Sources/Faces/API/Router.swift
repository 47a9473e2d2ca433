internal import Glibc

/// Finds the route of a request, authenticates and authorizes it there and nowhere else, and answers every request, whatever it is.
public struct Router: Sendable {
    /// The routes of every face.
    public let routes: [Route]
    private let authenticator: any Authenticator
    private let limiter: RateLimiter
    private let traffic: RequestMetrics?
    private let onUnknown: UnknownAnswer
    private let asksAgainAfter: Duration

    /// Answers a request that no route takes in another form than the problem's own; nil leaves it at that.
    public typealias UnknownAnswer = @Sendable (Problem, Request) -> Response?

    /// A router of routes; the first that matches answers.
    ///
    /// - Parameters:
    ///   - routes: Those of all faces, one after the other.
    ///   - authenticator: What finds out who asks.
    ///   - limiter: What keeps floods out.
    ///   - traffic: Told of every request that has a route.
    ///   - onUnknown: What those are answered with that have none.
    ///   - asksAgainAfter: How long an answer that stays open may go on before its reader is authenticated again.
    public init(
        _ routes: [Route], authenticator: any Authenticator = SocketPeers(), limiter: RateLimiter = RateLimiter(),
        traffic: RequestMetrics? = nil, onUnknown: @escaping UnknownAnswer = { _, _ in nil },
        asksAgainAfter: Duration = .seconds(5)
    ) {
        self.routes = routes
        self.authenticator = authenticator
        self.limiter = limiter
        self.traffic = traffic
        self.onUnknown = onUnknown
        self.asksAgainAfter = asksAgainAfter
    }

    /// Answers a request: 404 when no route has its path, 405 when none has its method, 401, 403 and 429 when its route does not let
    /// it in.
    public func respond(to request: Request) async -> Response {
        guard !request.hasControlCharacters else {
            return Problem(.malformed, "the address contains a control character").response
        }
        var request = request
        // The same answer, of which the server sends the header alone (RFC 9110, section 9.3.2).
        if request.method == "HEAD" { request.method = "GET" }
        var allowed: Set<String> = []
        for route in routes {
            guard let values = route.match(request.path) else { continue }
            if route.method == request.method {
                let begun = ContinuousClock().now
                let response = await answer(request, values, by: route)
                traffic?.note(route, status: response.status, took: ContinuousClock().now - begun)
                return response
            }
            allowed.formUnion(route.method == "GET" ? ["GET", "HEAD"] : [route.method])
        }
        if allowed.isEmpty {
            let problem = Problem(.notFound, "there is nothing at \(request.path)")
            return onUnknown(problem, request) ?? problem.response
        }
        let methods = allowed.sorted().joined(separator: ", ")
        let problem = Problem(.methodNotAllowed, "\(request.path) accepts \(methods), not \(request.method)")
        var response = onUnknown(problem, request) ?? problem.response
        response.headers.append(Request.Pair("Allow", methods))
        return response
    }

    /// The answer to a request whose own would stay open, when as many do as may.
    public func refuseStream(most: Int) -> Response {
        limiter.noteRefusal()
        return Problem(
            .unavailable, "\(most) answers stay open at this address already",
            hint: "ask without following, ask again later, or let more connections in with limits.connections"
        ).response
    }

    private func answer(_ request: Request, _ values: [String], by route: Route) async -> Response {
        var request = request
        do {
            request.identity = try await admit(request, to: route)
            try route.check(request.query)
            return watched(try await route.handler(request, values), to: request, by: route)
        } catch {
            let problem = Problem(thrown: error)
            return route.onProblem?(problem, request) ?? problem.response
        }
    }

    /// The same answer; one that stays open ends soon after its reader may no longer have it.
    private func watched(_ response: Response, to request: Request, by route: Route) -> Response {
        guard case .stream(let write) = response.body, route.access != .open else { return response }
        var response = response
        response.body = .stream { sink in
            await write(
                WatchedSink(sink, every: asksAgainAfter) {
                    // Whoever may read on is told so by the next request; here it is enough that this one does not.
                    guard let identity = try? await authenticator.identify(request) else { return false }
                    return route.access.refusal(of: identity) == nil
                })
        }
        return response
    }

    /// The identity with which a request may go on; nil on open routes. Whoever is known pays for itself, and strangers by their
    /// address: behind a proxy all have the same, and a stranger's flood must not keep a halt out.
    private func admit(_ request: Request, to route: Route) async throws(Problem) -> Identity? {
        let address = "peer " + request.peer.sender
        guard route.access != .open else {
            try limiter.take(from: address, route.allowance)
            return nil
        }
        let found: Identity?
        do throws(Problem) { found = try await authenticator.identify(request) } catch {
            try limiter.take(from: address, route.allowance)
            throw error
        }
        guard let identity = found else {
            try limiter.take(from: address, route.allowance)
            if let certificate = request.peer.certificate {
                throw Problem(
                    .unidentified, "nobody is known by the client certificate of \(certificate.subject), and there is no token",
                    hint: "name it under 'certificates' in the daemon's identities, or send a token as Authorization: Bearer")
            }
            throw Problem(
                .unidentified, "the request bears no credentials",
                hint: "send a token as Authorization: Bearer, or connect over the unix socket")
        }
        try limiter.take(from: "principal \(identity.principal)", route.allowance)
        if let refusal = route.access.refusal(of: identity) { throw refusal }
        return identity
    }
}

extension Peer {
    /// Who sends, as far as that is known without credentials. An IPv6 sender has a whole network of 64 bits to itself.
    var sender: String {
        if let uid { return "uid:\(uid)" }
        guard let address else { return "unknown" }
        var bytes = in6_addr()
        guard inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
        return withUnsafeBytes(of: bytes) { $0.prefix(8).map { String($0, radix: 16) }.joined(separator: ":") }
    }
}
