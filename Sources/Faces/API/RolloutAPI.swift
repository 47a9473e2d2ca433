public import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRecords
internal import SerinRollouts

/// The API over a controller's operations, as a table of routes.
public struct RolloutAPI: Sendable {
    /// The longest long poll.
    static let waitLimit = Duration.seconds(60)
    /// The most decisions in one answer.
    static let decisionLimit = 1000

    private let operations: any RolloutOperations

    /// An API over operations, which carry its requests out.
    public init(_ operations: any RolloutOperations) { self.operations = operations }

    /// The routes.
    public var routes: [Route] {
        [
            Route("GET", "/healthz", summary: "whether the process answers", access: .open, allowance: .none) { _, _ in
                Response.json(200, .object(["status": .string("ok")]))
            },
            Route("POST", "/v1/rollouts", summary: "start a rollout", access: .any(of: [.releaser]), handler: start),
            Route(
                "GET", "/v1/rollouts", summary: "every live rollout, and the last finished one of each service",
                access: Self.seeing,
                handler: list),
            Route(
                "GET", "/v1/rollouts/{name}", summary: "one rollout, by its identifier or service", access: Self.seeing,
                handler: status),
            Route(
                "GET", "/v1/rollouts/{name}/wait", summary: "the status once it differs from ?seen=, or after ?timeout=",
                access: Self.seeing, handler: wait),
            Route(
                "GET", "/v1/rollouts/{name}/log",
                summary: "its decisions ?after= a number, at most ?limit=; ?follow=true goes on", access: Self.seeing,
                handler: log),
            Route(
                "GET", "/v1/services/{name}/journal",
                summary: "the service's journal entries as stored, ?after= a number, at most ?limit=, for a check of one's own",
                access: Self.seeing, handler: journal),
        ] + Self.commands.map(commandRoute)
    }

    private static let seeing = Access.any(of: [.viewer])

    /// The commands with whom they are for. What makes a release safer is for more people than what makes it go on.
    private static let commands: [(word: String, access: Access)] = [
        ("halt", .any(of: [.operator])), ("hold", .any(of: [.operator])), ("rollback", .any(of: [.operator])),
        ("resume", .any(of: [.releaser, .approver], person: true)), ("promote", .any(of: [.releaser, .approver], person: true)),
        ("approve", .any(of: [.approver], person: true)),
    ]

    private func commandRoute(_ word: String, _ access: Access) -> Route {
        Route(
            "POST", "/v1/rollouts/{name}:\(word)", summary: "\(word) a rollout", access: access,
            allowance: word == "halt" ? .halting : .usual
        ) { request, names in
            let words = request.body.isEmpty ? CommandDocument(reason: "") : try read(request.body, CommandDocument.decode)
            let verb: Command.Verb? = word == "halt" && words.security ? .haltForSecurity : Command.Verb(rawValue: word)
            guard let verb else { throw Problem(.notFound, "there is no command '\(word)'") }
            if words.security, verb != .haltForSecurity { throw Problem(.malformed, "'security' goes with a halt only") }
            let status = try await operations.perform(
                Command(verb, by: try request.identified().principal, reason: words.reason, plan: words.plan), on: names[0])
            return .json(202, StatusDocument.encode(status))
        }
    }

    private func start(_ request: Request, _: [String]) async throws -> Response {
        let status = try await operations.start(
            try read(request.body, StartDocument.decode), by: try request.identified().principal)
        return .json(201, StatusDocument.encode(status), headers: [Request.Pair("Location", "/v1/rollouts/\(status.id)")])
    }

    private func list(_ request: Request, _: [String]) async throws -> Response {
        .json(200, StatusDocument.encode(try await operations.statuses()))
    }

    private func status(_ request: Request, names: [String]) async throws -> Response {
        tagged(try await operations.status(of: names[0]))
    }

    private func wait(_ request: Request, names: [String]) async throws -> Response {
        let asked = request.parameter("timeout")
        guard let timeout = asked.map({ Duration(policyText: $0) }) ?? .seconds(30) else {
            throw Problem(.malformed, "'timeout' is a length of time such as 30s")
        }
        let present = try await operations.status(of: names[0])
        guard let seen = request.parameter("seen"), seen == StatusDocument.token(present) else { return tagged(present) }
        return tagged(
            try await operations.statusChange(of: names[0], from: present, timeout: min(timeout, Self.waitLimit)))
    }

    private func log(_ request: Request, names: [String]) async throws -> Response {
        let format = try LogFormat(request)
        let after = try start(request, orAfter: request.header("Last-Event-ID"))
        let limit = try limit(request, most: Self.decisionLimit, otherwise: 200)
        let first = try await operations.decisions(of: names[0], after: after, limit: limit)
        let isFollowing = format == .events || request.parameter("follow") == "true"
        if format == .document { return .json(200, DecisionDocument.encode(first, after: after)) }
        let headers = [Request.Pair("Content-Type", format.mediaType), Request.Pair("Cache-Control", "no-store")]
        guard isFollowing else {
            return Response(status: 200, headers: headers, body: .bytes(first.flatMap { format.encode($0) }))
        }
        let follower = LogFollower(operations: operations, name: names[0], format: format, limit: limit)
        return Response(
            status: 200, headers: headers, body: .stream { sink in await follower.run(from: first, after: after, to: sink) })
    }

    private func journal(_ request: Request, names: [String]) async throws -> Response {
        guard let service = ServiceName(names[0]) else { throw Problem(.notFound, "there is no service '\(names[0])'") }
        let after = try start(request)
        let limit = try limit(request, most: JournalDocument.limit, otherwise: JournalDocument.limit)
        let entries = try await operations.entries(of: service, after: after, limit: limit)
        return .json(200, JournalDocument.encode(JournalDocument.page(entries), after: after))
    }

    /// The number of the entry after which to read.
    private func start(_ request: Request, orAfter last: String? = nil) throws(Problem) -> Int64 {
        guard let after = Int64(request.parameter("after") ?? last ?? "0"), after >= 0 else {
            throw Problem(.malformed, "'after' is an entry's number")
        }
        return after
    }

    private func limit(_ request: Request, most: Int, otherwise usual: Int) throws(Problem) -> Int {
        guard let limit = Int(request.parameter("limit") ?? "\(usual)"), (1...most).contains(limit) else {
            throw Problem(.malformed, "'limit' is 1…\(most)")
        }
        return limit
    }

    private func tagged(_ status: RolloutStatus) -> Response {
        .json(
            200, StatusDocument.encode(status), headers: [Request.Pair("ETag", "\"\(StatusDocument.token(status))\"")])
    }

    private func read<Document>(
        _ body: [UInt8], _ decode: (JSONValue) throws(DocumentError) -> Document
    ) throws -> Document {
        try decode(try JSONValue(parsing: body, depthLimit: 16))
    }
}
