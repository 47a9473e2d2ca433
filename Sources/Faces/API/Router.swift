/// One route of the API as a value: a method, a pattern and what answers.
public struct Route: Sendable {
    /// What answers. The values of the pattern's `{names}` come in the pattern's order.
    public typealias Handler = @Sendable (Request, [String]) async -> Response

    /// The method in capitals.
    public var method: String
    /// The path with `{names}`, such as `/v1/rollouts/{name}:halt`.
    public var pattern: String
    /// What it does, for the list of routes.
    public var summary: String
    /// What answers.
    public var handler: Handler

    /// A route.
    public init(_ method: String, _ pattern: String, summary: String, handler: @escaping Handler) {
        self.method = method
        self.pattern = pattern
        self.summary = summary
        self.handler = handler
    }

    /// The values of the pattern's names in a path; nil when the path does not match.
    func match(_ path: String) -> [String]? {
        let expected = pattern.split(separator: "/", omittingEmptySubsequences: false)
        let given = path.split(separator: "/", omittingEmptySubsequences: false)
        guard expected.count == given.count else { return nil }
        var values: [String] = []
        for (part, text) in zip(expected, given) {
            guard part.hasPrefix("{"), let end = part.firstIndex(of: "}") else {
                if part == text { continue }
                return nil
            }
            let suffix = part[part.index(after: end)...]
            guard text.hasSuffix(suffix) else { return nil }
            let value = text.dropLast(suffix.count)
            // A colon separates a name from a verb, so a name never holds one.
            guard !value.isEmpty, !value.contains(":") else { return nil }
            values.append(String(value))
        }
        return values
    }
}

/// Finds the route of a request and answers every request, whatever it is.
public struct Router: Sendable {
    /// The routes.
    public let routes: [Route]

    /// A router of routes; the first that matches answers.
    public init(_ routes: [Route]) { self.routes = routes }

    /// Answers a request: 404 when no route has its path, 405 when none has its method.
    public func respond(to request: Request) async -> Response {
        var allowed: Set<String> = []
        for route in routes {
            guard let values = route.match(request.path) else { continue }
            if route.method == request.method { return await route.handler(request, values) }
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
}
