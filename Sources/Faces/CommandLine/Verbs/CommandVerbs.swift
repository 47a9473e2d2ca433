internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinProcesses
internal import SerinRollouts

extension Subcommand {
    /// A verb that asks something of a live rollout.
    static func command(
        _ name: String, summary: String, details: String = "", examples: [String], interruption: Interruption = .leavesRollout,
        plan: @escaping @Sendable (inout Arguments) throws(UsageError) -> String? = { _ in nil },
        version: @escaping @Sendable (inout Arguments) throws(UsageError) -> String? = { _ in nil },
        verb: @escaping @Sendable (inout Arguments) throws(UsageError) -> Command.Verb
    ) -> Subcommand {
        Subcommand(name, summary: summary, details: details, examples: examples, interruption: interruption) {
            input throws(UsageError) in
            let reason = try input.text("-m", "--reason", value: "TEXT", help: "why, for the decision log") ?? ""
            let plan = try plan(&input)
            let version = try version(&input)
            let verb = try verb(&input)
            let rollout = try input.positional("ROLLOUT", help: "a rollout or a service")
            // The controller takes the principal from the socket; this one is only for its own record type.
            let command = Command(verb, by: .uid(getuid()), reason: reason, plan: plan)
            return { session in
                if let version { return try await ask(command, of: rollout, ifVersion: version, session) }
                return try await ControllerLocator(session).find(rollout) {
                    do { return try await ask(command, of: rollout, session: session) } catch OperationError.notFound(let text) {
                        var lines = text.textLines(keepingEmpty: true).map(String.init)
                        lines[0] += ": nothing was done"
                        throw OperationError.notFound(lines.joined(separator: "\n"))
                    }
                }
            }
        }
    }

    /// Asks it of what is live, when that is a version, and of nothing else; no halt file is left, as that would halt any version.
    private static func ask(
        _ command: Command, of name: String, ifVersion version: String, _ session: Session
    ) async throws -> ExitCode {
        let locator = ControllerLocator(session)
        guard let controller = try locator.controller(for: name) else {
            throw OperationError.unavailable(locator.nobodyAnswers(name) + "; nothing was done")
        }
        var live: RolloutStatus?
        do throws(OperationError) { live = try await controller.status(of: name) } catch {
            guard case .notFound = error else { throw error }
        }
        guard let live, !live.isFinal, live.version == version else {
            let what = live.map { $0.isFinal ? "\($0.id) is over (\($0.state))" : "\($0.id) is of version \($0.version)" }
            session.note("nothing to \(command.verb.rawValue): \(what ?? "there is no rollout '\(plain(name))'")")
            return .ok
        }
        session.data(StatusDocument.encode(try await controller.perform(command, on: live.id.description))) { _ in
            ["\(live.id): \(command.verb.rawValue) taken"]
        }
        return .ok
    }

    private static func ask(_ command: Command, of name: String, session: Session) async throws -> ExitCode {
        let verb = command.verb
        let locator = ControllerLocator(session)
        let isHalt = verb == .halt || verb == .haltForSecurity
        guard let controller = try locator.controller(for: name) else {
            if try await mayBeUnfinished(name, session), isHalt {
                session.complain(locator.nobodyAnswers(name) + "; " + leaveHaltFile(command, name, session.state))
                return .unreachable
            }
            try await locator.refuseUnknown(name)
            throw OperationError.unavailable(locator.nobodyAnswers(name) + "\nhint: " + byHand(verb, name, session.state))
        }
        // The line that says it waits is gone when the group ends, before anything else is written.
        let wait = Wait("waiting for the controller's answer", limit: controller.timeout)
        let answer = await session.showingWaits(from: wait) { _ -> Result<RolloutStatus, OperationError> in
            do throws(OperationError) {
                return .success(try await controller.perform(command, on: name))
            } catch {
                return .failure(error)
            }
        }
        switch answer {
        case .success(let status):
            session.data(StatusDocument.encode(status)) { _ in [StatusView.line(status, at: session.now)] }
            return .ok
        case .failure(let error):
            guard isHalt, case .unavailable = error else { throw error }
            // Said here, because after Ctrl-C nobody hears what is thrown.
            session.complain(error.description + "\n" + leaveHaltFile(command, name, session.state))
            return .unreachable
        }
    }

    /// A halt without an answer is left where the controller looks before it raises anything. Returns what to say of it.
    private static func leaveHaltFile(_ command: Command, _ name: String, _ state: StateRoot) -> String {
        let balancer = "set the canary's weight to 0 at the load balancer itself"
        let doubt = "the halt may or may not have happened"
        guard let service = StateRoot.services(named: name).first(where: state.hasFolder) else {
            return "\(doubt)\nhint: \(balancer)"
        }
        let path = state.haltFile(of: service)
        let left: HaltFile.Left
        do throws(Failure) {
            left = try HaltFile(path: path).make(reason: command.reason)
        } catch {
            return "\(doubt); \(error.message)\nhint: touch \(shellWord(path)) as the controller's user, or \(balancer)"
        }
        let security = command.verb == .haltForSecurity ? ", as one without --security" : ""
        let reason = left == .whole ? "" : ", without the reason, for which the disk has no room"
        return
            "\(doubt); left the halt file \(path)\(security)\(reason): the controller halts when it sees it, before it raises anything\n"
            + "hint: serin status \(name) shows whether it did; until then \(balancer)"
    }

    /// Whether there is a journal with a rollout that is not over, or with none that can be read now. Refused when it is over.
    private static func mayBeUnfinished(_ name: String, _ session: Session) async throws(OperationError) -> Bool {
        var missing: OperationError?
        for service in StateRoot.services(named: name) {
            let status: RolloutStatus
            do throws(OperationError) {
                guard let journal = try await session.assembly.openJournal(service, session.state) else { continue }
                status = try await journal.status(of: name)
            } catch .notFound(let text) {
                // Of a service by its own name there was no rollout yet, or none that its folder still has.
                if service.description != name { missing = .notFound(text) }
                continue
            } catch {
                return true
            }
            guard status.isFinal else { return true }
            let cause = status.cause.isEmpty ? "" : ": " + status.cause
            throw .refused(
                Refusal(
                    "rollout \(status.id) is over (\(status.state)\(cause)); nothing was changed",
                    hint: "serin why \(status.id) tells more"))
        }
        if let missing { throw missing }
        return false
    }

    /// What a person can do when no controller answers.
    private static func byHand(_ verb: Command.Verb, _ name: String, _ state: StateRoot) -> String {
        switch verb {
        case .halt, .haltForSecurity, .rollback:
            let file = StateRoot.services(named: name).first(where: state.hasFolder).map(state.haltFile)
            let touch = file.map { "if a controller still runs, touch \(shellWord($0)) halts it; otherwise " } ?? ""
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
            before the weight is 0: serin wait ROLLOUT ends once everything is taken back. Exit 75 when no controller answers; one
            that does not answer in time finds a halt file in its state folder, when this user may write there. Exit 7 when it is over,
            2 when nothing here has that name.
            """,
        examples: ["serin halt checkout --reason 'payments fail in the app'", "serin halt checkout --security"],
        interruption: .ends,
        version: { input throws(UsageError) in
            try input.text(
                "--if-version", value: "VERSION",
                help: "only what is live with this version; where nothing is, exit 0, as for a pipeline that is cancelled")
        }
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
        details: """
            The step is entered again through every gate. A halt is final. While a restore waits for approval it keeps the schema as
            it is, without a restore, and lets writes in; after a rollback that is incomplete it says that everything is as it should be.
            """,
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
        details: """
            An approval is for the plan that it names: versions, policy, overrides and migrations of a start or a step, or what a
            restore loses. Without --plan it says what waits and by which plan, and agrees to nothing (exit 7), as with one that is no
            longer asked about. It counts for 30 minutes, or the policy's approval_for. Who started a rollout cannot approve it (exit 7).
            """,
        examples: ["serin approve checkout", "serin approve checkout --plan 3f9ac0d21b77"],
        plan: { input throws(UsageError) in
            try input.text(
                "--plan", value: "HASH",
                help: "the plan that is agreed to, as serin why shows it: twelve digits or more")
        }
    ) { _ in .approve }
}
