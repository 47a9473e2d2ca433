public import SerinCrypto
public import SerinModel
internal import SerinPorts
public import SerinTransport

/// Posts to a channel of Discord by a webhook's address, a secret itself.
public struct DiscordChannel: NotificationChannel {
    private let address: Secret

    /// A webhook's address.
    public init(address: Secret) { self.address = address }

    /// Posts the message; it mentions nobody.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let notification = message.notification
        let colour =
            switch notification.severity {
            case .info: 0x2E_7D32
            case .warning: 0xED_6C02
            case .critical: 0xC6_2828
            }
        let fields = notification.fields.prefix(25).map { field in
            JSONValue.object([
                "name": .string(Medium.discord.text(field.name, limit: 250)),
                "value": .string(Medium.discord.text(field.value.isEmpty ? "–" : field.value, limit: 1000)),
                "inline": .bool(true),
            ])
        }
        let call = notification.severity == .critical ? "ACT NOW: " : ""
        let body: JSONValue = .object([
            "allowed_mentions": .object(["parse": .array([])]),
            "embeds": .array([
                .object([
                    "title": .string(Medium.discord.text(call + notification.subject, limit: 250)),
                    "description": .string(Medium.discord.text(notification.text)), "color": .integer(colour),
                    "timestamp": .string("\(notification.at)"), "fields": .array(Array(fields)),
                ])
            ]),
        ])
        // With `wait` the answer is the message, and not given before it was made.
        let exchange = JSONExchange(name: "discord", url: address.revealed + "?wait=true", body: body, secrets: [address])
        let answer = try await exchange.answer(transport)
        guard answer.isSuccess, answer.json?["id"]?.text != nil else {
            let seconds = answer.json?["retry_after"]?.double
            throw exchange.failure(
                answer, said: answer.json?["message"]?.text,
                retryAfter: seconds.map { .milliseconds(Int64(min(max($0, 0), 86_400) * 1000) + 1) })
        }
    }
}

/// Posts to a channel of Mattermost by an incoming webhook's address, a secret itself.
public struct MattermostChannel: NotificationChannel {
    private let address: Secret

    /// An incoming webhook's address.
    public init(address: Secret) { self.address = address }

    /// Posts the message.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let body: JSONValue = .object(["text": .string(Medium.mattermost.text(message.notification.plainText))])
        let exchange = JSONExchange(name: "mattermost", url: address.revealed, body: body, secrets: [address])
        let answer = try await exchange.answer(transport)
        guard answer.isSuccess, answer.body.starts(with: "ok".utf8) else {
            throw exchange.failure(answer, said: answer.json?["message"]?.text)
        }
    }
}

/// Posts to a channel of Microsoft Teams by the address of a workflow, a secret itself.
public struct TeamsChannel: NotificationChannel {
    private let address: Secret

    /// A workflow's address ("When a Teams webhook request is received").
    public init(address: Secret) { self.address = address }

    /// Posts the message as an adaptive card of text runs, in which no markup means anything.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let notification = message.notification
        let call = notification.severity == .critical ? "ACT NOW: " : ""
        func block(_ text: String, isBold: Bool = false) -> JSONValue {
            .object([
                "type": .string("RichTextBlock"),
                "inlines": .array([
                    .object([
                        "type": .string("TextRun"), "text": .string(Medium.teams.text(text)),
                        "weight": .string(isBold ? "Bolder" : "Default"),
                    ])
                ]),
            ])
        }
        var blocks = [block(call + notification.subject, isBold: true)]
        if !notification.text.isEmpty { blocks.append(block(notification.text)) }
        blocks += notification.fields.prefix(20).map { block("\($0.name): \($0.value)") }
        let card: JSONValue = .object([
            "$schema": .string("http://adaptivecards.io/schemas/adaptive-card.json"), "type": .string("AdaptiveCard"),
            "version": .string("1.4"), "body": .array(blocks),
        ])
        let attachment: JSONValue = .object([
            "contentType": .string("application/vnd.microsoft.card.adaptive"), "contentUrl": .null, "content": card,
        ])
        let exchange = JSONExchange(
            name: "teams", url: address.revealed,
            body: .object(["type": .string("message"), "attachments": .array([attachment])]), secrets: [address])
        let answer = try await exchange.answer(transport)
        guard answer.isSuccess else { throw exchange.failure(answer) }
        // Connectors answered 200 and said in words that Teams had refused the message.
        let words = String(decoding: answer.body.prefix(1000), as: UTF8.self)
        if words.contains("delivery failed") { throw exchange.failure(answer, words.contains("429") ? .throttled : .transient) }
        // A workflow answers 202, a connector 200 with "1"; a page or an error is somebody else's word.
        let isPage = words.drop { $0.isWhitespace }.first == "<"
        let isRefusal = answer.json.map { $0["ok"] == .bool(false) || $0["error"] != nil } ?? false
        if isPage || isRefusal { throw exchange.failure(answer, .transient) }
    }
}
