public import SerinModel

/// One route as a value: a method, a pattern, whom it lets in, and what answers.
public struct Route: Sendable {
    /// What answers. The values of the pattern's `{names}` come in the pattern's order. Errors of operations, problems, and errors of
    /// documents become problem documents; anything else thrown is answered with 500.
    public typealias Handler = @Sendable (Request, [String]) async throws -> Response

    /// Whose allowance of requests a request is taken from.
    public enum Allowance: Sendable, Hashable, CaseIterable {
        /// That of everything usual.
        case usual
        /// One of its own, generous: what makes a release safer is not kept out by a flood of anything else.
        case halting
        /// None: probes of the process' health, and what limits itself.
        case none
    }

    /// The method in capitals.
    public var method: String
    /// The path with `{names}`, such as `/v1/rollouts/{name}:halt`.
    public var pattern: String
    /// What it does, for the list of routes.
    public var summary: String
    /// Whom it lets in.
    public var access: Access
    /// Whose allowance a request is taken from.
    public var allowance: Allowance
    /// Its place in the OpenAPI document; nil keeps it out, as pages and hooks are.
    public var operation: Operation?
    /// How this face words a problem, such as a page that asks to sign in; nil for the problem document.
    public var onProblem: (@Sendable (Problem, Request) -> Response)?
    /// What answers.
    public var handler: Handler

    /// A route.
    public init(
        _ method: String, _ pattern: String, summary: String, access: Access, allowance: Allowance = .usual,
        operation: Operation? = nil, onProblem: (@Sendable (Problem, Request) -> Response)? = nil, handler: @escaping Handler
    ) {
        self.method = method
        self.pattern = pattern
        self.summary = summary
        self.access = access
        self.allowance = allowance
        self.operation = operation
        self.onProblem = onProblem
        self.handler = handler
    }

    /// Refuses a query that says what nobody reads: a name that is misspelt would silently ask for something else. A halt is not
    /// kept out by that, nor are probes.
    func check(_ query: [Request.Pair]) throws(Problem) {
        guard let operation, allowance == .usual else { return }
        let known = operation.parameters.filter { $0.place == .query }.map(\.name)
        for (index, pair) in query.enumerated() {
            guard known.contains(pair.name) else {
                throw Problem(
                    .malformed, "there is no parameter '\(pair.name)' here",
                    hint: known.isEmpty ? "this takes no parameters" : "one of \(known.joined(separator: ", "))")
            }
            guard !query[..<index].contains(where: { $0.name == pair.name }) else {
                throw Problem(.malformed, "the parameter '\(pair.name)' stands twice")
            }
        }
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

/// What the OpenAPI document says of a route beside its method, path, summary and access.
public struct Operation: Sendable, Hashable {
    /// One parameter. Those of the path are required.
    public struct Parameter: Sendable, Hashable {
        /// Where it stands.
        public enum Place: String, Sendable, Hashable { case path, query, header }

        /// Its name.
        public var name: String
        /// Where it stands.
        public var place: Place
        /// What it means.
        public var summary: String
        /// Its JSON Schema.
        public var schema: JSONValue

        /// A parameter.
        public init(_ name: String, in place: Place, _ summary: String, schema: JSONValue) {
            self.name = name
            self.place = place
            self.summary = summary
            self.schema = schema
        }
    }

    /// One answer, or the body of a request.
    public struct Content: Sendable, Hashable {
        /// What it is.
        public var summary: String
        /// The media types with their JSON Schemas; empty for no body.
        public var media: [Media]
        /// Header fields that go with it, with what they mean.
        public var headers: [String]

        /// A media type with the schema of its content.
        public struct Media: Sendable, Hashable {
            /// Such as `application/json`.
            public var type: String
            /// The JSON Schema.
            public var schema: JSONValue

            /// A media type.
            public init(_ type: String, _ schema: JSONValue) {
                self.type = type
                self.schema = schema
            }
        }

        /// A content.
        public init(_ summary: String, _ media: [Media] = [], headers: [String] = []) {
            self.summary = summary
            self.media = media
            self.headers = headers
        }

        /// JSON.
        public static func json(_ summary: String, _ schema: JSONValue, headers: [String] = []) -> Content {
            Content(summary, [Media("application/json", schema)], headers: headers)
        }
    }

    /// The operation's name, unique in the document: `startRollout`.
    public var id: String
    /// The group under which it stands: `rollouts`.
    public var tag: String
    /// Its parameters.
    public var parameters: [Parameter]
    /// Its body; nil when it takes none.
    public var body: Content?
    /// Whether the body may be left out.
    public var isBodyOptional: Bool
    /// Its answers by status, other than problems, which every operation may answer with.
    public var answers: [Int: Content]

    /// An operation.
    public init(
        _ id: String, tag: String, parameters: [Parameter] = [], body: Content? = nil, isBodyOptional: Bool = false,
        answers: [Int: Content]
    ) {
        self.id = id
        self.tag = tag
        self.parameters = parameters
        self.body = body
        self.isBodyOptional = isBodyOptional
        self.answers = answers
    }
}
