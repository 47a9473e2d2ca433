internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

extension Subcommand {
    static let why = Subcommand(
        "why", summary: "one page: is it safe, why is it there, what is the evidence", examples: ["serin why checkout"]
    ) { input throws(UsageError) in
        let name = try input.positional("ROLLOUT", help: "a rollout or a service")
        return { session in
            let reader = try await ControllerLocator(session).reader(for: name, assembly: session.assembly)
            let status = try await reader.status(of: name)
            let isAttended = reader is RemoteController
            if !isAttended, !status.isFinal { session.complain(ControllerLocator.unattended(status)) }
            var last: [LoggedDecision] = []
            var sequence: Int64 = 0
            while true {
                let page = try await reader.decisions(of: status.id.description, after: sequence, limit: 1000)
                sequence = page.last?.sequence ?? sequence
                last = Array((last + page).suffix(10))
                if page.count < 1000 { break }
            }
            let document = JSONValue.object([
                "schema": .string("serin.dev/why/v1"), "rollout": StatusDocument.encode(status),
                "safe_now": .string(status.safety(isAttended: isAttended)),
                "decisions": .array(last.map(DecisionDocument.encode)),
            ])
            session.data(document) {
                WhyPage.lines(status, decisions: last, state: session.state, style: $0, isAttended: isAttended)
            }
            return .ok
        }
    }
}
