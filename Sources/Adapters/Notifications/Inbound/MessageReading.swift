public import SerinModel
internal import SerinPorts

extension InboundHook {
    /// Reads what a verified message asks for. Pure; asks for nothing unless it is clear.
    ///
    /// - Parameter now: The time by which old messages are passed over.
    public func read(_ message: VerifiedMessage, at now: Instant) -> HookReading {
        switch kind {
        case .slack: readSlack(message)
        case .telegram: readTelegram(message, now)
        case .discord: readDiscord(message)
        case .teams: readTeams(message, now)
        case .mattermost: readMattermost(message)
        case .alertmanager, .grafana: readAlerts(message)
        case .pagerduty: readPagerDuty(message)
        case .github: readGitHub(message)
        case .gitlab: readGitLab(message)
        case .standard, .hmac: readDocument(message)
        }
    }
}

/// Who wrote a message, where, and how it is answered.
struct MessageContext {
    var message: VerifiedMessage
    /// The identity within the channel.
    var identity: String
    /// The chat, guild, team or project.
    var place: String?
    /// What names the message; nil: its fingerprint.
    var identifier: String?
    /// Whether no other message is ever like it.
    var isUnique: Bool
    var reply: ReplyForm
}

extension InboundHook {
    /// What a person's words ask for.
    func reading(of text: String, _ context: MessageContext) -> HookReading {
        guard listens(to: context.place) else {
            return .ignored("a message from a place that is not listened to", HookAnswer(status: 200))
        }
        switch CommandText(text) {
        case .unclear(let word):
            let words =
                word.isEmpty ? CommandText.usage : "did nothing: '\(word)' is none of the words I know; \(CommandText.usage)"
            return unclear("no verb", words, context)
        case .command(let verb, let target, let reason): return reading(of: verb, target: target, reason: reason, context)
        }
    }

    /// What a verb with a target asks for.
    func reading(
        of verb: ChannelCommand.Verb, target: String?, reason: String, _ context: MessageContext
    ) -> HookReading {
        guard listens(to: context.place) else {
            return .ignored("a message from a place that is not listened to", HookAnswer(status: 200))
        }
        let known = Set(services.values).sorted()
        guard let name = target ?? (known.count == 1 ? known[0].description : nil) else {
            let words = "did nothing: understood '\(verb.rawValue)', but not of which service" + listed(known)
            return unclear("no service", words + "; \(CommandText.usage)", context)
        }
        guard let target = resolved(name) else {
            let words = "did nothing: understood '\(verb.rawValue)', but '\(name.prefix(40))' is no service here" + listed(known)
            return unclear("unknown service", words, context)
        }
        return .commands([command(verb, target, reason: reason, context)])
    }

    /// The command for a target that is known.
    func command(
        _ verb: ChannelCommand.Verb, _ target: ChannelCommand.Target, reason: String, _ context: MessageContext
    ) -> ChannelCommand {
        let identity = context.identity
        let person = kind.namesPeople ? people[identity] : owner
        return ChannelCommand(
            verb: verb, target: target, by: Principal(channel: kind.rawValue, identity: identity),
            person: person, roles: person.map { roles[$0] ?? [.releaser, .approver] } ?? [],
            reason: String(visible(reason, lines: false).prefix(500)),
            replay: ReplayKey(
                hook: name, message: context.identifier ?? context.message.fingerprint,
                keptFor: context.isUnique ? .hours(24 * 30) : .minutes(10)),
            isReplayProof: context.message.isReplayProof, reply: context.reply)
    }

    /// A service, or one of its rollouts, that this hook may reach.
    func resolved(_ name: String) -> ChannelCommand.Target? {
        guard !services.isEmpty else { return RolloutID(name).map { .name($0) } }
        if let service = services[name] ?? services.values.first(where: { $0.description == name }) { return .service(service) }
        // `<service>-<time>`, and the time holds no '-': the rollout of `api-gateway` is none of `api`.
        guard let dash = name.lastIndex(of: "-"), services.values.contains(where: { $0.description == name[..<dash] }),
            name.index(after: dash) < name.endIndex
        else { return nil }
        return RolloutID(name).map { .rollout($0) }
    }

    func listens(to place: String?) -> Bool {
        if places.isEmpty { return !kind.isOpenToStrangers }
        return place.map(places.contains) ?? false
    }

    /// Says what was understood, in the way that its sender sees.
    func unclear(_ why: String, _ words: String, _ context: MessageContext) -> HookReading {
        .unclear(why, context.reply.answer(words), later: context.reply.unshown(words))
    }

    private func listed(_ known: [ServiceName]) -> String {
        known.isEmpty ? "" : "; known are " + known.prefix(20).map(\.description).joined(separator: ", ")
    }
}
