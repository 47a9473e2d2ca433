internal import SerinAPI
internal import SerinAccess
internal import SerinController
internal import SerinModel
internal import SerinPages

/// How decisions of two people are shown: as a document, in lines for a terminal, and in the audit.
enum ConfigurationView {
    static func document(
        _ state: AccessState, proposal: AccessState.Proposal?, entries: [AccessEntry], complaint: String?,
        unapproved: ConfigurationChange?
    ) -> JSONValue {
        .object([
            "schema": .string("serin.dev/configuration/v1"), "two_people": .bool(state.asksTwo),
            "complaint": complaint.map { .string($0) } ?? .null,
            "in_force": state.configuration.map { statement in
                .sortedObject(members(statement, state.signature))
            } ?? .null,
            "unapproved": unapproved.map { .sortedObject(members($0)) } ?? .null,
            "proposal": proposal.map { proposal in
                .sortedObject(
                    members(proposal.change) + [
                        JSONValue.Member("by", .string("\(proposal.by)")), JSONValue.Member("at", .string("\(proposal.at)")),
                        JSONValue.Member("ends_at", .string("\(proposal.endsAt)")),
                        JSONValue.Member("reason", .string(proposal.reason)),
                    ])
            } ?? .null,
            "changes": .array(
                entries.reversed().compactMap { entry in
                    guard case .configurationSet(let statement, let signature) = entry.line.event else { return nil }
                    return .sortedObject(
                        members(statement, signature) + [JSONValue.Member("entry", .integer(entry.sequence))])
                }),
            "tokens": .array(
                state.tokens.filter { $0.isAwaited && $0.revoked == nil }.map { token in
                    .object([
                        "id": .string(token.record.id), "name": .string(token.record.name),
                        "owner": .string("\(token.record.owner)"), "created_by": .string("\(token.createdBy)"),
                    ])
                }),
        ])
    }

    private static func members(_ change: ConfigurationChange) -> [JSONValue.Member] {
        [
            JSONValue.Member("plan", .string(change.plan)),
            JSONValue.Member("removed", .array(change.removed.map { .string($0) })),
            JSONValue.Member("added", .array(change.added.map { .string($0) })),
        ]
    }

    private static func members(
        _ statement: ConfigurationStatement, _ signature: ConfigurationSignature?
    ) -> [JSONValue.Member] {
        let isSigned = signature.map { SigningKey.isValid($0, of: statement) } ?? false
        return members(statement.change) + [
            JSONValue.Member("at", .string("\(statement.at)")), JSONValue.Member("by", .string("\(statement.by)")),
            JSONValue.Member("proposed_by", statement.proposedBy.map { .string("\($0)") } ?? .null),
            JSONValue.Member("signed", .bool(isSigned)),
            JSONValue.Member("key", signature.map { .string($0.key) } ?? .null),
            JSONValue.Member("signature", signature.map { .string($0.value) } ?? .null),
        ]
    }

    /// The document's words for a terminal.
    static func lines(_ document: JSONValue, history: Bool) -> [String] {
        func text(_ value: JSONValue, _ key: String) -> String { plain(value[key]?.text ?? "") }
        func difference(_ value: JSONValue) -> [String] {
            (value["removed"]?.items ?? []).compactMap { $0.text.map { "  - \(plain($0))" } }
                + (value["added"]?.items ?? []).compactMap { $0.text.map { "  + \(plain($0))" } }
        }
        var lines: [String] = []
        if case .bool(true)? = document["two_people"], let present = document["in_force"] {
            let isSigned = present["signed"] == .bool(true) ? "signed" : "NOT signed as it stands there"
            lines.append(
                "in force since \(text(present, "at")), agreed to by \(text(present, "by")), plan \(text(present, "plan").prefix(12)), "
                    + isSigned)
        } else {
            lines.append("the files are in force as they are: fewer than two people are known by name")
        }
        if let complaint = document["complaint"]?.text { lines += plainLines(complaint).textLines().map(String.init) }
        if let proposal = document["proposal"], proposal != .null {
            let plan = text(proposal, "plan").prefix(12)
            let reason = text(proposal, "reason")
            lines += [
                "",
                "proposed by \(text(proposal, "by"))\(reason.isEmpty ? "" : ": \(reason)"), until \(text(proposal, "ends_at")):",
            ]
            lines += difference(proposal) + ["another person agrees: serin config approve --plan \(plan)"]
        } else if let unapproved = document["unapproved"], unapproved != .null {
            lines += ["", "what the files change and nobody agreed to:"] + difference(unapproved)
        }
        for token in document["tokens"]?.items ?? [] {
            let id = text(token, "id")
            lines.append(
                "the token \(id) (\(text(token, "name"))) of \(text(token, "owner")), made by \(text(token, "created_by")), waits: "
                    + "serin token approve \(id)")
        }
        guard history else { return lines }
        for change in document["changes"]?.items ?? [] {
            let proposed = change["proposed_by"]?.text.map { "proposed by \(plain($0)), agreed to by" } ?? "found by"
            let isSigned = change["signed"] == .bool(true) ? "signed" : "NOT signed as it stands there"
            lines += ["", "\(text(change, "at"))  \(proposed) \(text(change, "by")), \(isSigned)"] + difference(change)
        }
        return lines
    }

    /// One entry for the audit.
    static func line(_ entry: AccessEntry) -> AuditPage.Line {
        let line = entry.line
        let text =
            switch line.event {
            case .tokenCreated(let record):
                "token \(record.id) (\(record.name)) made for \(record.owner) by \(line.by)"
            case .tokenRevoked(let id, let reason): "token \(id) revoked by \(line.by)\(reason.isEmpty ? "" : ": \(reason)")"
            case .tokenApproved(let id): "token \(id) agreed to by \(line.by)"
            case .configurationProposed(let change, let reason):
                "configuration \(change.plan.prefix(12)) proposed by \(line.by)\(reason.isEmpty ? "" : ": \(reason)"): "
                    + words(of: change)
            case .configurationSet(let statement, _):
                "configuration \(statement.change.plan.prefix(12)) "
                    + (statement.proposedBy.map { "of \($0) agreed to by \(line.by): " + words(of: statement.change) }
                        ?? "taken as it was found by \(line.by)")
            }
        return AuditPage.Line(at: line.at, service: "", rollout: nil, source: .init(of: line.by), text: text)
    }

    private static func words(of change: ConfigurationChange) -> String {
        (change.removed.map { "before: \($0)" } + change.added.map { "after: \($0)" }).joined(separator: "; ")
    }
}
