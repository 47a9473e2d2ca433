internal import SerinLocks
public import SerinModel
public import SerinPorts
public import SerinTransport

/// Tells people by all configured channels, at least once each: a notification is written down first and sent by `run`, which tries
/// again until the other side has it. Whoever notifies waits for the disk alone, and for that not longer than it wants to.
public final class OutboxNotifier: Notifier {
    /// One channel with what it is told.
    public struct Route: Sendable {
        /// Its name in the outbox and in logs.
        public var name: String
        /// The channel.
        public var channel: any NotificationChannel
        /// What is less urgent is not told.
        public var atLeast: Notification.Severity
        /// What it is told of; empty: everything that the channel follows by itself.
        public var kinds: Set<Notification.Kind>

        /// A route.
        public init(
            name: String, channel: any NotificationChannel, atLeast: Notification.Severity = .info,
            kinds: Set<Notification.Kind> = []
        ) {
            self.name = name
            self.channel = channel
            self.atLeast = atLeast
            self.kinds = kinds
        }

        /// Whether a notification goes this way.
        func takes(_ notification: Notification) -> Bool {
            let order = Notification.Severity.allCases
            let isUrgent = (order.firstIndex(of: notification.severity) ?? 0) >= (order.firstIndex(of: atLeast) ?? 0)
            let isUsual = notification.kind != .rolloutProgressed || channel.followsSteps
            return isUrgent && (kinds.isEmpty ? isUsual : kinds.contains(notification.kind)) && channel.takes(notification)
        }
    }

    /// What happened to a message, for logs and counters.
    public enum Report: Sendable, Hashable {
        /// The channel has it.
        case delivered(route: String)
        /// It will be tried again.
        case postponed(route: String, Failure)
        /// It was given up: by this failure at last, or in these words.
        case givenUp(route: String, String)
        /// The outbox cannot be written or read.
        case storeFailed(Failure)
    }

    private let routes: [Route]
    private let outbox: any Outbox
    private let transport: Transport
    private let clock: any Clock
    private let unit: @Sendable () -> Double
    private let report: @Sendable (Report) -> Void
    private let bells: [Bell]
    /// The calls that were ended, by route and alert: once is enough, and once more after a restart harmless.
    private let settled = Locked<Set<String>>([])

    /// A notifier.
    ///
    /// - Parameters:
    ///   - outbox: Where messages wait.
    ///   - transport: Performs exchanges; its own, so that a slow receiver holds up nothing else.
    ///   - unit: Numbers from 0 to 1 by chance, for pauses.
    ///   - report: Told what happens; must return quickly.
    public init(
        routes: [Route], outbox: any Outbox, transport: Transport, clock: any Clock, unit: @escaping @Sendable () -> Double,
        report: @escaping @Sendable (Report) -> Void
    ) {
        self.routes = routes
        self.outbox = outbox
        self.transport = transport
        self.clock = clock
        self.unit = unit
        self.report = report
        bells = routes.map { _ in Bell() }
    }

    /// Writes a notification down for every route that takes it. Never fails: what cannot be written down is reported.
    public func notify(_ notification: Notification) async {
        do throws(Failure) {
            let message = try OutboundMessage(notification)
            let payload = OutboundMessage.bytes(of: notification)
            var taking: [Route] = []
            for route in routes {
                if route.takes(notification) {
                    taking.append(route)
                } else if await ends(message, at: route) {
                    taking.append(route)
                }
            }
            guard !taking.isEmpty else { return }
            let now = clock.now()
            try await outbox.add(
                taking.map {
                    OutboxEntry(
                        id: message.id, destination: $0.name, isCall: notification.severity == .critical, payload: payload,
                        at: now)
                })
        } catch { report(.storeFailed(error)) }
        for bell in bells { bell.ring() }
    }

    /// Whether a call that this place has, or will have, is over with a message that it is not told.
    private func ends(_ message: OutboundMessage, at route: Route) async -> Bool {
        guard route.channel.raisesAlerts else { return false }
        do throws(Failure) {
            let calls =
                try await outbox.waiting(for: route.name, limit: Self.calls).filter(\.isCall)
                + outbox.deliveredCalls(to: route.name, limit: Self.calls)
            return unsettled(calls, at: route).contains { message.ends($0) }
        } catch {
            report(.storeFailed(error))
            return false
        }
    }

    private func unsettled(_ calls: [OutboxEntry], at route: Route) -> [OutboundMessage] {
        let settled = settled.withLock { $0 }
        return calls.compactMap(OutboundMessage.init).filter { !settled.contains("\(route.name) \($0.id)") }
    }

    /// How many calls are looked at for what is over.
    private static let calls = 200

    /// Sends what waits, until the task is cancelled. Routes are served side by side; within one, calls come first.
    public func run() async {
        await withDiscardingTaskGroup { group in
            for (route, bell) in zip(routes, bells) { group.addTask { await self.serve(route, bell) } }
            group.addTask { await self.tidy() }
        }
    }

    private func serve(_ route: Route, _ bell: Bell) async {
        while !Task.isCancelled {
            let pause = await step(route)
            guard let pause else {
                await bell.wait(atMost: .hours(1), clock)
                continue
            }
            // A new message does not shorten a pause that the other side asked for, but a call is looked at.
            if pause > .zero { await bell.wait(atMost: pause, clock) }
        }
    }

    /// Sends the first message that is due; returns how long to wait before the next look, nil while nothing waits.
    func step(_ route: Route) async -> Duration? {
        do throws(Failure) {
            let waiting = try await outbox.waiting(for: route.name, limit: 50)
            let now = clock.now()
            // In order, but a call overtakes, also an earlier one that pauses.
            let calls = waiting.filter(\.isCall)
            guard var next = calls.min(by: { max($0.nextAt, now) < max($1.nextAt, now) }) ?? waiting.first else { return nil }
            if next.expired(at: now) {
                try await outbox.put(next)
                report(.givenUp(route: route.name, next.failure ?? ""))
                return .zero
            }
            guard next.nextAt <= now else { return next.nextAt - now }
            try await drop(for: route, at: now)
            try await send(next, route)
            return .zero
        } catch {
            report(.storeFailed(error))
            return .seconds(5)
        }
    }

    private func send(_ entry: OutboxEntry, _ route: Route) async throws(Failure) {
        var entry = entry
        do throws(Failure) {
            guard var message = OutboundMessage(entry) else {
                throw Failure(.invalid, "a stored message cannot be read")
            }
            message.isTold = route.takes(message.notification)
            let calls = try await openCalls(for: message, at: route)
            message.endedAlerts = message.endedAlerts(among: calls)
            try await route.channel.deliver(message, at: clock.wall, through: transport)
            let ended = calls.filter { message.ends($0) }.map { "\(route.name) \($0.id)" }
            settled.withLock { settled in
                if settled.count > 10_000 { settled = [] }
                settled.formUnion(ended)
            }
            entry.delivered(at: clock.now())
            report(.delivered(route: route.name))
            try await outrun(message, entry, route)
        } catch {
            // A shutdown is no failure of the message.
            if Task.isCancelled { return }
            entry.failed(error, at: clock.now(), unit: unit())
            report(
                entry.state == .dead ? .givenUp(route: route.name, error.message) : .postponed(route: route.name, error))
        }
        try await outbox.put(entry)
    }

    /// Drops what is older than a message of the same matter that was just delivered: it waited while that one, a call, overtook it.
    private func outrun(_ message: OutboundMessage, _ entry: OutboxEntry, _ route: Route) async throws(Failure) {
        guard entry.isCall, !message.notification.deduplicationKey.isEmpty else { return }
        // A call is sent also while the store cannot be read.
        do throws(Failure) {
            for var older in try await outbox.waiting(for: route.name, limit: Self.calls) {
                guard !older.isSame(as: entry), let other = OutboundMessage(older),
                    other.notification.deduplicationKey == message.notification.deduplicationKey,
                    other.notification.at < message.notification.at
                else { continue }
                older.overtaken(at: clock.now())
                try await outbox.put(older)
            }
        } catch { report(.storeFailed(error)) }
    }

    /// The calls that a place took and that were not ended since; none where nothing has to be ended.
    private func openCalls(for message: OutboundMessage, at route: Route) async throws(Failure) -> [OutboundMessage] {
        guard route.channel.raisesAlerts else { return [] }
        let calls: [OutboxEntry]
        // A call is sent also while the store cannot be read.
        do throws(Failure) { calls = try await outbox.deliveredCalls(to: route.name, limit: Self.calls) } catch {
            guard message.notification.severity == .critical else { throw error }
            calls = []
        }
        return unsettled(calls, at: route)
    }

    /// Gives up the oldest that are no calls while too many wait.
    private func drop(for route: Route, at now: Instant) async throws(Failure) {
        let excess = try await outbox.waitingCount(for: route.name) - OutboxEntry.limit
        guard excess > 0 else { return }
        let waiting = try await outbox.waiting(for: route.name, limit: Int.max)
        let calls = waiting.filter(\.isCall)
        for var entry in (waiting.filter { !$0.isCall } + calls).prefix(excess) {
            entry.dropped(at: now)
            try await outbox.put(entry)
            report(.givenUp(route: route.name, entry.failure ?? ""))
        }
    }

    /// Forgets what is over for 30 days; until then a repeated notification is known, and what was given up can be looked at.
    private func tidy() async {
        while !Task.isCancelled {
            do throws(Failure) {
                try await outbox.forget(before: clock.now() - .hours(24 * 30))
                // What no route serves any more grows old all the same.
                let names = Set(routes.map(\.name))
                for destination in try await outbox.destinations() where !names.contains(destination) {
                    for var entry in try await outbox.waiting(for: destination, limit: OutboxEntry.limit)
                    where entry.expired(at: clock.now()) {
                        try await outbox.put(entry)
                        report(.givenUp(route: destination, entry.failure ?? ""))
                    }
                }
            } catch { report(.storeFailed(error)) }
            await clock.sleep(for: .hours(1))
        }
    }
}

/// Wakes the one who waits for it, now or at the next wait.
private final class Bell: Sendable {
    private struct State: Sendable {
        var isRung = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Locked(State())

    func ring() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            state.isRung = state.waiter == nil
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns at a stroke, after the time, or when the task is cancelled. One waits at a time.
    func wait(atMost limit: Duration, _ clock: any Clock) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.stroke() }
            group.addTask { await clock.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    private func stroke() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let isOver = state.isRung || Task.isCancelled
                    state.isRung = false
                    if !isOver { state.waiter = continuation }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }
}
