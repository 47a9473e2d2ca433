internal import SerinAPI
internal import SerinController
internal import SerinModel

extension Subcommand {
    static let configShow = Subcommand(
        "config show", summary: "what the daemon's configuration is, what waits for a second person, and what was changed",
        examples: ["serin config show", "serin config show --history", "serin config show -o json"], interruption: .ends
    ) { input throws(UsageError) in
        let history = try input.flag("--history", help: "every change with before and after, the newest first")
        return { session in
            let document = try await daemon(session).ask("GET", "/v1/configuration")
            session.data(document) { _ in ConfigurationView.lines(document, history: history) }
            return .ok
        }
    }

    static let configPropose = Subcommand(
        "config propose", summary: "propose what the daemon's files say now, for a second person to agree to",
        details: """
            Where two people are known by name (docs/identities.md), the files that serin daemon reads change nothing critical by
            themselves: an admin proposes what they say, and another person agrees within 30 minutes. What is proposed is always read
            from the files on the daemon's host; nothing can be set over the API or a page.
            With --policy it is a policy that is proposed: rollouts start only by a policy that was agreed to.
            """,
        examples: [
            "serin config propose --reason 'backups to the new bucket'", "serin config propose --policy policy.yaml",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let reason = try input.text("-m", "--reason", value: "TEXT", help: "why, for the log") ?? ""
        let file = try input.text("--policy", value: "FILE", help: "a policy, in place of the daemon's files")
        return { session in
            var path = "/v1/configuration:propose"
            var body = [JSONValue.Member("reason", .string(reason))]
            if let file {
                path = "/v1/policies:propose"
                let text = try PolicyArguments.text(ofRegular: file, kind: "policy")
                body.append(JSONValue.Member("policy", .object(["file": .string(file), "text": .string(text)])))
            }
            let document = try await daemon(session).ask("POST", path, body: .sortedObject(body))
            session.data(document) { _ in ConfigurationView.lines(document, history: false) }
            return .ok
        }
    }

    static let configApprove = Subcommand(
        "config approve", summary: "agree to the change that was proposed",
        details: "Exit 7 when it is another change than the one named, was changed or proposed by you, or is over.",
        examples: ["serin config approve --plan 3f9ac0d21b77"], interruption: .ends
    ) { input throws(UsageError) in
        let plan = try input.text(
            "--plan", value: "HASH", help: "the change that is agreed to, as serin config show names it: twelve digits or more")
        return { session in
            let body = JSONValue.object(plan.map { ["plan": .string($0)] } ?? [:])
            let document = try await daemon(session).ask("POST", "/v1/configuration:approve", body: body)
            session.data(document) { _ in ConfigurationView.lines(document, history: false) }
            return .ok
        }
    }

    static let tokenApprove = Subcommand(
        "token approve", summary: "agree to a token that waits for a second person",
        details: """
            Where two people are known by name, a token that gives more than to look, halt and hold gives nothing until another person
            than its maker agrees. The daemon is asked, which knows the people.
            """,
        examples: ["serin token approve 0b5c1e2f"], interruption: .ends
    ) { input throws(UsageError) in
        let name = try input.positional("TOKEN", help: "its number or its name")
        return { session in
            guard RolloutID(name) != nil else { throw OperationError.notFound("there is no token '\(name)'") }
            let document = try await daemon(session).ask("POST", "/v1/tokens/\(name):approve", body: .object([:]))
            session.data(document) { _ in ["\(document["id"]?.text ?? name)  \(plain(document["name"]?.text ?? ""))  approved"] }
            return .ok
        }
    }

    /// The verbs of what two people decide.
    static let configuration = [configShow, configPropose, configApprove]

    private static func daemon(_ session: Session) throws(OperationError) -> RemoteController {
        guard let daemon = try ControllerLocator(session).daemon() else {
            throw .unavailable("no daemon answers at \(session.state.daemonSocket)\nhint: start it with serin daemon")
        }
        return daemon
    }
}
