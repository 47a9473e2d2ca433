internal import SerinAPI
internal import SerinController
internal import SerinCrypto
internal import SerinIdentity
internal import SerinLocks
internal import SerinModel
internal import SerinNotifications
internal import SerinPolicies
internal import SerinPorts
internal import SerinSQLite
internal import SerinTransport

/// Messages in and out of a daemon, kept in one file beside the journals.
final class OpenedMessages: DaemonMessages {
    private let file: SQLiteMessages?
    private let hooks: HookDesk
    private let notices: NoticeDesk
    private let transport: Transport
    private let reception: HookReception
    private let secrets: Secrets
    private let state: StateRoot
    private let unwrittenHalts: UnwrittenHalts
    private let clock = SystemClock()
    /// Told of every change: one stream for the hooks, one for the channels.
    private let hookChanges = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let routeChanges = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    var notifier: any Notifier { notices }
    var routes: [Route] { hooks.routes }

    /// Opens the file. Without it hooks still halt, and nothing is told by channels: that is said, and the daemon goes on.
    static func open(
        _ state: StateRoot, environment: [String: String], output: Output, unwrittenHalts: UnwrittenHalts
    ) async throws(Failure) -> OpenedMessages {
        var file: SQLiteMessages?
        let report: @Sendable (String) -> Void = { output.write("serin: \(plain($0))\n", isKept: true) }
        do throws(Failure) { file = try await SQLiteMessages.open(SQLiteMessages.path(under: state.path)) } catch {
            report("\(error.description); messages only halt until then, and people are told by the log alone")
        }
        return OpenedMessages(
            file, state: state, secrets: Secrets(environment: environment), transport: try Transport(),
            unwrittenHalts: unwrittenHalts, report: report)
    }

    private init(
        _ file: SQLiteMessages?, state: StateRoot, secrets: Secrets, transport: Transport,
        unwrittenHalts: UnwrittenHalts, report: @escaping @Sendable (String) -> Void
    ) {
        self.file = file
        self.state = state
        self.secrets = secrets
        self.transport = transport
        self.unwrittenHalts = unwrittenHalts
        let (inbox, outbox): (any Inbox, any Outbox) = file.map { (PatientInbox(inbox: $0), $0) } ?? (NoMessages(), NoMessages())
        reception = HookReception(inbox: inbox)
        hooks = HookDesk(inbox: inbox, transport: transport, clock: clock, report: report)
        notices = NoticeDesk(outbox: outbox, transport: transport, clock: clock, report: report)
    }

    func prepare(_ settings: DaemonSettings, of people: [Person]) throws(Failure) -> @Sendable () -> Void {
        let secret = Self.reader(secrets)
        var members: [HookDesk.Member] = []
        for own in settings.hooks {
            do throws(Failure) { members.append(try member(own, people, secret)) } catch {
                throw Failure(error.kind, "the hook \(own.name) cannot be used: \(error.message)", hint: error.hint)
            }
        }
        var routes: [OutboxNotifier.Route] = []
        for own in settings.routes {
            do throws(Failure) {
                routes.append(
                    OutboxNotifier.Route(
                        name: own.name, channel: try NotificationChannels.make(own.channel, secret: secret),
                        atLeast: Notification.Severity(rawValue: own.atLeast) ?? .info,
                        kinds: Set(own.kinds.compactMap(Notification.Kind.init))))
            } catch { throw Failure(error.kind, "\(own.name) cannot be told: \(error.message)", hint: error.hint) }
        }
        return { [self, members, routes] in
            hooks.use(members)
            notices.use(routes)
            hookChanges.continuation.yield()
            routeChanges.continuation.yield()
        }
    }

    private func member(
        _ own: DaemonSettings.Hook, _ people: [Person], _ secret: ChannelDefinition.SecretReader
    ) throws(Failure) -> HookDesk.Member {
        var hook = try InboundHook(own, secret: secret)
        try hook.know(people)
        var member = HookDesk.Member(hook: hook)
        guard let bot = own.bot else {
            if hook.kind == .slack { member.later = SlackChannel(.bot(token: Self.noToken, channel: "")) }
            return member
        }
        let token = try secret(bot)
        switch hook.kind {
        case .slack:
            member.later = SlackChannel(.bot(token: token, channel: ""), api: own.api ?? "https://slack.com/api")
            member.hasToken = true
        case .telegram where own.polls:
            member.polling = TelegramPolling(
                hook: hook, token: token, api: own.api ?? "https://api.telegram.org", reception: reception, transport: transport,
                clock: clock)
        default: break
        }
        return member
    }

    /// Slack's own addresses of replies need no token.
    private static var noToken: Secret {
        var bytes: [UInt8] = []
        return Secret(wiping: &bytes)
    }

    static func reader(_ secrets: Secrets) -> ChannelDefinition.SecretReader {
        { reference throws(Failure) in
            var bytes = Array(try secrets.read(reference).utf8)
            return Secret(wiping: &bytes)
        }
    }

    func open(_ operations: any RolloutOperations) {
        hooks.open(ChannelOrders(operations: operations, state: state, unwrittenHalts: unwrittenHalts))
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.hooks.run(self.hookChanges.stream) }
            group.addTask { await self.notices.run(self.routeChanges.stream) }
        }
    }

    func close() async { await file?.close() }

    func undelivered() async throws(Failure) -> [Undelivered] {
        guard file != nil else {
            throw Failure(
                .unknown, "the file of messages could not be opened at the start; people are told by the log alone")
        }
        return try await notices.undelivered()
    }

    func notifications() async throws(Failure) -> JSONValue { try await notices.document() }

    func metrics() async -> String {
        // Kinds, results and names of channels hold nothing that would have to be escaped.
        var lines = [
            "# HELP serin_webhook_requests_total Messages that came in, by channel and what became of them.",
            "# TYPE serin_webhook_requests_total counter",
        ]
        lines += hooks.received.map {
            "serin_webhook_requests_total{channel=\"\($0.kind)\",result=\"\($0.result)\"} \($0.count)"
        }
        // A file that cannot be read is said by the log; what was counted is shown all the same.
        let channels = (try? await notices.channels()) ?? []
        lines += [
            "# HELP serin_notifications_total Tries to tell people, by channel and what became of them.",
            "# TYPE serin_notifications_total counter",
        ]
        lines += channels.flatMap { channel in
            [("delivered", channel.delivered), ("failed", channel.failed)].map {
                "serin_notifications_total{channel=\"\(channel.name)\",result=\"\($0.0)\"} \($0.1)"
            }
        }
        lines += [
            "# HELP serin_notifications_waiting Notifications that people do not have yet.",
            "# TYPE serin_notifications_waiting gauge",
        ]
        lines += channels.map { "serin_notifications_waiting{channel=\"\($0.name)\"} \($0.waiting)" }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension InboundHook {
    /// Knows these people by the identities that they have in this channel, and what the words of each may do.
    fileprivate mutating func know(_ known: [Person]) throws(Failure) {
        let names = Set(known.map(\.name))
        if !names.isEmpty, let (user, name) = people.sorted(by: { $0.key < $1.key }).first(where: { !names.contains($0.value) }) {
            // Somebody whom only this hook knows would be a second person beside the one that they are elsewhere.
            throw Failure(
                .invalid, "\(user) is \(name) there, whom the file of identities does not know",
                hint: "name every person once, in the file of identities: it knows \(names.sorted().joined(separator: ", "))")
        }
        for person in known {
            roles[person.name] = person.roles
            for identity in person.identities where identity.channel == kind.rawValue {
                if let other = people.updateValue(person.name, forKey: identity.identity), other != person.name {
                    throw Failure(
                        .invalid, "\(identity) is \(other) there and \(person.name) in the file of identities",
                        hint: "name every person once, in the file of identities")
                }
            }
        }
    }
}

/// Where messages cannot be kept: whoever needs memory is refused, and a halt needs none.
private struct NoMessages: Inbox, Outbox {
    private var failure: Failure { Failure(.transient, "the file of messages could not be opened at the start") }

    func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) async throws(Failure) -> InboxEntry.Claim {
        throw failure
    }
    func settle(_ key: ReplayKey, answer: [UInt8]) async throws(Failure) { throw failure }
    func release(_ key: ReplayKey) async throws(Failure) { throw failure }
    func add(_ entries: [OutboxEntry]) async throws(Failure) { throw failure }
    func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] { [] }
    func destinations() async throws(Failure) -> [String] { [] }
    func waitingCount(for destination: String) async throws(Failure) -> Int { 0 }
    func put(_ entry: OutboxEntry) async throws(Failure) { throw failure }
    func dead(limit: Int) async throws(Failure) -> [OutboxEntry] { [] }
    func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] { [] }
    func forget(before moment: Instant) async throws(Failure) {}
}
