import SerinCrypto
import SerinModel
import SerinTransport
import Testing

@testable import SerinNotifications

/// A moment of these tests: 2026-11-21T03:00:00Z.
let now = Instant(millisecondsSince1970: 1_795_230_000_000)

func service(_ name: String) throws -> ServiceName { try #require(ServiceName(name)) }

/// A hook for the services `api` and `web`, and a person `ada`.
func hook(_ kind: HookKind, secret text: String = "hush-hush", configure: (inout InboundHook) -> Void = { _ in }) throws
    -> InboundHook
{
    var hook = InboundHook(name: "ops", kind: kind, secrets: [secret(text)])
    hook.services = ["api": try service("api"), "web": try service("web"), "Checkout API": try service("api")]
    hook.people = ["T1/U1": "ada", "7": "ada", "u7": "ada"]
    configure(&hook)
    return hook
}

/// A request to Slack's hook, signed now.
func slackRequest(_ body: String, at moment: Instant = now, secret text: String = "hush-hush") throws -> HookRequest {
    let time = "\(moment.millisecondsSince1970 / 1000)"
    let code = try HMACSHA256.code(for: Array("v0:\(time):\(body)".utf8), key: Array(text.utf8))
    return HookRequest(
        headers: [
            HTTPHeader("X-Slack-Request-Timestamp", time), HTTPHeader("X-Slack-Signature", "v0=" + Hexadecimal.text(of: code)),
        ], body: Array(body.utf8))
}

func slashCommand(_ text: String, user: String = "U1") -> String {
    "command=%2Fserin&team_id=T1&user_id=\(user)&text=\(percentEncoded(text))"
        + "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F1"
}

/// A request to a hook whose signature is a plain HMAC, with or without a time.
func hmacRequest(_ body: String, at moment: Instant? = now, secret text: String = "hush-hush") throws -> HookRequest {
    let time = moment.map { "\($0.millisecondsSince1970 / 1000)" }
    let code = try HMACSHA256.code(for: Array(((time.map { $0 + "." } ?? "") + body).utf8), key: Array(text.utf8))
    var headers = [HTTPHeader("X-Serin-Signature", "sha256=" + Hexadecimal.text(of: code))]
    if let time { headers.append(HTTPHeader("X-Serin-Timestamp", time)) }
    return HookRequest(headers: headers, body: Array(body.utf8))
}

func bearerRequest(_ body: String) -> HookRequest {
    HookRequest(headers: [HTTPHeader("Authorization", "Bearer hush-hush")], body: Array(body.utf8))
}

func telegramRequest(_ body: String) -> HookRequest {
    HookRequest(headers: [HTTPHeader("X-Telegram-Bot-Api-Secret-Token", "hush-hush")], body: Array(body.utf8))
}

func telegramMessage(_ text: String, update: Int = 1, chat: Int = -100, age: Int64 = 0, extra: String = "") -> HookRequest {
    let date = now.millisecondsSince1970 / 1000 - age
    return telegramRequest(
        """
        {"update_id":\(update),"message":{"message_id":5,"date":\(date),"from":{"id":7,"is_bot":false},
         "chat":{"id":\(chat),"type":"supergroup"},"text":\(JSONValue.string(text).canonicalText)\(extra)}}
        """)
}

extension InboundHook {
    /// What a request turns out to be once it is verified.
    func reading(_ request: HookRequest, at moment: Instant = now) throws -> HookReading {
        read(try verify(request, at: moment), at: moment)
    }
}

extension HookReading {
    var commands: [ChannelCommand] { if case .commands(let commands, _) = self { commands } else { [] } }

    /// The words of an answer to something unclear.
    var unclearAnswer: String? { if case .unclear(_, let answer, _) = self { answer.text } else { nil } }

    var isIgnored: Bool { if case .ignored = self { true } else { false } }
    var isOfStranger: Bool { if case .stranger = self { true } else { false } }
}

extension HookAnswer {
    var text: String { String(decoding: body, as: UTF8.self) }
}
