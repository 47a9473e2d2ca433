internal import SerinModel

/// GitHub, GitLab, and documents of one's own programs.
extension InboundHook {
    /// A comment that begins with `/serin`, by someone who belongs to the repository.
    func readGitHub(_ message: VerifiedMessage) -> HookReading {
        var document = message.request.json
        // The webhook may be set up to send a form.
        if document == nil, let payload = message.request.form["payload"] {
            // A payload that is no JSON stays nil.
            document = try? JSONValue(parsing: Array(payload.utf8), depthLimit: 32)
        }
        guard let value = document else { return unreadable }
        if value["zen"] != nil { return .handshake(HookAnswer(status: 200)) }
        guard value["action"]?.text == "created", let comment = value["comment"], let text = comment["body"]?.text,
            isCommand(text), let user = comment.at(pointer: "/user/id")?.integer
        else { return .ignored("no comment for Serin", HookAnswer(status: 200)) }
        // Anyone may comment on a public repository.
        let isMember = ["OWNER", "MEMBER", "COLLABORATOR"].contains(comment["author_association"]?.text ?? "")
        guard isMember || people["\(user)"] != nil else {
            return .stranger(
                "the comment's author \(user) is no member there and not named under people", HookAnswer(status: 200))
        }
        let context = MessageContext(
            message: message, identity: "\(user)", place: value.at(pointer: "/repository/full_name")?.text,
            identifier: comment["id"]?.integer.map { "comment:\($0)" }, isUnique: true, reply: .machine)
        return reading(of: firstLine(text), context)
    }

    /// A comment that begins with `/serin`, by someone configuration knows: the payload does not say who belongs to the project.
    func readGitLab(_ message: VerifiedMessage) -> HookReading {
        guard let value = message.request.json else { return unreadable }
        guard value["object_kind"]?.text == "note", let note = value["object_attributes"], let text = note["note"]?.text,
            isCommand(text), note["action"]?.text ?? "create" == "create", let user = value.at(pointer: "/user/id")?.integer
        else { return .ignored("no comment for Serin", HookAnswer(status: 200)) }
        guard people["\(user)"] != nil else {
            return .stranger("the comment's author \(user) is not named under people", HookAnswer(status: 200))
        }
        let context = MessageContext(
            message: message, identity: "\(user)", place: value.at(pointer: "/project/path_with_namespace")?.text,
            identifier: note["id"]?.integer.map { "note:\($0)" }, isUnique: true, reply: .machine)
        return reading(of: firstLine(text), context)
    }

    /// `{"verb": "halt", "service": "api", "reason": "…"}`, or `rollout` in place of `service`.
    func readDocument(_ message: VerifiedMessage) -> HookReading {
        guard let value = message.request.json, let word = value["verb"]?.text else { return unreadable }
        guard let verb = ChannelCommand.Verb(rawValue: word) else {
            let words = "did nothing: '\(word.prefix(40))' is no verb; one of these is expected: "
            let known = ChannelCommand.Verb.allCases.map(\.rawValue).joined(separator: ", ")
            return .unclear("no verb", ReplyForm.machine.unclear(words + known))
        }
        // Without a signed time the same words may rightly come twice.
        let context = MessageContext(message: message, identity: name, isUnique: message.isReplayProof, reply: .machine)
        let reading = reading(
            of: verb, target: value["service"]?.text ?? value["rollout"]?.text, reason: value["reason"]?.text ?? "", context)
        // A program looks at the status.
        if case .unclear(let why, var answer, _) = reading {
            answer.status = 422
            return .unclear(why, answer)
        }
        return reading
    }

    private func isCommand(_ text: String) -> Bool { text == "/serin" || text.hasPrefix("/serin ") }

    private func firstLine(_ text: String) -> String { String(text.prefix { !$0.isNewline }) }
}
