public import SerinController
public import SerinModel

/// What is decided by two people: the daemon's configuration and tokens.
public protocol ConfigurationDesk: Sendable {
    /// What is in force, what waits, and what was changed.
    func standing() async throws(OperationError) -> JSONValue

    /// Proposes what the files on the controller's host say now.
    func propose(reason: String, by principal: Principal) async throws(OperationError) -> JSONValue

    /// Proposes a policy, by which rollouts of its service may start once another person agrees.
    func propose(
        policy text: String, file: String, reason: String, by principal: Principal
    ) async throws(OperationError) -> JSONValue

    /// Agrees to what was proposed, by the hash of the change; it is in force when this returns.
    func approve(plan: String?, by principal: Principal) async throws(OperationError) -> JSONValue

    /// Every token that ever was, in the order they were made, as `serin token list --all` shows them: never a token, nor its hash. Each
    /// has an `id`, and a `state`.
    func tokens() async throws(OperationError) -> [JSONValue]

    /// Agrees to a token that waits for a second person.
    func approveToken(_ name: String, by principal: Principal) async throws(OperationError) -> JSONValue
}

/// The API of what two people decide about. Nothing is set by it: what is proposed is what the files on the host say, or a policy, in which
/// secrets are only named. So no secret, and no address with one, ever comes this way.
public struct ConfigurationAPI: Sendable {
    private let desk: any ConfigurationDesk

    /// An API over a desk.
    public init(_ desk: any ConfigurationDesk) { self.desk = desk }

    /// The routes.
    public var routes: [Route] {
        [
            Route(
                "GET", "/v1/configuration", summary: "what is in force, what waits for a second person, and what was changed",
                access: .any(of: [.viewer]),
                operation: Operation(
                    "showConfiguration", tag: "configuration",
                    answers: [200: .json("As serin config show has it with -o json.", Schema.anything)])
            ) { _, _ in .json(200, try await desk.standing()) },
            Route(
                "POST", "/v1/configuration:propose", summary: "propose what the files on the controller's host say now",
                access: .any(of: [.admin], person: true),
                operation: Operation(
                    "proposeConfiguration", tag: "configuration",
                    body: .json("Why.", Schema.reference("Command")), isBodyOptional: true,
                    answers: [202: .json("It waits for a second person.", Schema.anything)])
            ) { request, _ in
                let words = try Self.words(request)
                return .json(202, try await desk.propose(reason: words.reason, by: try request.identified().principal))
            },
            Route(
                "POST", "/v1/policies:propose", summary: "propose a policy by which rollouts of its service may start",
                access: .any(of: [.admin], person: true),
                operation: Operation(
                    "proposePolicy", tag: "configuration",
                    body: .json("The policy, and why.", Schema.reference("PolicyProposal")),
                    answers: [202: .json("It waits for a second person.", Schema.anything)])
            ) { request, _ in
                let proposal = try request.document(PolicyProposal.decode)
                return .json(
                    202,
                    try await desk.propose(
                        policy: proposal.text, file: proposal.file, reason: proposal.reason,
                        by: try request.identified().principal))
            },
            Route(
                "POST", "/v1/configuration:approve", summary: "agree to the change that was proposed, by its hash",
                access: .any(of: [.approver, .admin], person: true),
                operation: Operation(
                    "approveConfiguration", tag: "configuration",
                    body: .json("The plan that is agreed to.", Schema.reference("Command")),
                    answers: [200: .json("It is in force.", Schema.anything)])
            ) { request, _ in
                let words = try Self.words(request)
                return .json(200, try await desk.approve(plan: words.plan, by: try request.identified().principal))
            },
            tokensRoute,
            Route(
                "POST", "/v1/tokens/{name}:approve", summary: "agree to a token that waits for a second person",
                access: .any(of: [.approver, .admin], person: true),
                operation: Operation(
                    "approveToken", tag: "configuration",
                    parameters: [
                        Operation.Parameter("name", in: .path, "The token's number or name.", schema: Schema.name(limit: 100))
                    ], answers: [200: .json("It gives what it says from now on.", Schema.anything)])
            ) { request, names in
                .json(200, try await desk.approveToken(names[0], by: try request.identified().principal))
            },
        ]
    }

    private var tokensRoute: Route {
        Route(
            "GET", "/v1/tokens", summary: "the tokens, whose they are and when they were last used; never the tokens themselves",
            access: .any(of: [.admin]),
            operation: Operation(
                "listTokens", tag: "configuration",
                parameters: [
                    Operation.Parameter(
                        "state", in: .query, "Only in this state.", schema: Schema.oneOf(TokenState.allCases.map(\.rawValue))),
                    RolloutAPI.limitParameter(RolloutAPI.rolloutLimit),
                    Operation.Parameter(
                        "cursor", in: .query, "The `next` of the page before.", schema: Schema.text(pattern: "^[0-9a-f]{8}$")),
                ],
                answers: [200: .json("In the order they were made; revoked and ended ones, too.", Schema.reference("Tokens"))])
        ) { request, _ in
            let limit = try request.limit(most: RolloutAPI.rolloutLimit, otherwise: 100)
            var tokens = try await desk.tokens()
            if let cursor = request.parameter("cursor") {
                guard let index = tokens.firstIndex(where: { $0["id"]?.text == cursor }) else {
                    throw Problem(.malformed, "'cursor' is the 'next' of another page")
                }
                tokens.removeFirst(index + 1)
            }
            if let state = request.parameter("state") {
                guard TokenState(rawValue: state) != nil else {
                    throw Problem(
                        .malformed, "'state' is one of \(TokenState.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                tokens.removeAll { $0["state"]?.text != state }
            }
            let next = tokens.count > limit ? tokens[limit - 1]["id"] : nil
            return .json(
                200,
                .object([
                    "schema": .string("serin.dev/tokens/v1"), "tokens": .array(Array(tokens.prefix(limit))),
                    "next": next ?? .null,
                ]))
        }
    }

    private static func words(_ request: Request) throws -> CommandDocument {
        let words = request.body.isEmpty ? CommandDocument(reason: "") : try request.document(CommandDocument.decode)
        guard !words.security, words.reason.count <= 1000 else {
            throw Problem(.malformed, "a reason has at most 1000 characters, and 'security' goes with a halt only")
        }
        return words
    }
}

/// What a token is at a moment.
public enum TokenState: String, Sendable, Hashable, CaseIterable {
    /// It gives what it says.
    case valid
    /// It gives nothing before a second person agrees to it.
    case awaitingApproval = "awaiting approval"
    /// Its time is over.
    case ended
    /// Somebody ended it before its time.
    case revoked
}

/// A policy that somebody proposes.
private struct PolicyProposal {
    var text: String
    var file: String
    var reason: String

    /// What a document says; unknown members are refused.
    static func decode(_ value: JSONValue) throws(DocumentError) -> PolicyProposal {
        let reader = try DocumentReader(value, name: "request")
        try reader.allowOnly(["policy", "reason"])
        let policy = try DocumentReader(value["policy"] ?? .null, name: "policy")
        try policy.allowOnly(["file", "text"])
        let reason = try reader.optional("reason", "a text") { $0.text } ?? ""
        guard reason.count <= 1000 else { throw reader.wrong("reason", "at most 1000 characters") }
        return PolicyProposal(
            text: try policy.text("text"), file: try policy.optional("file", "a text") { $0.text } ?? "policy", reason: reason)
    }
}
