public import SerinModel
internal import SerinTransport

/// How a channel wants to be told what became of a message.
public enum ReplyForm: Sendable, Hashable {
    /// Shown to the channel. For half an hour the address takes up to five more messages.
    case slack(later: String?)
    /// An event of Slack shows no answer; words are posted to the channel, in the thread.
    case slackEvent(channel: String, thread: String?)
    /// A message in the answer's body.
    case telegram(chat: Int64, message: Int64?)
    /// A short notice at a pressed button.
    case telegramButton(query: String)
    /// A message that mentions nobody.
    case discord
    /// A message, within five seconds.
    case teams
    /// A message to the channel.
    case mattermost
    /// A machine that reads the status alone.
    case machine

    /// Something to send after the answer.
    public enum Later: Sendable, Hashable {
        /// Posts JSON to an address at Slack.
        case url(String, JSONValue)
        /// Calls `chat.postMessage` of Slack's Web API.
        case slackMessage(JSONValue)
    }

    /// The answer that shows these words: escaped, cut to what the channel takes.
    public func answer(_ words: String) -> HookAnswer {
        switch self {
        case .slack:
            .json(
                .object([
                    "response_type": .string("in_channel"), "mrkdwn": .bool(false), "text": .string(Medium.slack.text(words)),
                ]))
        case .slackEvent: HookAnswer(status: 200)
        case .telegram(let chat, let message):
            .json(telegram(chat, message, Medium.telegram.text(words)))
        case .telegramButton(let query):
            .json(
                .object([
                    "method": .string("answerCallbackQuery"), "callback_query_id": .string(query), "show_alert": .bool(true),
                    "text": .string(Medium.telegram.text(words, limit: 200)),
                ]))
        case .discord:
            .json(
                .object([
                    "type": .integer(4),
                    "data": .object([
                        "content": .string(Medium.discord.text(words)), "allowed_mentions": .object(["parse": .array([])]),
                    ]),
                ]))
        case .teams:
            .json(
                .object([
                    "type": .string("message"), "textFormat": .string("plain"), "text": .string(Medium.teams.text(words)),
                ]))
        case .mattermost:
            .json(.object(["response_type": .string("in_channel"), "text": .string(Medium.mattermost.text(words))]))
        case .machine: .json(.object(["message": .string(Medium.plain.text(words))]))
        }
    }

    /// The answer when the command could not be made durable. Who sends again is asked to (503); people are told in words, for
    /// their client would show them an error without any.
    public func unavailable(_ words: String) -> HookAnswer {
        switch self {
        case .slack, .telegramButton, .discord, .teams, .mattermost: answer(words)
        case .slackEvent, .telegram, .machine: HookAnswer(status: 503, headers: [HTTPHeader("Retry-After", "1")])
        }
    }

    /// The answer to what names nothing that is known: a program looks at the status (422).
    func unclear(_ words: String) -> HookAnswer {
        var answer = answer(words)
        if case .machine = self { answer.status = 422 }
        return answer
    }

    /// How to send words after the answer; nil where the channel has no way.
    public func later(_ words: String) -> Later? {
        switch self {
        case .slack(let address):
            address.map {
                .url(
                    $0,
                    .object([
                        "response_type": .string("in_channel"), "mrkdwn": .bool(false), "replace_original": .bool(false),
                        "text": .string(Medium.slack.text(words)),
                    ]))
            }
        case .slackEvent(let channel, let thread):
            .slackMessage(
                .object([
                    "channel": .string(channel), "thread_ts": thread.map { .string($0) } ?? .null, "mrkdwn": .bool(false),
                    "text": .string(Medium.slack.text(words)),
                ]))
        case .telegram, .telegramButton, .discord, .teams, .mattermost, .machine: nil
        }
    }

    /// What to send besides an answer that nobody sees; nil where the answer is shown.
    func unshown(_ words: String) -> Later? {
        if case .slackEvent = self { later(words) } else { nil }
    }

    private func telegram(_ chat: Int64, _ message: Int64?, _ text: String) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("method", .string("sendMessage")), .init("chat_id", .integer(chat)), .init("text", .string(text)),
            .init("link_preview_options", .object(["is_disabled": .bool(true)])),
        ]
        if let message { members.append(.init("reply_parameters", .object(["message_id": .integer(message)]))) }
        return .sortedObject(members)
    }
}
