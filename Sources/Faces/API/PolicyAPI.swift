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

    /// A question.
    public init(text: String, file: String, version: String?, previous: String?, isOffline: Bool) {
        self.text = text
        self.file = file
        self.version = version
        self.previous = previous
        self.isOffline = isOffline
    }

    /// The question as a document.
    public func encode() -> JSONValue {
        .object([
            "policy": .object(["file": .string(file), "text": .string(text)]),
            "version": version.map { .string($0) } ?? .null, "previous": previous.map { .string($0) } ?? .null,
            "offline": .bool(isOffline),
        ])
    }

    /// The question in a document; unknown members are refused.
    static func decode(_ value: JSONValue) throws(DocumentError) -> PolicyQuestion {
        let reader = try DocumentReader(value, name: "request")
        try reader.allowOnly(["policy", "version", "previous", "offline"])
        let policy = try PolicyText(value)
        return PolicyQuestion(
            text: policy.text, file: policy.file,
            version: try reader.optional("version", "a text") { $0.text },
            previous: try reader.optional("previous", "a text") { $0.text },
            isOffline: reader.present("offline") == nil ? false : try reader.flag("offline"))
    }
}

/// What can be asked of policies before they are used. A check and a plan try what a policy names, programs and files among it, so only
/// those may ask who may start one. Simulations and backtests contact nothing and compute only.
public struct PolicyAPI: Sendable {
    /// Answers a question with a document.
    public typealias Answer<Question> = @Sendable (Question) async throws(OperationError) -> JSONValue

    private let check: Answer<PolicyQuestion>
    private let plan: Answer<PolicyQuestion>
    private let migrations: Answer<PolicyQuestion>
    private let simulate: Answer<SimulationQuestion>
    private let backtest: Answer<BacktestQuestion>

    /// An API of policies.
    ///
    /// - Parameters:
    ///   - check: As `serin check`.
    ///   - plan: As `serin plan`.
    ///   - migrations: As `serin migrate status`.
    ///   - simulate: As `serin simulate`.
    ///   - backtest: As `serin backtest` of a rollout.
    public init(
        check: @escaping Answer<PolicyQuestion>, plan: @escaping Answer<PolicyQuestion>,
        migrations: @escaping Answer<PolicyQuestion>, simulate: @escaping Answer<SimulationQuestion>,
        backtest: @escaping Answer<BacktestQuestion>
    ) {
        self.check = check
        self.plan = plan
        self.migrations = migrations
        self.simulate = simulate
        self.backtest = backtest
    }

    /// The routes.
    public var routes: [Route] {
        let starting = Access.any(of: [.releaser])
        return [
            route(
                "/v1/policies:check", "checkPolicy", "validate a policy and try everything that it names", starting,
                "PolicyQuestion", PolicyQuestion.decode, check),
            route(
                "/v1/policies:plan", "planRollout", "what a rollout would do, how long it takes, and its way back", starting,
                "PolicyQuestion", PolicyQuestion.decode, plan),
            route(
                "/v1/policies:simulate", "simulatePolicy", "what a policy does with drawn traffic", RolloutAPI.seeing,
                "SimulationQuestion", SimulationQuestion.decode, simulate),
            route(
                "/v1/policies:backtest", "backtestPolicy", "what a policy would have decided on what a rollout read",
                RolloutAPI.seeing, "BacktestQuestion", BacktestQuestion.decode, backtest),
            route(
                "/v1/migrations:status", "showMigrations",
                "where the policy's database is, and whether its schema is as it was left", starting, "PolicyQuestion",
                PolicyQuestion.decode, migrations),
        ]
    }

    private func route<Question>(
        _ path: String, _ id: String, _ summary: String, _ access: Access, _ schema: String,
        _ decode: @escaping @Sendable (JSONValue) throws(DocumentError) -> Question, _ answer: @escaping Answer<Question>
    ) -> Route {
        Route(
            "POST", path, summary: summary, access: access,
            operation: Operation(
                id, tag: "policies", body: .json("The policy.", Schema.reference(schema)),
                answers: [200: .json("As the command line has it with -o json.", Schema.anything)])
        ) { request, _ in .json(200, try await answer(try request.document(decode))) }
    }
}
