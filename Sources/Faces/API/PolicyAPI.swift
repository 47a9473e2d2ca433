public import SerinController
public import SerinModel

/// A policy of which something is asked before it is used.
public struct PolicyQuestion: Sendable, Hashable {
    /// The policy's text.
    public var text: String
    /// Its name, for messages.
    public var file: String
    /// The version to release.
    public var version: String?
    /// The version to go back to.
    public var previous: String?
    /// Whether nothing is to be contacted.
    public var isOffline: Bool

    /// The question in a document; unknown members are refused.
    static func decode(_ value: JSONValue) throws(DocumentError) -> PolicyQuestion {
        let reader = try DocumentReader(value, name: "request")
        try reader.allowOnly(["policy", "version", "previous", "offline"])
        let policy = try DocumentReader(value["policy"] ?? .null, name: "policy")
        try policy.allowOnly(["file", "text"])
        return PolicyQuestion(
            text: try policy.text("text"), file: try policy.optional("file", "a text") { $0.text } ?? "policy",
            version: try reader.optional("version", "a text") { $0.text },
            previous: try reader.optional("previous", "a text") { $0.text },
            isOffline: reader.present("offline") == nil ? false : try reader.flag("offline"))
    }
}

/// What can be asked of policies before they are used. A policy names programs and files, so only those may ask who may start one.
public struct PolicyAPI: Sendable {
    /// Answers a question with a document.
    public typealias Answer = @Sendable (PolicyQuestion) async throws(OperationError) -> JSONValue

    private let check: Answer
    private let plan: Answer
    private let migrations: Answer

    /// An API of policies.
    ///
    /// - Parameters:
    ///   - check: As `serin check`.
    ///   - plan: As `serin plan`.
    ///   - migrations: As `serin migrate status`.
    public init(check: @escaping Answer, plan: @escaping Answer, migrations: @escaping Answer) {
        self.check = check
        self.plan = plan
        self.migrations = migrations
    }

    /// The routes.
    public var routes: [Route] {
        [
            route("/v1/policies:check", "checkPolicy", "validate a policy and try everything that it names", check),
            route("/v1/policies:plan", "planRollout", "what a rollout would do, how long it takes, and its way back", plan),
            route(
                "/v1/migrations:status", "showMigrations",
                "where the policy's database is, and whether its schema is as it was left",
                migrations),
        ]
    }

    private func route(_ path: String, _ id: String, _ summary: String, _ answer: @escaping Answer) -> Route {
        Route(
            "POST", path, summary: summary, access: .any(of: [.releaser]),
            operation: Operation(
                id, tag: "policies", body: .json("The policy.", Schema.reference("PolicyQuestion")),
                answers: [200: .json("As the command line has it with -o json.", Schema.anything)])
        ) { request, _ in .json(200, try await answer(try request.document(PolicyQuestion.decode))) }
    }
}
