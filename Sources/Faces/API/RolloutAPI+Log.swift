internal import SerinController
internal import SerinModel
internal import SerinRecords
internal import SerinRollouts

// What was decided and recorded.
extension RolloutAPI {
    private static func after(_ summary: String) -> Operation.Parameter {
        Operation.Parameter("after", in: .query, summary, schema: Schema.whole(0, .max))
    }

    var logRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}/log", summary: "a rollout's decisions, with their evidence", access: Self.seeing,
            operation: Operation(
                "readLog", tag: "rollouts",
                parameters: [
                    Self.name, Self.after("Only what was recorded after this entry's number."),
                    Self.limitParameter(Self.decisionLimit),
                    Operation.Parameter(
                        "format", in: .query, "Instead of the header `Accept`.", schema: Schema.oneOf(["json", "jsonl", "sse"])),
                    Operation.Parameter(
                        "follow", in: .query, "Whether lines go on until the rollout is over; events always do.",
                        schema: Schema.oneOf(["true", "false"])),
                    Operation.Parameter(
                        "Last-Event-ID", in: .header, "As `after`, for a reader of events that connects again.",
                        schema: Schema.text(pattern: "^[0-9]{1,18}$")),
                ],
                answers: [
                    200: Operation.Content(
                        "Oldest first.",
                        [
                            Operation.Content.Media("application/json", Schema.reference("Log")),
                            Operation.Content.Media("application/jsonl", Schema.text()),
                            Operation.Content.Media("text/event-stream", Schema.text()),
                        ])
                ]), handler: log)
    }

    private func log(_ request: Request, names: [String]) async throws -> Response {
        let format = try LogFormat(request)
        let after = try request.start(orAfter: request.header("Last-Event-ID"))
        let limit = try request.limit(most: Self.decisionLimit, otherwise: 200)
        let follow = request.parameter("follow")
        guard follow == nil || follow == "true" || follow == "false" else {
            throw Problem(.malformed, "'follow' is true or false")
        }
        let first = try await operations.decisions(of: names[0], after: after, limit: limit)
        let isFollowing = format == .events || follow == "true"
        if isFollowing, first.isEmpty, after > 0 {
            let service = try await operations.status(of: names[0]).service
            // What follows would be passed over in silence until the journal is as long as that.
            if let head = try await operations.head(of: service), after > head.sequence {
                throw Problem(
                    .malformed, "entry \(after) is beyond the end of the journal, which has \(head.sequence)",
                    hint: "follow from the beginning, without 'after' or Last-Event-ID: the number is of another journal")
            }
        }
        if format == .document { return .json(200, DecisionDocument.encode(first, after: after)) }
        let headers = [Request.Pair("Content-Type", format.mediaType), Request.Pair("Cache-Control", "no-store")]
        guard isFollowing else {
            return Response(status: 200, headers: headers, body: .bytes(first.flatMap { format.encode($0) }))
        }
        let follower = LogFollower(operations: operations, name: names[0], format: format, limit: limit)
        return Response(
            status: 200, headers: headers, body: .stream { sink in await follower.run(from: first, after: after, to: sink) })
    }

    var evidenceRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}/evidence/{sequence}", summary: "one decision, and the journal entry that records it",
            access: Self.seeing,
            operation: Operation(
                "showEvidence", tag: "rollouts",
                parameters: [
                    Self.name,
                    Operation.Parameter(
                        "sequence", in: .path, "The number of the decision's entry, as the log has it.",
                        schema: Schema.text(pattern: "^[0-9]{1,18}$")),
                ], answers: [200: .json("The decision with its numbers.", Schema.reference("Evidence"))])
        ) { _, names in
            guard let sequence = Int64(names[1]), sequence > 0 else {
                throw Problem(.notFound, "'\(names[1])' is no entry's number")
            }
            let status = try await operations.status(of: names[0])
            let decision = try await operations.decisions(of: names[0], after: sequence - 1, limit: 1).first
            guard let decision, decision.sequence == sequence else {
                throw Problem(.notFound, "entry \(sequence) records no decision of \(status.id)")
            }
            let entry = try await operations.entries(of: status.service, after: sequence - 1, limit: 1).first
            return .json(
                200,
                .object([
                    "schema": .string("serin.dev/evidence/v1"), "rollout": .string(status.id.description),
                    "decision": DecisionDocument.encode(decision),
                    "entry": entry.map { JournalDocument.encode($0) } ?? .null,
                ]))
        }
    }

    var servicesRoute: Route {
        Route(
            "GET", "/v1/services", summary: "the services with their latest rollout", access: Self.seeing,
            operation: Operation(
                "listServices", tag: "services", answers: [200: .json("By name.", Schema.reference("Services"))])
        ) { _, _ in
            // The last of a service is its latest.
            var latest: [(service: ServiceName, status: RolloutStatus)] = []
            for status in try await operations.statuses() {
                if latest.last?.service == status.service { latest.removeLast() }
                latest.append((status.service, status))
            }
            return .json(
                200,
                .object([
                    "schema": .string("serin.dev/services/v1"),
                    "services": .array(
                        latest.map {
                            .object([
                                "name": .string($0.service.description), "rollout": .string($0.status.id.description),
                                "version": .string($0.status.version), "state": .string($0.status.state),
                                "final": .bool($0.status.isFinal),
                            ])
                        }),
                ]))
        }
    }

    private static let service = Operation.Parameter("name", in: .path, "A service.", schema: Schema.name(limit: 63))

    private static func service(_ name: String) throws(Problem) -> ServiceName {
        guard let service = ServiceName(name) else { throw Problem(.notFound, "there is no service '\(name)'") }
        return service
    }

    var journalRoute: Route {
        Route(
            "GET", "/v1/services/{name}/journal", summary: "a service's journal entries as stored, for a check of one's own",
            access: Self.seeing,
            operation: Operation(
                "readJournal", tag: "services",
                parameters: [
                    Self.service, Self.after("Only entries after this number."), Self.limitParameter(JournalDocument.limit),
                ], answers: [200: .json("In order.", Schema.reference("Journal"))])
        ) { request, names in
            let after = try request.start()
            let limit = try request.limit(most: JournalDocument.limit, otherwise: JournalDocument.limit)
            let entries = try await operations.entries(of: try Self.service(names[0]), after: after, limit: limit)
            return .json(200, JournalDocument.encode(JournalDocument.page(entries), after: after))
        }
    }

    var checkpointRoute: Route {
        Route(
            "GET", "/v1/services/{name}/checkpoint",
            summary: "the journal's size and last hash, to be kept elsewhere and given to serin verify --head",
            access: Self.seeing,
            operation: Operation(
                "showCheckpoint", tag: "services", parameters: [Self.service],
                answers: [200: .json("The head of the journal.", Schema.reference("Checkpoint"))])
        ) { _, names in
            let service = try Self.service(names[0])
            let head = Checkpoint(try await operations.head(of: service))
            return .json(
                200,
                .object([
                    "schema": .string("serin.dev/checkpoint/v1"), "service": .string(service.description),
                    "size": .integer(head.size), "head": .string("\(head)"),
                ]))
        }
    }
}
