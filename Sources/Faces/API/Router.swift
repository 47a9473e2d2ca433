/// Finds the route of a request, authenticates and authorizes it there and nowhere else, and answers every request, whatever it is.
public struct Router: Sendable {
    /// The routes of every face.
    public let routes: [Route]
    private let authenticator: any Authenticator

    /// A router of routes; the first that matches answers.
    ///
    /// - Parameters:
    ///   - routes: Those of all faces, one after the other.
    ///   - authenticator: What finds out who asks.
    public init(_ routes: [Route], authenticator: any Authenticator = SocketPeers()) {
        self.routes = routes
        self.authenticator = authenticator
    }

    /// Answers a request: 404 when no route has its path, 405 when none has its method, 401 and 403 when its route does not let it in.
    public func respond(to request: Request) async -> Response {
        var allowed: Set<String> = []
        for route in routes {
            guard let values = route.match(request.path) else { continue }
            if route.method == request.method { return await answer(request, values, by: route) }
            allowed.insert(route.method)
        }
        if allowed.isEmpty {
            return Problem(.notFound, "there is nothing at \(request.path)").response
        }
        let methods = allowed.sorted().joined(separator: ", ")
        var response = Problem(.methodNotAllowed, "\(request.path) accepts \(methods), not \(request.method)").response
        response.headers.append(Request.Pair("Allow", methods))
        return response
    }

    private func answer(_ request: Request, _ values: [String], by route: Route) async -> Response {
        var request = request
        do {
            request.identity = try await admit(request, to: route)
            return try await route.handler(request, values)
        } catch {
            let problem = Problem(thrown: error)
            return route.onProblem?(problem, request) ?? problem.response
        }
    }

    /// The identity with which a request may go on; nil on open routes.
    private func admit(_ request: Request, to route: Route) async throws(Problem) -> Identity? {
        guard route.access != .open else { return nil }
        guard let identity = try await authenticator.identify(request) else {
            throw Problem(
                .unidentified, "the request bears no credentials",
                hint: "send a token as Authorization: Bearer, or connect over the unix socket")
        }
        if let refusal = route.access.refusal(of: identity) { throw refusal }
        return identity
    }
}
