internal import SerinAPI
internal import SerinAccess
internal import SerinIdentity
internal import SerinModel

/// How tokens are shown, never with the token itself.
enum TokenView {
    /// What is known of a token.
    static func members(_ record: TokenRecord) -> [JSONValue.Member] {
        var members = [
            JSONValue.Member("id", .string(record.id)), JSONValue.Member("prefix", .string(TokenText.prefix(of: record.id))),
            JSONValue.Member("name", .string(record.name)),
            JSONValue.Member("owner", .string("\(record.owner)")), JSONValue.Member("person", .bool(record.isPerson)),
            JSONValue.Member("roles", .array(record.roles.map { .string($0.rawValue) })),
            JSONValue.Member("scopes", .array(record.scopes.map { .string($0.rawValue) })),
            JSONValue.Member("ends", .string("\(record.expiresAt)")),
        ]
        if let projects = record.projects {
            members.append(JSONValue.Member("projects", .array(projects.map { .string($0) })))
        }
        return members
    }

    static func document(_ token: AccessState.Token, lastUsed: Instant?, at now: Instant) -> JSONValue {
        var members = members(token.record)
        members += [
            JSONValue.Member("state", .string(state(token, at: now).rawValue)),
            JSONValue.Member("created", .string("\(token.createdAt)")),
            JSONValue.Member("created_by", .string("\(token.createdBy)")),
            JSONValue.Member("last_used", lastUsed.map { .string("\($0)") } ?? .null),
        ]
        if let revoked = token.revoked {
            members.append(
                JSONValue.Member(
                    "revoked",
                    .object([
                        "at": .string("\(revoked.at)"), "by": .string("\(revoked.by)"), "reason": .string(revoked.reason),
                    ])))
        }
        return .sortedObject(members)
    }

    static func gives(_ record: TokenRecord) -> String {
        let rights = record.roles.map(\.rawValue) + record.scopes.map(\.rawValue)
        let projects = record.projects.map { " in " + $0.joined(separator: ",") } ?? ""
        return rights.joined(separator: ",") + projects + (record.isPerson ? "" : " (pipeline)")
    }

    static func state(_ token: AccessState.Token, at now: Instant) -> TokenState {
        if token.revoked != nil { return .revoked }
        guard now < token.record.expiresAt else { return .ended }
        return token.isAwaited ? .awaitingApproval : .valid
    }
}
