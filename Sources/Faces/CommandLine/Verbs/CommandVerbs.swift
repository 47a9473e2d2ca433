internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

extension Subcommand {
    /// A verb that asks something of a live rollout.
    static func command(
        _ name: String, summary: String, details: String = "", examples: [String],
        verb: @escaping @Sendable (inout Arguments) throws(UsageError) -> Command.Verb
    ) -> Subcommand {
        Subcommand(name, summary: summary, details: details, examples: examples) { input throws(UsageError) in
            let reason = try input.text("-m", "--reason", value: "TEXT", help: "why, for the decision log") ?? ""
            let verb = try verb(&input)
            let rollout = try input.positional("ROLLOUT", help: "a rollout or a service")
            return { session in try await ask(verb, of: rollout, reason: reason, session: session) }
        }
    }

    private static func ask(
        _ verb: Command.Verb, of name: String, reason: String, session: Session
    ) async throws -> ExitCode {
        let locator = ControllerLocator(session)
        guard let controller = try locator.controller(for: name) else {
            throw OperationError.unavailable(locator.nobodyAnswers(name) + "\nhint: " + byHand(verb, name, session.state))
        }
        // The controller takes the principal from the socket; this one is only for its own record type.
        let status = try await controller.perform(Command(verb, by: .uid(getuid()), reason: reason), on: name)
        session.data(StatusDocument.encode(status)) { _ in [StatusView.line(status, at: session.now)] }
        return .ok
    }

    /// What a person can do when no controller answers.
    private static func byHand(_ verb: Command.Verb, _ name: String, _ state: StateRoot) -> String {
        switch verb {
        case .halt, .haltForSecurity, .rollback:
            let file = StateRoot.services(named: name).first(where: state.hasFolder).map(state.haltFile)
            let touch = file.map { "if a controller still runs, touch \(shellQuoted($0)) halts it; otherwise " } ?? ""
            return touch
                + "set the canary's weight to 0 at the load balancer itself, then serin run POLICY --continue takes the rest back"
        case .hold, .resume, .promote, .approve:
            return "serin run POLICY --continue takes a rollout up again; SERIN_STATE or --state names another state folder"
        }
    }

    static let halt = command(
        "halt", summary: "take all traffic from the canary and end the rollout",
        details: """
            Never asks, never needs a policy, and is final: another try is a new rollout. Exit 0 once the halt is durable, so
            before the weight is 0: serin wait ROLLOUT ends once everything is taken back. Exit 75 when no controller answers.
            """,
        examples: ["serin halt checkout --reason 'payments fail in the app'", "serin halt checkout --security"]
    ) { input throws(UsageError) in
        try input.flag("--security", help: "a security matter: a new rollout then needs more people") ? .haltForSecurity : .halt
    }

    static let hold = command(
        "hold", summary: "freeze the weight where it is",
        details: "Nothing rises while it is held, held time is no bake, and a failure still rolls back. serin resume goes on.",
        examples: ["serin hold checkout --reason 'looking at the logs'"]
    ) { _ in .hold }

    static let resume = command(
        "resume", summary: "go on after a hold",
        details: "The step is entered again through every gate. Only a hold can be resumed: a halt is final.",
        examples: ["serin resume checkout"]
    ) { _ in .resume }

    static let promote = command(
        "promote", summary: "skip the remaining steps, when every signal passes and the bake is done",
        details: "Refused with exit 7, naming what is lacking, unless every judged signal passes and the bake is done.",
        examples: ["serin promote checkout"]
    ) { _ in .promote }

    static let rollback = command(
        "rollback", summary: "take everything back",
        details: "Traffic first, then code. Final like a halt: the rollout ends with exit 4, another try is a new rollout.",
        examples: ["serin rollback checkout --reason 'wrong build'"]
    ) { _ in .rollback }

    static let approve = command(
        "approve", summary: "agree to what waits for approval",
        details: "serin why ROLLOUT says what waits. Who started a rollout cannot be the only one to approve it (exit 7).",
        examples: ["serin approve checkout-01k5"]
    ) { _ in .approve }
}
