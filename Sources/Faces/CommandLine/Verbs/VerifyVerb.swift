internal import SerinAPI
internal import SerinController
internal import SerinModel

extension Subcommand {
    static let verify = Subcommand(
        "verify", summary: "check the journal's hash chain, and replay every verdict from its inputs",
        details: """
            Keep the printed head elsewhere: with --head a later run finds out whether entries were cut off at the end.
            Exit 8 when something does not hold together.
            """,
        examples: ["serin verify", "serin verify checkout", "serin verify checkout --head 9f2c…"], interruption: .ends
    ) { input throws(UsageError) in
        let head = try input.text("--head", value: "HASH", help: "a head printed earlier, which the journal must contain")
        let name = try input.optionalPositional("ROLLOUT", help: "a rollout or a service; everything when left out")
        guard head == nil || name != nil || input.isDescribing else { throw UsageError("--head needs a rollout or a service") }
        return { session in
            let results = try await verify(name, head: head, session: session)
            session.data(document(results)) { style in table(results).lines(style) }
            for result in results {
                for fault in result.faults { session.complain("\(result.service): \(fault)") }
            }
            return results.allSatisfy(\.faults.isEmpty) ? .ok : .verificationFailed
        }
    }

    private static func verify(_ name: String?, head: String?, session: Session) async throws -> [Verification] {
        let known = session.state.services()
        guard let name else {
            var results: [Verification] = []
            for service in known { results.append(try await session.assembly.verify(service, nil, nil, session.state)) }
            return results
        }
        guard let service = StateFolder.services(named: name).first(where: known.contains) else {
            throw OperationError.notFound("there is no journal of '\(name)' in \(session.state.path)")
        }
        let rollout = service.description == name ? nil : RolloutID(name)
        return [try await session.assembly.verify(service, rollout, head, session.state)]
    }

    private static func table(_ results: [Verification]) -> Table {
        var table = Table(header: ["SERVICE", "RESULT", "ENTRIES", "VERDICTS REPLAYED", "HEAD"])
        for result in results {
            table.rows.append([
                Table.Cell(result.service),
                result.faults.isEmpty ? Table.Cell("ok", .green) : Table.Cell("FAILED (\(result.faults.count))", .red),
                Table.Cell("\(result.entries)"), Table.Cell("\(result.replayed)"), Table.Cell(result.head ?? "-"),
            ])
        }
        return table
    }

    private static func document(_ results: [Verification]) -> JSONValue {
        .object([
            "schema": .string("serin.dev/verification/v1"), "ok": .bool(results.allSatisfy(\.faults.isEmpty)),
            "journals": .array(
                results.map {
                    .object([
                        "service": .string($0.service), "entries": .integer($0.entries), "replayed": .integer($0.replayed),
                        "head": $0.head.map { .string($0) } ?? .null, "faults": .array($0.faults.map { .string($0) }),
                    ])
                }),
        ])
    }
}
