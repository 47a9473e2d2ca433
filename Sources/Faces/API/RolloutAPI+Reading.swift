internal import SerinController
internal import SerinModel
internal import SerinRollouts

// What shows one rollout, or all of them.
extension RolloutAPI {
    var listRoute: Route {
        Route(
            "GET", "/v1/rollouts", summary: "every live rollout, and the last finished one of each service", access: Self.seeing,
            operation: Operation(
                "listRollouts", tag: "rollouts",
                parameters: [
                    Operation.Parameter("service", in: .query, "Only of this service.", schema: Schema.name(limit: 63)),
                    Operation.Parameter("state", in: .query, "Only in this state.", schema: Schema.oneOf(Self.states)),
                    Self.limitParameter(Self.rolloutLimit),
                    Operation.Parameter(
                        "cursor", in: .query, "The `next` of the page before.",
                        schema: Schema.text(pattern: Cursor.pattern)),
                ], answers: [200: .json("By service, then rollout.", Schema.reference("Rollouts"))])
        ) { request, _ in
            let limit = try request.limit(most: Self.rolloutLimit, otherwise: 100)
            let cursor = try request.parameter("cursor").map(Cursor.init(text:))
            let service = try request.parameter("service").map { text throws(Problem) -> ServiceName in
                guard let service = ServiceName(text) else { throw Problem(.malformed, "'service' is no service's name") }
                return service
            }
            let state = request.parameter("state")
            guard state.map(Self.states.contains) ?? true else {
                throw Problem(.malformed, "'state' is one of \(Self.states.joined(separator: ", "))")
            }
            let all = try await operations.statuses().filter { status in
                if let service, status.service != service { return false }
                if let state, status.state != state { return false }
                if let cursor, cursor >= Cursor(status) { return false }
                return true
            }
            let page = Array(all.prefix(limit))
            let next = all.count > limit ? page.last.map { Cursor($0).description } : nil
            return .json(200, StatusDocument.encode(page, next: next))
        }
    }

    /// Every word that a rollout's state may be.
    static let states = [
        "preflight", "awaiting approval", "backing up", "migrating", "deploying", "raising", "baking", "held", "promoting",
        "rolling back", "rollback incomplete", "promoted", "passed", "rolled back", "refused",
    ]

    static func limitParameter(_ most: Int) -> Operation.Parameter {
        Operation.Parameter("limit", in: .query, "At most so many.", schema: Schema.whole(1, most))
    }

    var statusRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}", summary: "one rollout, by its identifier or service", access: Self.seeing,
            operation: Operation(
                "showRollout", tag: "rollouts",
                parameters: [
                    Self.name,
                    Operation.Parameter(
                        "If-None-Match", in: .header, "An ETag: answered with 304 while it is still the same.",
                        schema: Schema.text()),
                ],
                answers: [
                    200: .json("The rollout.", Schema.reference("Rollout"), headers: ["ETag"]),
                    304: Operation.Content("Not changed.", headers: ["ETag"]),
                ])
        ) { request, names in
            let status = try await operations.status(of: names[0])
            let tag = Request.Pair("ETag", ETag.text(status))
            if let known = request.header("If-None-Match"), ETag.list(known).contains(tag.value) {
                return Response(status: 304, headers: [tag], body: .bytes([]))
            }
            return .json(200, StatusDocument.encode(status), headers: [tag])
        }
    }

    var waitRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}/wait", summary: "the status once it has changed", access: Self.seeing,
            operation: Operation(
                "waitForRollout", tag: "rollouts",
                parameters: [
                    Self.name,
                    Operation.Parameter(
                        "seen", in: .query, "The part of an ETag after its dash; without it the answer comes at once.",
                        schema: Schema.text(limit: 64)),
                    Self.durationParameter("timeout", "How long to wait at most; a minute is the most, 30s what is usual."),
                ], answers: [200: .json("The rollout.", Schema.reference("Rollout"), headers: ["ETag"])])
        ) { request, names in
            let timeout = try request.duration("timeout", otherwise: .seconds(30))
            let present = try await operations.status(of: names[0])
            var answer = present
            if let seen = request.parameter("seen"), seen == StatusDocument.token(present) {
                answer = try await operations.statusChange(of: names[0], from: present, timeout: min(timeout, Self.waitLimit))
            }
            return .json(200, StatusDocument.encode(answer), headers: [Request.Pair("ETag", ETag.text(answer))])
        }
    }

    static func durationParameter(_ name: String, _ summary: String) -> Operation.Parameter {
        Operation.Parameter(name, in: .query, summary, schema: Schema.text(pattern: "^[0-9]{1,6}(ms|s|m|h)$"))
    }

    var gateRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}/gate", summary: "promote, undecided or stop, in one call for pipelines",
            access: Self.seeing,
            operation: Operation(
                "gate", tag: "rollouts",
                parameters: [
                    Self.name,
                    Self.durationParameter("wait", "How long to wait for a decision; a minute is the most, 0s what is usual."),
                    Operation.Parameter(
                        "version", in: .query,
                        "The version that the pipeline releases: the rollout of another one is refused, as when a start has failed.",
                        schema: Schema.text(limit: 200)),
                ],
                answers: [
                    200: .json("Promote: it has passed.", Schema.reference("Gate")),
                    202: .json("Undecided: ask again.", Schema.reference("Gate")),
                    409: Operation.Content(
                        "Stop: it has failed, was halted, or found nothing out. With `problem+json`: the request was refused.",
                        [
                            Operation.Content.Media("application/json", Schema.reference("Gate")),
                            Operation.Content.Media("application/problem+json", Schema.reference("Problem")),
                        ]),
                ])
        ) { request, names in
            let wait = min(try request.duration("wait", otherwise: .zero), Self.waitLimit)
            let clock = ContinuousClock()
            let end = clock.now + .milliseconds(wait.milliseconds)
            var status = try await operations.status(of: names[0])
            if let version = request.parameter("version"), version != status.version {
                throw Problem(
                    .refused, "\(status.id) is the rollout of \(status.version), and \(version) was asked for",
                    hint: "start the rollout of \(version) first, or ask by the identifier that its start answered with")
            }
            // By its identifier, so that a rollout that follows answers for itself.
            let id = status.id.description
            while status.isRecorded, GateDecision(status) == .undecided, clock.now < end, !Task.isCancelled {
                let left = (end - clock.now).components
                let timeout = Duration.milliseconds(left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000)
                status = try await operations.statusChange(of: id, from: status, timeout: max(timeout, .milliseconds(1)))
            }
            // What is not recorded is nothing to release upon, and nothing to stop for.
            guard status.isRecorded else { throw OperationError.unavailable(status.cause) }
            let decision = GateDecision(status)
            return .json(decision.httpStatus, decision.document(status))
        }
    }

    var explanationRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}/explanation", summary: "is it safe, why is it there, what is the evidence",
            access: Self.seeing,
            operation: Operation(
                "explainRollout", tag: "rollouts", parameters: [Self.name],
                answers: [200: .json("As `serin why` has it.", Schema.reference("Explanation"))])
        ) { _, names in
            .json(200, try await Explanation(of: names[0], from: operations).document(isAttended: true))
        }
    }
}
