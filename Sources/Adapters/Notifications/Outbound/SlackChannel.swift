public import SerinCrypto
public import SerinModel
internal import SerinPorts
public import SerinTransport

/// Posts to a channel of Slack, by the Web API with a bot's token or by an incoming webhook's address.
public struct SlackChannel: NotificationChannel {
    /// How it posts.
    public enum Access: Sendable {
        /// `chat.postMessage` to a channel.
        case bot(token: Secret, channel: String)
        /// The address of an incoming webhook, a secret itself.
        case webhook(address: Secret)
    }

    private let access: Access
    private let api: String

    /// A channel.
    ///
    /// - Parameter api: The address of the Web API.
    public init(_ access: Access, api: String = "https://slack.com/api") {
        self.access = access
        self.api = api
    }

    /// Posts the message, with a button that halts while a rollout goes on.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        try await post(content(of: message.notification), transport)
    }

    /// Posts what a reply of a hook wants said later.
    public func send(_ reply: ReplyForm.Later, through transport: Transport) async throws(Failure) {
        switch reply {
        case .slackMessage(let value): try await post(value, transport)
        case .url(let address, let value):
            let exchange = JSONExchange(name: "slack", url: address, body: value)
            let answer = try await exchange.answer(transport)
            guard answer.isSuccess else { throw exchange.failure(answer) }
        }
    }

    private func post(_ content: JSONValue, _ transport: Transport) async throws(Failure) {
        switch access {
        case .webhook(let address):
            let exchange = JSONExchange(name: "slack", url: address.revealed, body: content, secrets: [address])
            let answer = try await exchange.answer(transport)
            guard answer.isSuccess, String(decoding: answer.body.prefix(10), as: UTF8.self).hasPrefix("ok") else {
                throw exchange.failure(answer)
            }
        case .bot(let token, let channel):
            var body = content
            if case .object(let members) = content, content["channel"] == nil {
                body = .sortedObject(members + [.init("channel", .string(channel))])
            }
            let exchange = JSONExchange(
                name: "slack", url: api + "/chat.postMessage", headers: [HTTPHeader("Authorization", "Bearer \(token.revealed)")],
                body: body, secrets: [token])
            let answer = try await exchange.answer(transport)
            // The Web API says with 200 what went wrong.
            guard answer.isSuccess, let value = answer.json, value["ok"] == .bool(true) else {
                let error = answer.json?["error"]?.text
                throw exchange.failure(answer, answer.isSuccess ? SlackChannel.kind(of: error) : nil, said: error)
            }
        }
    }

    /// The classes of the errors that `chat.postMessage` documents.
    private static func kind(of error: String?) -> FailureClass {
        switch error {
        case "ratelimited", "rate_limited": .throttled
        case nil, "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org": .transient
        case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission", "missing_scope",
            "not_in_channel", "is_archived", "channel_not_found", "org_login_required", "ekm_access_denied", "access_denied":
            .denied
        case "msg_too_long", "no_text", "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "too_many_attachments",
            "invalid_arguments", "invalid_arg_name", "invalid_json", "invalid_form_data", "invalid_charset":
            .invalid
        // Whatever else it is: a setting that a person can put right within the day.
        default: .denied
        }
    }

    /// `text` is what a telephone shows; the blocks are text alone, where no markup means anything.
    private func content(of notification: Notification) -> JSONValue {
        func plain(_ text: String, limit: Int) -> JSONValue {
            .object([
                "type": .string("plain_text"), "emoji": .bool(false), "text": .string(Medium.plain.text(text, limit: limit)),
            ])
        }
        let call = notification.severity == .critical ? "ACT NOW: " : ""
        var blocks: [JSONValue] = [.object(["type": .string("header"), "text": plain(call + notification.subject, limit: 150)])]
        if !notification.text.isEmpty {
            blocks.append(.object(["type": .string("section"), "text": plain(notification.text, limit: 3000)]))
        }
        if !notification.fields.isEmpty {
            // A section takes ten fields.
            let fields = notification.fields.prefix(10).map { plain("\($0.name)\n\($0.value)", limit: 2000) }
            blocks.append(.object(["type": .string("section"), "fields": .array(Array(fields))]))
        }
        if let rollout = notification.liveRollout {
            let button: JSONValue = .object([
                "type": .string("button"), "style": .string("danger"), "action_id": .string("serin_halt"),
                "value": .string(rollout), "text": plain("Halt", limit: 75),
            ])
            blocks.append(.object(["type": .string("actions"), "elements": .array([button])]))
        }
        return .object([
            "text": .string(Medium.slack.text(call + notification.subject)), "mrkdwn": .bool(false), "blocks": .array(blocks),
            "unfurl_links": .bool(false), "unfurl_media": .bool(false),
        ])
    }
}
