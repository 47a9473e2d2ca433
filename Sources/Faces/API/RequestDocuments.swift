public import SerinController
public import SerinModel
internal import SerinRollouts

/// The JSON document that starts a rollout.
public enum StartDocument {
    /// The document of a request.
    public static func encode(_ request: StartRequest) -> JSONValue {
        .object([
            "policy": .object(["file": .string(request.policyFile), "text": .string(request.policyText)]),
            "version": .string(request.version),
            "previous": request.previous.map { .string($0) } ?? .null,
            "overrides": .array(
                request.overrides.map {
                    .object(["key": .string($0.key), "value": .string($0.value), "reason": .string($0.reason)])
                }),
        ])
    }

    /// The request in a document; unknown members are refused.
    public static func decode(_ value: JSONValue) throws(DocumentError) -> StartRequest {
        let reader = try DocumentReader(value, name: "request")
        try reader.allowOnly(["policy", "version", "previous", "overrides"])
        let policy = try PolicyText(value)
        var overrides: [Override] = []
        for item in try reader.optional("overrides", "a list", { $0.items }) ?? [] {
            let override = try DocumentReader(item, name: "override")
            try override.allowOnly(["key", "value", "reason"])
            overrides.append(
                Override(
                    key: try override.text("key"), value: try override.text("value"), reason: try override.text("reason")))
        }
        return StartRequest(
            policyText: policy.text, policyFile: policy.file,
            version: try reader.text("version"), previous: try reader.optional("previous", "a text") { $0.text },
            overrides: overrides)
    }
}

/// The JSON document that goes with a command: `{"reason": "…", "security": true, "plan": "3f9ac0d21b77"}`, all optional.
public struct CommandDocument: Sendable, Hashable {
    /// Why; may be empty. Of a text that is longer than 1,000 characters the beginning.
    public var reason: String
    /// Whether a halt is for a security reason.
    public var security: Bool
    /// The hash of the plan that an approval is for.
    public var plan: String?

    /// The words that go with a command.
    public init(reason: String, security: Bool = false, plan: String? = nil) {
        self.reason = Command.kept(reason)
        self.security = security
        self.plan = plan
    }

    /// The document.
    public func encode() -> JSONValue {
        var members = [JSONValue.Member("reason", .string(reason)), JSONValue.Member("security", .bool(security))]
        if let plan { members.append(JSONValue.Member("plan", .string(plan))) }
        return .sortedObject(members)
    }

    /// What a document says; unknown members are refused.
    public static func decode(_ value: JSONValue) throws(DocumentError) -> CommandDocument {
        let reader = try DocumentReader(value, name: "request")
        try reader.allowOnly(["reason", "security", "plan"])
        let reason = try reader.optional("reason", "a text") { $0.text } ?? ""
        let plan = try reader.optional("plan", "a text") { $0.text }
        guard plan.map({ $0.utf8.count <= 64 }) ?? true else { throw reader.wrong("plan", "at most 64 characters") }
        return CommandDocument(
            reason: reason,
            security: try reader.optional("security", "true or false") { if case .bool(let value) = $0 { value } else { nil } }
                ?? false, plan: plan)
    }
}
