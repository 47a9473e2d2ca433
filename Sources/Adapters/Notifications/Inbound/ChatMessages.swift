internal import SerinModel

/// Slack, Teams and Mattermost.
extension InboundHook {
    /// Slash commands and buttons are forms, events are JSON.
    func readSlack(_ message: VerifiedMessage) -> HookReading {
        let form = message.request.form
        if let payload = form["payload"] {
            // A payload that is no JSON is nothing for Serin.
            guard let value = try? JSONValue(parsing: Array(payload.utf8), depthLimit: 32) else { return unreadable }
            return readSlackButton(message, value)
        }
        if let command = form["command"], let user = form["user_id"], let team = form["team_id"] {
            let context = MessageContext(
                message: message, identity: "\(team)/\(user)", place: team, isUnique: true,
                reply: .slack(later: slackAddress(form["response_url"])))
            let text = form["text"] ?? ""
            // `/halt api` is as good as `/serin halt api`.
            let named = ChannelCommand.Verb(rawValue: String(command.dropFirst()).lowercased())
            return reading(of: named.map { "\($0.rawValue) \(text)" } ?? text, context)
        }
        guard let value = message.request.json else { return unreadable }
        return readSlackEvent(message, value)
    }

    private func readSlackButton(_ message: VerifiedMessage, _ value: JSONValue) -> HookReading {
        guard value["type"]?.text == "block_actions", let user = value.at(pointer: "/user/id")?.text,
            let team = value.at(pointer: "/user/team_id")?.text ?? value.at(pointer: "/team/id")?.text,
            let action = value["actions"]?.items?.first, let identifier = action["action_id"]?.text
        else { return .ignored("no button of Serin", HookAnswer(status: 200)) }
        let context = MessageContext(
            message: message, identity: "\(team)/\(user)", place: team, isUnique: true,
            reply: .slack(later: slackAddress(value["response_url"]?.text)))
        let name = identifier.hasPrefix("serin_") ? String(identifier.dropFirst(6)) : identifier
        guard let verb = ChannelCommand.Verb(rawValue: name) else {
            return .ignored("no button of Serin", HookAnswer(status: 200))
        }
        return reading(of: verb, target: action["value"]?.text, reason: "button", context)
    }

    private func readSlackEvent(_ message: VerifiedMessage, _ value: JSONValue) -> HookReading {
        if value["type"]?.text == "url_verification", let challenge = value["challenge"]?.text {
            return .handshake(.json(.object(["challenge": .string(challenge)])))
        }
        let event = value["event"]
        let isMeant = event?["type"]?.text == "app_mention" || event?["channel_type"]?.text == "im"
        // Serin's own messages come back as events, and edits of old ones do.
        guard value["type"]?.text == "event_callback", let event, isMeant, event["bot_id"] == nil, event["subtype"] == nil,
            let user = event["user"]?.text, let team = value["team_id"]?.text, let text = event["text"]?.text,
            let channel = event["channel"]?.text
        else { return .ignored("an event for others", HookAnswer(status: 200)) }
        let context = MessageContext(
            message: message, identity: "\(team)/\(user)", place: team,
            identifier: value["event_id"]?.text.map { "event:\($0)" }, isUnique: true,
            reply: .slackEvent(channel: channel, thread: event["thread_ts"]?.text ?? event["ts"]?.text))
        return reading(of: withoutMention(text, open: "<@", close: ">"), context)
    }

    /// Only Slack's own host is ever posted to: the address comes with the request.
    private func slackAddress(_ text: String?) -> String? {
        guard let text, text.hasPrefix("https://hooks.slack.com/"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return nil
        }
        return text
    }

    /// A message to an outgoing webhook: `<at>serin</at> halt api`.
    func readTeams(_ message: VerifiedMessage, _ now: Instant) -> HookReading {
        guard let value = message.request.json, let text = value["text"]?.text,
            let user = value.at(pointer: "/from/aadObjectId")?.text ?? value.at(pointer: "/from/id")?.text
        else { return unreadable }
        // The time stands in the signed body alone.
        guard let time = value["timestamp"]?.text.flatMap(instant(rfc3339:)), abs((now - time).milliseconds) <= 300_000 else {
            return .ignored(
                "a message without a time, or from another time",
                ReplyForm.teams.answer("did nothing: this message is not from the last five minutes; send it again"))
        }
        let place = value.at(pointer: "/channelData/team/id")?.text
        let plain = withoutMention(text, open: "<at>", close: "</at>").rewriting("&nbsp;", as: " ")
        return reading(
            of: plain, MessageContext(message: message, identity: user, place: place, isUnique: true, reply: .teams))
    }

    /// A slash command, as a form.
    func readMattermost(_ message: VerifiedMessage) -> HookReading {
        let form = message.request.form
        guard let user = form["user_id"], let text = form["text"] else { return unreadable }
        let context = MessageContext(
            message: message, identity: user, place: form["team_id"] ?? form["channel_id"], isUnique: form["trigger_id"] != nil,
            reply: .mattermost)
        return reading(of: text, context)
    }

    /// The answer to what is signed and yet makes no sense: 400, so that nobody sends it again.
    var unreadable: HookReading { .ignored("no message of this kind", HookAnswer(status: 400)) }

    /// A text without the mention that it begins with.
    private func withoutMention(_ text: String, open: String, close: String) -> String {
        let trimmed = text.drop { $0 == " " || $0 == "\n" }
        guard trimmed.hasPrefix(open), let end = trimmed.firstRange(of: close) else { return text }
        return String(trimmed[end.upperBound...])
    }
}
