internal import SerinModel

/// Telegram and Discord.
extension InboundHook {
    /// One update, by webhook or by long polling.
    func readTelegram(_ message: VerifiedMessage, _ now: Instant) -> HookReading {
        guard let update = message.request.json, let number = update["update_id"]?.integer else { return unreadable }
        var context = MessageContext(
            message: message, identity: "", identifier: "update:\(number)", isUnique: true, reply: .machine)
        if let query = update["callback_query"] {
            guard let user = query.at(pointer: "/from/id")?.integer, let chat = query.at(pointer: "/message/chat/id")?.integer,
                let identifier = query["id"]?.text, let data = query["data"]?.text
            else { return .ignored("a button without a place", HookAnswer(status: 200)) }
            context.identity = "\(user)"
            context.place = "\(chat)"
            context.reply = .telegramButton(query: identifier)
            return reading(of: data, context)
        }
        // Edits, posts of channels and whatever is new are other members.
        guard let post = update["message"], let user = post.at(pointer: "/from/id")?.integer,
            let chat = post.at(pointer: "/chat/id")?.integer, let text = post["text"]?.text,
            post.at(pointer: "/from/is_bot") != .bool(true), post["forward_origin"] == nil, post["forward_date"] == nil,
            let date = post["date"]?.integer
        else { return .ignored("no message of a person", HookAnswer(status: 200)) }
        context.identity = "\(user)"
        context.place = "\(chat)"
        context.reply = .telegram(chat: chat, message: post["message_id"]?.integer)
        guard listens(to: context.place) else {
            return .ignored("a message from a place that is not listened to", HookAnswer(status: 200))
        }
        // In a group people also talk to each other.
        let isPrivate = post.at(pointer: "/chat/type")?.text == "private"
        guard isPrivate || text.hasPrefix("/") else { return .ignored("talk", HookAnswer(status: 200)) }
        guard date >= now.millisecondsSince1970 / 1000 - 300 else {
            let words = "did nothing: this message is older than five minutes; send it again"
            return unclear("an old message", words, context)
        }
        return reading(of: text, context)
    }

    /// An interaction: a ping, a slash command or a button.
    func readDiscord(_ message: VerifiedMessage) -> HookReading {
        guard let value = message.request.json, let type = value["type"]?.integer else { return unreadable }
        if type == 1 { return .handshake(.json(.object(["type": .integer(1)]))) }
        guard let user = (value.at(pointer: "/member/user/id") ?? value.at(pointer: "/user/id"))?.text, let data = value["data"],
            type == 2 || type == 3
        else { return .ignored("an interaction of another type", HookAnswer(status: 400)) }
        let context = MessageContext(
            message: message, identity: user, place: value["guild_id"]?.text ?? value["channel_id"]?.text,
            identifier: value["id"]?.text.map { "interaction:\($0)" }, isUnique: true, reply: .discord)
        if type == 3 { return reading(of: data["custom_id"]?.text ?? "", context) }
        // `/halt service: api`, or `/serin halt service: api` where the verb is a subcommand.
        var name = data["name"]?.text ?? ""
        var options = data["options"]?.items ?? []
        if let first = options.first, first["type"]?.integer == 1 {
            name = first["name"]?.text ?? ""
            options = first["options"]?.items ?? []
        }
        guard let verb = ChannelCommand.Verb(rawValue: name) else { return reading(of: name, context) }
        func option(_ name: String) -> String? { options.first { $0["name"]?.text == name }?["value"]?.text }
        return reading(of: verb, target: option("service"), reason: option("reason") ?? "", context)
    }
}
