public import SerinCrypto
public import SerinModel
public import SerinPorts
public import SerinTransport

/// Shows rollouts as a status of the released commit at GitLab.
public struct GitLabChannel: NotificationChannel {
    /// The project, by number or path.
    public var project: String
    /// A token with the scope `api`.
    public var token: Secret
    /// What stands before a version in the name of its tag, such as `v`.
    public var tagPrefix = ""
    /// The page of a rollout; its identifier is put after it.
    public var pages: String?
    /// The address of the server.
    public var server = "https://gitlab.com"

    /// A project.
    public init(project: String, token: Secret) {
        self.project = project
        self.token = token
    }

    /// A deployment and its states are shown as they go on.
    public var followsSteps: Bool { true }

    /// Rollouts alone.
    public func takes(_ notification: Notification) -> Bool {
        notification.rollout != nil && notification.field("version") != nil
    }

    /// Looks up the commit of the version's tag and sets the status of this service there.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let notification = message.notification
        guard let rollout = notification.rollout, let version = notification.field("version") else { return }
        let tag = tagPrefix + version
        let (found, answer) = try await call("GET", "repository/commits/\(percentEncoded(tag))", nil, transport)
        guard answer.isSuccess, let commit = answer.json?["id"]?.text else {
            // A tag that is not pushed yet is missing for a while only.
            throw found.failure(answer, answer.status == 404 ? .conflict : nil, said: "the tag \(tag): \(words(answer))")
        }
        var body: [JSONValue.Member] = [
            .init("state", .string(state(notification))),
            .init("name", .string("serin/\(notification.field("service") ?? "rollout")")),
            .init("description", .string(Medium.forge.text(notification.subject))),
        ]
        if let pages { body.append(.init("target_url", .string(pages + percentEncoded(rollout)))) }
        let (set, result) = try await call("POST", "statuses/\(percentEncoded(commit))", .sortedObject(body), transport)
        if result.isSuccess, result.json?["id"]?.integer != nil { return }
        // A status that stands already is refused as a transition to itself.
        if result.status == 400, words(result).contains("Cannot transition status") { return }
        throw set.failure(result, said: words(result))
    }

    private func state(_ notification: Notification) -> String {
        switch (notification.kind, notification.field("state")) {
        case (.rolloutEnded, "promoted"), (.rolloutEnded, "passed"): "success"
        case (.rolloutEnded, "refused"): "canceled"
        case (.rolloutEnded, _): "failed"
        case (_, "preflight"), (_, "awaiting approval"): "pending"
        default: "running"
        }
    }

    private func words(_ answer: HTTPResponse) -> String {
        let message = answer.json?["message"] ?? answer.json?["error"]
        return message?.text ?? message?.canonicalText ?? ""
    }

    private func call(
        _ method: String, _ path: String, _ body: JSONValue?, _ transport: Transport
    ) async throws(Failure) -> (JSONExchange, HTTPResponse) {
        let exchange = JSONExchange(
            name: "gitlab \(project)", method: method, url: "\(server)/api/v4/projects/\(percentEncoded(project))/\(path)",
            headers: [HTTPHeader("PRIVATE-TOKEN", token.revealed)], body: body, secrets: [token])
        return (exchange, try await exchange.answer(transport))
    }
}
