internal import SerinAPI
internal import SerinLocks
internal import SerinModel
internal import SerinNotifications
internal import SerinPorts
internal import SerinTransport

/// Takes the messages of all hooks: `POST /hooks/{kind}/{name}`, and what is fetched by polling.
final class HookDesk: HookOrders {
    /// A hook with what it needs to answer later and to fetch.
    struct Member: Sendable {
        var hook: InboundHook
        /// Posts what the answer itself cannot show; nil where nothing is posted.
        var later: SlackChannel?
        /// Whether it may write to a channel of its own accord. Slack's addresses of replies need no token.
        var hasToken = false
        /// Fetches messages, where that is wanted.
        var polling: TelegramPolling?
    }

    private let reception: HookReception
    private let transport: Transport
    private let clock: any Clock
    private let report: @Sendable (String) -> Void
    private let members = Locked<[String: Member]>([:])
    private let orders = Locked<ChannelOrders?>(nil)
    private let counts = Locked<[[String]: Int]>([:])
    private let afterwork = Afterwork()

    /// - Parameter report: Told what came of messages, in a line.
    init(inbox: any Inbox, transport: Transport, clock: any Clock, report: @escaping @Sendable (String) -> Void) {
        reception = HookReception(inbox: inbox)
        self.transport = transport
        self.clock = clock
        self.report = report
    }

    /// Takes messages for these hooks from now on, and for no others.
    func use(_ hooks: [Member]) {
        members.withLock { $0 = Dictionary(hooks.map { ($0.hook.name, $0) }, uniquingKeysWith: { first, _ in first }) }
    }

    /// Lets messages act; until then who sends is asked to send again.
    func open(_ orders: ChannelOrders) { self.orders.withLock { $0 = orders } }

    /// The routes by which messages come. Whoever sends proves it by what the message itself carries, and none is counted against an
    /// allowance: behind a proxy all senders have one address, and a stranger's flood must not keep a halt out.
    var routes: [Route] {
        [
            Route(
                "POST", "/hooks/{kind}/{name}", summary: "a message of a chat, an alert or a program", access: .open,
                allowance: .none
            ) { request, names in await self.answer(request, kind: names[0], name: names[1]) }
        ]
    }

    /// Answers one message.
    func answer(_ request: Request, kind: String, name: String) async -> Response {
        let hookRequest = HookRequest(
            method: request.method, headers: request.headers.map { HTTPHeader($0.name, $0.value) }, body: request.body)
        guard let member = members.withLock({ $0[name] }), member.hook.kind.rawValue == kind else {
            count("unknown", "unknown")
            return response(InboundHook.answer(toStranger: hookRequest, kind: kind, at: clock.wall))
        }
        guard let orders = orders.withLock({ $0 }) else {
            count(kind, "unavailable")
            return response(HookAnswer(status: 503, headers: [HTTPHeader("Retry-After", "1")]))
        }
        let receipt = await reception.receive(hookRequest, by: member.hook, at: clock.wall, orders: orders)
        note(receipt, of: member)
        return response(receipt.answer)
    }

    /// Fetches what is to be fetched, and says what is to be said later, until the task is cancelled.
    ///
    /// - Parameter changes: Told whenever other hooks are used.
    func run(_ changes: AsyncStream<Void>) async {
        await afterwork.beside(patience: .seconds(2)) {
            var changes = changes.makeAsyncIterator()
            while !Task.isCancelled {
                await withDiscardingTaskGroup { group in
                    for member in members.withLock({ $0.values.sorted { $0.hook.name < $1.hook.name } }) {
                        if let polling = member.polling { group.addTask { await self.poll(polling, member) } }
                    }
                    // Nil when the stream or the task ends; then the loop does too.
                    _ = await changes.next()
                    group.cancelAll()
                }
            }
        }
    }

    private func poll(_ polling: TelegramPolling, _ member: Member) async {
        await polling.run(orders: self) { result in
            switch result {
            case .success(let receipt): self.note(receipt, of: member)
            case .failure(let failure):
                self.count(member.hook.kind.rawValue, "unavailable")
                self.report("messages of the hook \(member.hook.name) cannot be fetched: \(failure.message)")
            }
        }
    }

    private func note(_ receipt: HookReception.Receipt, of member: Member) {
        count(member.hook.kind.rawValue, receipt.result)
        let hook = "hook \(member.hook.kind.rawValue)/\(member.hook.name)"
        switch receipt.result {
        case "handshake", "ignored": break
        default: report("\(hook): \(receipt.result)\(receipt.detail.isEmpty ? "" : ": \(plain(receipt.detail))")")
        }
        guard let later = receipt.later, let channel = member.later else { return }
        if case .slackMessage = later, !member.hasToken { return }
        afterwork.add { [transport, report] in
            do throws(Failure) { try await channel.send(later, through: transport) } catch {
                report("\(hook): an answer was not delivered: \(error.message)")
            }
        }
    }

    // MARK: What is fetched

    func reached(by command: ChannelCommand) async -> RolloutID? { await orders.withLock { $0 }?.reached(by: command) }

    func perform(_ command: ChannelCommand) async throws(Failure) -> Deed {
        guard let orders = orders.withLock({ $0 }) else { throw Failure(.transient, "the daemon is starting") }
        return try await orders.perform(command)
    }

    // MARK: Counters

    /// How many messages came, by kind and result, sorted.
    var received: [(kind: String, result: String, count: Int)] {
        counts.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key[0], $0.key[1], $0.value) }
    }

    private func count(_ kind: String, _ result: String) { counts.withLock { $0[[kind, result], default: 0] += 1 } }

    private func response(_ answer: HookAnswer) -> Response {
        Response(
            status: answer.status,
            headers: answer.headers.map { Request.Pair($0.name, $0.value) } + [Request.Pair("Cache-Control", "no-store")],
            body: .bytes(answer.body))
    }
}
