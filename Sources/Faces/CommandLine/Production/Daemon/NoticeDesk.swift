internal import SerinAPI
internal import SerinLocks
internal import SerinModel
internal import SerinNotifications
internal import SerinPorts
internal import SerinTransport

/// Tells people by the channels of the configuration in force; what they are not told yet waits in the outbox, across restarts.
final class NoticeDesk: Notifier {
    private struct State: Sendable {
        var notifier: OutboxNotifier?
        var routes: [String] = []
        var delivered: [String: Int] = [:]
        var failed: [String: Int] = [:]
    }

    private let outbox: SteadyOutbox
    private let transport: Transport
    private let clock: any Clock
    private let report: @Sendable (String) -> Void
    private let state = Locked(State())

    init(outbox: any Outbox, transport: Transport, clock: any Clock, report: @escaping @Sendable (String) -> Void) {
        self.outbox = SteadyOutbox(outbox)
        self.transport = transport
        self.clock = clock
        self.report = report
    }

    /// Tells by these channels from now on.
    func use(_ routes: [OutboxNotifier.Route]) {
        let notifier = OutboxNotifier(
            routes: routes, outbox: outbox, transport: transport, clock: clock, unit: { Double.random(in: 0...1) },
            report: { [weak self] in self?.note($0) })
        state.withLock { state in
            state.notifier = notifier
            state.routes = routes.map(\.name)
        }
    }

    func notify(_ notification: Notification) async { await state.withLock { $0.notifier }?.notify(notification) }

    /// Sends what waits, until the task is cancelled.
    ///
    /// - Parameter changes: Told whenever other channels are used.
    func run(_ changes: AsyncStream<Void>) async {
        var changes = changes.makeAsyncIterator()
        while !Task.isCancelled {
            await withDiscardingTaskGroup { group in
                if let notifier = state.withLock({ $0.notifier }) { group.addTask { await notifier.run() } }
                // Nil when the stream or the task ends; then the loop does too.
                _ = await changes.next()
                group.cancelAll()
            }
        }
    }

    private func note(_ event: OutboxNotifier.Report) {
        switch event {
        case .delivered(let route): state.withLock { $0.delivered[route, default: 0] += 1 }
        case .postponed(let route, let failure):
            state.withLock { $0.failed[route, default: 0] += 1 }
            report("a notification waits for \(route): \(failure.message)")
        case .givenUp(let route, let words):
            state.withLock { $0.failed[route, default: 0] += 1 }
            report("a notification of \(route) was GIVEN UP: \(plain(words))")
        case .storeFailed(let failure): report("notifications cannot be kept: \(failure.message)")
        }
    }

    // MARK: What is not delivered

    /// One channel as it stands.
    struct Channel: Sendable, Hashable {
        var name: String
        /// Whether the configuration in force has it; one that was taken out may still have messages that wait.
        var isConfigured = true
        var waiting: Int
        /// When the oldest that waits was to be told, and what its last try failed with.
        var oldest: Instant?
        var failure: String?
        var delivered: Int
        var failed: Int
    }

    /// Every channel as it stands; those that are configured no more and for which messages wait come last.
    func channels() async throws(Failure) -> [Channel] {
        let state = state.withLock { $0 }
        var channels: [Channel] = []
        let trouble = await outbox.trouble.map { "notifications cannot be kept: \($0.message)" }
        let removed = try await outbox.destinations().filter { !state.routes.contains($0) }
        for name in state.routes + removed {
            let isConfigured = state.routes.contains(name)
            let first = try await outbox.waiting(for: name, limit: 50)
            let failure =
                isConfigured
                ? first.compactMap(\.failure).first ?? trouble
                : "no channel of this name is configured any more, and what is older than a day is given up"
            channels.append(
                Channel(
                    name: name, isConfigured: isConfigured, waiting: try await outbox.waitingCount(for: name),
                    oldest: first.map(\.createdAt).min(), failure: failure, delivered: state.delivered[name] ?? 0,
                    failed: state.failed[name] ?? 0))
        }
        return channels
    }

    /// What people were not told, for those who ask how the daemon is.
    func undelivered() async throws(Failure) -> [Undelivered] {
        let now = clock.now()
        // Anybody may ask, and often: more than these are not read.
        let dead = try await outbox.dead(limit: 1000).filter { now - $0.nextAt <= .hours(24) && !$0.isOvertaken }
        return try await channels().map { channel in
            Undelivered(
                channel: channel.name, waiting: channel.waiting, oldest: channel.oldest, hasFailed: channel.failure != nil,
                givenUp: dead.count { $0.destination == channel.name }, at: now)
        }
    }

    /// What people do not know yet, with why, for `serin status` and programs.
    func document() async throws(Failure) -> JSONValue {
        let channels = try await channels()
        let dead = try await outbox.dead(limit: 1000).filter { !$0.isOvertaken }
        return .object([
            "schema": .string("serin.dev/notifications/v1"),
            "channels": .array(
                channels.map { channel in
                    .object([
                        "name": .string(channel.name), "configured": .bool(channel.isConfigured),
                        "waiting": .integer(Int64(channel.waiting)),
                        "oldest": channel.oldest.map { .string("\($0)") } ?? .null,
                        "failure": channel.failure.map { .string($0) } ?? .null,
                        "delivered": .integer(Int64(channel.delivered)), "failed": .integer(Int64(channel.failed)),
                    ])
                }),
            "given_up": .array(
                dead.map { entry in
                    .object([
                        "channel": .string(entry.destination), "id": .string(entry.id), "at": .string("\(entry.createdAt)"),
                        "failure": .string(entry.failure ?? ""),
                    ])
                }),
        ])
    }
}
