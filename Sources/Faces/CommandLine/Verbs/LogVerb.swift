internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

extension Subcommand {
    static let log = Subcommand(
        "log", summary: "the decisions of a rollout; their evidence with -o json or jsonl",
        examples: ["serin log checkout", "serin log checkout -f", "serin log checkout-01k5 -o jsonl"]
    ) { input throws(UsageError) in
        let follow = try input.flag("-f", "--follow", help: "go on until the rollout is final")
        let after =
            try input.option(
                "--after", value: "NUMBER", help: "only decisions after this entry's number (sequence in JSON)",
                read: { Int64($0) }) ?? 0
        let name = try input.positional("ROLLOUT", help: "a rollout or a service")
        return { session in
            let locator = ControllerLocator(session, looksOnce: !follow)
            return try await locator.find(name) {
                let reader = try await locator.reader(for: name, assembly: session.assembly)
                return try await write(reader, name: name, after: after, isFollowing: follow, session: session)
            }
        }
    }

    private static func write(
        _ reader: any RolloutOperations, name: String, after sequence: Int64, isFollowing: Bool, session: Session
    ) async throws -> ExitCode {
        var last = sequence
        var seen: RolloutStatus?
        var all: [LoggedDecision] = []
        while true {
            let page = try await reader.decisions(of: name, after: last, limit: 1000)
            last = page.last?.sequence ?? last
            switch session.globals.output {
            case .table: session.data(page.map { plain("\($0.at.description.prefix(11))\($0.line)") })
            case .jsonl: session.data(page.map { DecisionDocument.encode($0).canonicalText })
            case .json, .yaml: all += page
            }
            if page.count == 1000 { continue }
            if !isFollowing || seen?.isFinal == true { break }
            seen = try await reader.statusChange(of: name, from: seen, timeout: .seconds(2))
        }
        switch session.globals.output {
        case .json, .yaml: session.data(DecisionDocument.encode(all, after: last)) { _ in [] }
        case .table, .jsonl: break
        }
        return .ok
    }
}
