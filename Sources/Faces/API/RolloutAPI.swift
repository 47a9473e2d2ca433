public import SerinController
internal import SerinModel
internal import SerinRollouts

/// The API over a controller's operations, as a table of routes.
public struct RolloutAPI: Sendable {
    /// The longest long poll.
    static let waitLimit = Duration.seconds(60)
    /// The most decisions in one answer.
    static let decisionLimit = 1000
    /// The most rollouts in one answer.
    static let rolloutLimit = 500

    let operations: any RolloutOperations

    /// An API over operations, which carry its requests out.
    public init(_ operations: any RolloutOperations) { self.operations = operations }

    /// The routes.
    public var routes: [Route] {
        [startRoute, listRoute, statusRoute, waitRoute, gateRoute, logRoute, evidenceRoute, explanationRoute]
            + Self.commands.map(commandRoute) + [servicesRoute, journalRoute, checkpointRoute]
    }

    /// Whoever may look.
    static let seeing = Access.any(of: [.viewer])

    static let name = Operation.Parameter(
        "name", in: .path, "A rollout's identifier, or a service for its live rollout, else the last one.",
        schema: Schema.name(limit: 100))

    private var startRoute: Route {
        Route(
            "POST", "/v1/rollouts", summary: "start a rollout", access: .any(of: [.releaser]),
            operation: Operation(
                "startRollout", tag: "rollouts",
                parameters: [
                    Operation.Parameter(
                        "Idempotency-Key", in: .header,
                        "1 to 200 visible characters. The same request with the same key starts nothing more and is answered as the first time, also after a restart; another request with it is refused.",
                        schema: Schema.text(pattern: "^[!-~]{1,200}$"))
                ],
                body: .json("The policy and the versions.", Schema.reference("Start")),
                answers: [201: .json("Started, and durable.", Schema.reference("Rollout"), headers: ["Location"])]),
            handler: start)
    }

    private func start(_ request: Request, _: [String]) async throws -> Response {
        var order = try request.document(StartDocument.decode)
        if let key = request.header("Idempotency-Key") {
            guard (1...200).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw Problem(.malformed, "an Idempotency-Key has 1…200 visible characters")
            }
            order.requestKey = key
        }
        let status = try await operations.start(order, by: try request.identified().principal)
        return .json(201, StatusDocument.encode(status), headers: [Request.Pair("Location", "/v1/rollouts/\(status.id)")])
    }

    /// The commands with whom they are for. What makes a release safer is for more people than what makes it go on.
    private static let commands: [(word: String, access: Access)] = [
        ("halt", .any(of: [.operator])), ("hold", .any(of: [.operator])), ("rollback", .any(of: [.operator])),
        ("resume", .any(of: [.releaser, .approver], person: true)), ("promote", .any(of: [.releaser, .approver], person: true)),
        ("approve", .any(of: [.approver], person: true)),
    ]

    private func commandRoute(_ word: String, _ access: Access) -> Route {
        let isHalt = word == "halt"
        var parameters = [Self.name]
        if !isHalt {
            parameters.append(
                Operation.Parameter(
                    "If-Match", in: .header,
                    "An ETag of the rollout: refused with 412 once its state, step, weight or awaited approval is another. Measurements do not matter.",
                    schema: Schema.text()))
        }
        return Route(
            "POST", "/v1/rollouts/{name}:\(word)", summary: "\(word) a rollout", access: access,
            allowance: isHalt ? .halting : .usual,
            operation: Operation(
                "\(word)Rollout", tag: "rollouts", parameters: parameters,
                body: .json("Why, and what goes with it.", Schema.reference("Command")), isBodyOptional: true,
                answers: [202: .json("Durable; what follows from it happens now.", Schema.reference("Rollout"))])
        ) { request, names in
            let words = request.body.isEmpty ? CommandDocument(reason: "") : try request.document(CommandDocument.decode)
            let verb: Command.Verb? = isHalt && words.security ? .haltForSecurity : Command.Verb(rawValue: word)
            guard let verb else { throw Problem(.notFound, "there is no command '\(word)'") }
            if words.security, !isHalt { throw Problem(.malformed, "'security' goes with a halt only") }
            // A halt is never kept out because something has changed meanwhile.
            if !isHalt, let tag = request.header("If-Match") {
                try ETag.require(tag, try await operations.status(of: names[0]))
            }
            let status = try await operations.perform(
                Command(verb, by: try request.identified().principal, reason: words.reason, plan: words.plan), on: names[0])
            return .json(202, StatusDocument.encode(status))
        }
    }
}
