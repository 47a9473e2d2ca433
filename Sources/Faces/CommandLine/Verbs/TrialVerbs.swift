internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinTransport

extension Subcommand {
    static let hookTest = Subcommand(
        "hook test", summary: "send the daemon a signed sample as a hook's sender would",
        details: """
            Asks for the status of a service, or sends what the sender sends to try an address: no rollout is changed. The sample goes to
            the unix socket of the daemon in the state folder, or to an address. Exit 7 when it is not accepted, 75 when nobody answers.
            """,
        examples: [
            "serin hook test slack ops-chat --config /etc/serin/serin.yaml",
            "serin hook test alertmanager alerts --config serin.yaml --url https://serin.example.com",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let file = try ConfigurationArgument(&input)
        let url = try input.text("--url", value: "URL", help: "the address before /hooks (default: the daemon's unix socket)")
        let kind = try input.positional("KIND", help: "the hook's kind")
        let name = try input.positional("NAME", help: "the hook's name")
        return { session in
            let settings = try file.load(session).settings
            guard let hook = settings.hooks.first(where: { $0.kind == kind && $0.name == name }) else {
                let known = settings.hooks.map { "\($0.kind) \($0.name)" }.joined(separator: ", ")
                throw UsageError("there is no hook '\(kind) \(name)' in \(file.file)", hint: "known are: \(known)")
            }
            let sample = try session.assembly.daemon.sample(hook)
            var request = HTTPRequest(
                method: sample.method, url: (url ?? "http://serin") + sample.path,
                headers: sample.headers.map { HTTPHeader($0.name, $0.value) }, body: sample.body, timeout: .seconds(15))
            if url == nil { request.unixSocket = session.state.daemonSocket }
            let answer: HTTPResponse
            do throws(Failure) { answer = try await Transport(connectionLimit: 1).send(request) } catch {
                throw OperationError.unavailable("the sample did not arrive: \(error.message)")
            }
            let words = String(decoding: answer.body.prefix(4000), as: UTF8.self)
            session.data(
                .object([
                    "schema": .string("serin.dev/hook-test/v1"), "status": .integer(Int64(answer.status)), "body": .string(words),
                ])
            ) { _ in ["\(answer.status) \(plainLines(words))"] }
            // 422 is said to the rightly signed sample alone: of its service nobody has heard.
            let isAccepted = (200..<300).contains(answer.status) || answer.status == 422
            session.note(
                isAccepted
                    ? "the hook \(name) accepts what is signed with its secret"
                    : "the hook \(name) does NOT accept it; the daemon's log says why")
            return isAccepted ? .ok : .refused
        }
    }

    static let notifyTest = Subcommand(
        "notify test", summary: "send a trial by one channel of the daemon's configuration",
        details: "Goes to the channel itself, not by the daemon's outbox. Exit 0 when the other side says that it has it.",
        examples: ["serin notify test on-call --config /etc/serin/serin.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        let file = try ConfigurationArgument(&input)
        let name = try input.positional("NAME", help: "the channel's name under notify")
        return { session in
            let settings = try file.load(session).settings
            guard let route = settings.routes.first(where: { $0.name == name }) else {
                throw UsageError(
                    "there is no channel '\(name)' in \(file.file)",
                    hint: "known are: \(settings.routes.map(\.name).joined(separator: ", "))")
            }
            try await session.assembly.daemon.tryRoute(route)
            session.note("\(name) has it")
            return .ok
        }
    }
}

/// `--config FILE`
private struct ConfigurationArgument: Sendable {
    var file: String

    init(_ input: inout Arguments) throws(UsageError) {
        file =
            try input.text("--config", value: "FILE", help: "the daemon's configuration (default: /etc/serin/serin.yaml)")
            ?? "/etc/serin/serin.yaml"
    }

    func load(_ session: Session) throws(OperationError) -> LoadedDaemon { try DaemonRun.load(file, session) }
}
