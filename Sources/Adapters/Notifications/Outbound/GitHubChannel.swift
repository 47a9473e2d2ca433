public import SerinCrypto
public import SerinModel
public import SerinPorts
public import SerinTransport

/// Shows rollouts as deployments of a repository at GitHub, with a status for every change.
public struct GitHubChannel: NotificationChannel {
    /// The repository, `owner/name`.
    public var repository: String
    /// A token that may write deployments.
    public var token: Secret
    /// The environment, such as `production`.
    public var environment: String
    /// What stands before a version in the name of its tag, such as `v`.
    public var tagPrefix = ""
    /// The page of a rollout; its identifier is put after it.
    public var pages: String?
    /// The address of the REST API.
    public var api = "https://api.github.com"

    /// A repository.
    public init(repository: String, token: Secret, environment: String) {
        self.repository = repository
        self.token = token
        self.environment = environment
    }

    /// A deployment and its states are shown as they go on.
    public var followsSteps: Bool { true }

    /// Rollouts alone.
    public func takes(_ notification: Notification) -> Bool {
        notification.rollout != nil && notification.field("version") != nil
    }

    /// Finds or makes the rollout's deployment, then adds the status.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let notification = message.notification
        guard let rollout = notification.rollout, let version = notification.field("version") else { return }
        // The task names the rollout, so that a deployment made by a try without an answer is found again.
        let task = "deploy:\(rollout)"
        let found = try await call(
            "GET", "deployments?per_page=1&task=\(percentEncoded(task))&environment=\(percentEncoded(environment))", nil,
            transport)
        var deployment = found.items?.first?["id"]?.integer
        if deployment == nil {
            let made = try await call(
                "POST", "deployments",
                .object([
                    "ref": .string(tagPrefix + version), "task": .string(task), "environment": .string(environment),
                    "auto_merge": .bool(false), "required_contexts": .array([]),
                    "description": .string(Medium.forge.text(notification.subject)),
                ]), transport)
            deployment = made["id"]?.integer
        }
        guard let deployment else {
            throw Failure(.invalid, "cannot notify \(name): the answer names no deployment for the tag \(tagPrefix)\(version)")
        }
        var status: [JSONValue.Member] = [
            .init("state", .string(state(notification))), .init("environment", .string(environment)),
            .init("description", .string(Medium.forge.text(notification.subject))),
        ]
        if let pages { status.append(.init("log_url", .string(pages + percentEncoded(rollout)))) }
        _ = try await call("POST", "deployments/\(deployment)/statuses", .sortedObject(status), transport)
    }

    private var name: String { "github \(repository)" }

    private func state(_ notification: Notification) -> String {
        switch (notification.kind, notification.field("state")) {
        case (.rolloutEnded, "promoted"), (.rolloutEnded, "passed"): "success"
        case (.rolloutEnded, "refused"): "error"
        case (.rolloutEnded, _): "failure"
        case (_, "preflight"), (_, "awaiting approval"): "queued"
        default: "in_progress"
        }
    }

    private func call(
        _ method: String, _ path: String, _ body: JSONValue?, _ transport: Transport
    ) async throws(Failure) -> JSONValue {
        let exchange = JSONExchange(
            name: name, method: method, url: "\(api)/repos/\(repository)/\(path)",
            headers: [
                HTTPHeader("Authorization", "Bearer \(token.revealed)"), HTTPHeader("Accept", "application/vnd.github+json"),
                HTTPHeader("X-GitHub-Api-Version", "2022-11-28"), HTTPHeader("User-Agent", "serin"),
            ], body: body, secrets: [token])
        let answer = try await exchange.answer(transport)
        if answer.isSuccess, let value = answer.json { return value }
        // The limits of GitHub are told by 403, and by headers.
        let isLimited = answer.status == 403 && (answer.retryAfter != nil || answer.header("x-ratelimit-remaining") == "0")
        // A tag that is not pushed yet is missing for a while only; 409 says that checks of the commit fail.
        let kind: FailureClass? = isLimited ? .throttled : answer.status == 422 ? .conflict : nil
        throw exchange.failure(answer, kind, said: answer.json?["message"]?.text)
    }
}
