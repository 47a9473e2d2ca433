internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRecords
public import SerinRollouts

/// Drives one rollout: one task owns its state, journals every event with what it leads to, and only then lets effects out.
///
/// Events change the state at once; what they lead to is queued for the journal in the same order and let out when it is durable.
/// One effect goes ahead of a slow or broken journal: lowering the weight to 0 (after `CallLimits.journal`).
public final class RolloutDriver: Sendable {
    enum Input: Sendable {
        case event(RolloutEvent)
        case command(Command, CommandReply)
        case journaled(Result<[Entry], StoreError>)
        case overdue(batch: Int)
        case retryJournal
        /// The pause of a lowering that had to wait is over.
        case retryDue(Int)
        case wake
        case pollDue
        /// Whether the watchdog's mark is there, looked at before a poll.
        case markLookedAt(isThere: Bool)
        case pulse
        case stop
    }

    /// Where the answer to a command goes; answered exactly once.
    final class CommandReply: Sendable {
        /// When the command came.
        let arrivedAt: Instant
        private let continuation: Locked<CheckedContinuation<Result<RolloutStatus, OperationError>, Never>?>

        init(_ continuation: CheckedContinuation<Result<RolloutStatus, OperationError>, Never>, at now: Instant) {
            arrivedAt = now
            self.continuation = Locked(continuation)
        }

        func answer(_ result: Result<RolloutStatus, OperationError>) {
            let waiting = continuation.withLock { held in
                defer { held = nil }
                return held
            }
            waiting?.resume(returning: result)
        }
    }

    /// Its latest durable status.
    public let board: StatusBoard
    /// What it was asked to be.
    public let charter: Charter

    let runner: EffectRunner
    let store: any Store
    let clock: any Clock
    let limits: CallLimits
    let watchdog: WatchdogLink
    let retries: RetryBudget
    let measures: ControllerMeasures
    private let notifiers: [any Notifier]
    private let initial: Rollout
    private let opening: @Sendable () async -> [RolloutEvent]
    private let openEffects: [Effect]
    /// Whether a former controller has begun it, so that the opening reads the world before anything is done to it.
    let takesOver: Bool
    private let inbox: AsyncStream<Input>
    private let outbox: AsyncStream<Input>.Continuation

    /// A driver for a rollout whose charter is durable.
    ///
    /// - Parameters:
    ///   - rollout: Its state, as replayed from the journal.
    ///   - opening: Reads what has to be read and returns the events that begin or resume it: `started` or `takenOver`.
    ///   - takesOver: Whether the opening takes it over from a former controller.
    ///   - openEffects: Journaled effects that were not answered before a stop and are asked for again.
    init(
        rollout: Rollout, opening: @escaping @Sendable () async -> [RolloutEvent], takesOver: Bool = false,
        openEffects: [Effect] = [], world: World, parts: ServiceController.Parts
    ) {
        charter = rollout.charter
        initial = rollout
        self.opening = opening
        self.openEffects = openEffects
        self.takesOver = takesOver
        store = parts.store
        clock = parts.clock
        limits = parts.limits
        watchdog = parts.watchdog
        retries = parts.retries
        measures = parts.measures
        notifiers = [parts.notifier] + world.notifiers
        runner = EffectRunner(charter: rollout.charter, world: world, parts: parts)
        board = StatusBoard(rollout.status(at: clock.now()))
        (inbox, outbox) = AsyncStream.makeStream()
    }

    /// Hands a command over; returns once it is durable, or says that it could not be made so.
    func perform(_ command: Command) async throws(OperationError) -> RolloutStatus {
        let result: Result<RolloutStatus, OperationError> = await withCheckedContinuation { continuation in
            let reply = CommandReply(continuation, at: clock.now())
            switch outbox.yield(.command(command, reply)) {
            case .enqueued: break
            case .dropped, .terminated: reply.answer(.failure(.unavailable("the rollout's driver has stopped")))
            @unknown default: reply.answer(.failure(.unavailable("the rollout's driver has stopped")))
            }
        }
        return try result.get()
    }

    /// Tells it that something happened outside.
    func post(_ input: Input) { outbox.yield(input) }

    /// Asks it to stop where it is; the rollout stays resumable.
    func stop() { outbox.yield(.stop) }

    /// Drives until the rollout is final and everything is recorded, or `stop` is asked for. Notices outlast it, each within its
    /// limit.
    ///
    /// - Throws: The journal's error, when nothing can be recorded any more before the journal is opened again. The weight is 0 then,
    ///   or `stop` was asked for.
    func run() async throws(StoreError) {
        let loss = await withDiscardingTaskGroup { notices in
            // Each ends when a notifier was handed what was told last: what is recorded late is told at once, and the newest comes last.
            var last = notifiers.map { _ in AsyncStream<Void> { $0.finish() } }
            let loss = await drive { notification in
                for (index, notifier) in notifiers.enumerated() {
                    let before = last[index]
                    let (told, done) = AsyncStream<Void>.makeStream()
                    last[index] = told
                    notices.addTask {
                        await self.deliver(notification, by: notifier, after: before)
                        done.finish()
                    }
                }
            }
            measures.endsPolling(of: charter.policy.service)
            return loss
        }
        // Commands that came in after the end are answered, not left hanging.
        for await input in inbox {
            if case .command(_, let reply) = input {
                reply.answer(.failure(.unavailable("the rollout's driver has stopped")))
            }
        }
        if let loss { throw loss }
    }

    /// One driving from beginning to end; returns why the journal was lost, if it was.
    private func drive(deliver: (Notification) -> Void) async -> StoreError? {
        await withDiscardingTaskGroup { group in
            var loop = DriverLoop(driver: self, rollout: initial)
            func start(_ orders: [DriverLoop.Order]) {
                for order in orders {
                    loop.began(order)
                    switch order {
                    case .tell(let notice, let status, let word, let at): deliver(notification(of: notice, status, word, at: at))
                    case .publish(let status, let replies):
                        let before = board.status
                        board.show(status)
                        if let progress = progress(from: before, at: clock.now()) { deliver(progress) }
                        for (reply, status) in replies { reply.answer(.success(status)) }
                    case .append, .watchJournal, .retryJournal, .clearMark, .wake, .effect, .retry, .poll:
                        group.addTask { await self.carryOut(order) }
                    }
                }
            }
            start(loop.resume(openEffects))
            group.addTask { await self.beat() }
            // Polls begin after the opening; commands are taken at once, however long a check of the world takes.
            group.addTask {
                for event in await self.opening() {
                    self.outbox.yield(.event(event))
                    // The watchdog waits for the first poll of one that takes over.
                    if case .takenOver = event { self.outbox.yield(.pollDue) }
                }
                await self.pace()
            }
            for await input in inbox {
                let began = measures.time()
                let orders = loop.take(input, at: clock.now())
                if case .event(.observed) = input { measures.decided(since: began) }
                start(orders)
                if case .event(.started) = input {
                    let status = board.status
                    let words = "started by \(charter.author), after \(status.previous.isEmpty ? "nothing" : status.previous)"
                    deliver(notification(.rolloutChanged, .info, status, "started", words, at: clock.now()))
                }
                if loop.isOver { break }
            }
            outbox.finish()
            loop.abandon()
            group.cancelAll()
            return loop.journalLoss
        }
    }

    /// A notice as media show it. Its severity is that of the status that was recorded with it: a rollout that is taken back is worth
    /// a look. With a word of its own, it is about the journal, wherever the rollout stands.
    private func notification(
        of notice: Notice, _ status: RolloutStatus, _ word: String?, at moment: Instant
    ) -> Notification {
        let isGood = word != nil || status.ending.map { $0 == .promoted } ?? true
        return notification(
            status.isFinal ? .rolloutEnded : .rolloutChanged, notice.isCall ? .critical : isGood ? .info : .warning, status,
            word ?? status.state, notice.text, at: moment)
    }

    /// What those are told who follow every step, where the rollout itself has no notice; nil where it has, or nothing happened.
    private func progress(from before: RolloutStatus, at moment: Instant) -> Notification? {
        let status = board.status
        guard status.state != before.state || status.step != before.step else { return nil }
        let isResumed = status.state == "raising" && ["held", "awaiting approval"].contains(before.state)
        guard isResumed || ["backing up", "migrating", "deploying", "baking"].contains(status.state) else { return nil }
        let place = status.step > 0 ? "step \(status.step) of \(status.steps): " : ""
        return notification(
            .rolloutProgressed, .info, status, status.state, "\(place)\(status.cause); \(status.next)", at: moment)
    }

    private func notification(
        _ kind: Notification.Kind, _ severity: Notification.Severity, _ status: RolloutStatus, _ word: String, _ text: String,
        at moment: Instant
    ) -> Notification {
        var fields = [
            Notification.Field("rollout", "\(status.id)"), .init("service", "\(status.service)"),
            .init("version", status.version),
            .init("previous", status.previous), .init("state", status.state),
        ]
        if let weight = status.observedWeight { fields.append(.init("weight", "\(weight)")) }
        return Notification(
            kind, severity, subject: "\(status.service) \(status.version): \(word)", text: text, fields: fields,
            deduplicationKey: "rollout \(status.id)", at: moment)
    }

    /// Passes a notification on once what was told before it has been handed over, or had its time. A call waits for nothing.
    private func deliver(_ notification: Notification, by notifier: any Notifier, after before: AsyncStream<Void>) async {
        let isCall = notification.severity == .critical
        if isCall { await deliver(notification, by: notifier) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in before {} }
            group.addTask { await self.clock.sleep(for: self.limits.notice) }
            await group.next()
            group.cancelAll()
        }
        if !isCall { await deliver(notification, by: notifier) }
    }

    /// Passes a notification on, and gives it up after its limit.
    private func deliver(_ notification: Notification, by notifier: any Notifier) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await notifier.notify(notification) }
            group.addTask { await self.clock.sleep(for: self.limits.notice) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Asks for a poll at every period until the driver ends.
    private func pace() async {
        while !Task.isCancelled {
            await clock.sleep(for: charter.policy.timing.poll)
            outbox.yield(.pollDue)
        }
    }

    /// How long nothing may have been decided before what was read until then counts as old: half of the watchdog's patience.
    var standstill: Duration { Duration(milliseconds: charter.policy.timing.watchdogAfter.milliseconds / 2) }

    /// A poll that takes longer than this never ends: each of its parts has a limit, and this is twice all of them.
    var longestPoll: Duration {
        max(charter.policy.timing.lossFor, (charter.policy.prometheus.timeout * 2 + limits.traffic * 2) * 2)
    }

    /// A lowering has its answer within this: a request and a read-back, and the balancer's settle time.
    var longestLowering: Duration { (limits.traffic * 2 + runner.world.traffic.settleTime) * 2 }

    /// Sends a pulse through the driver's own queue, so that only a driver that decides shows life.
    private func beat() async {
        let period = min(.seconds(1), Duration(milliseconds: max(1, standstill.milliseconds / 2)))
        while !Task.isCancelled {
            outbox.yield(.pulse)
            await clock.sleep(for: period)
        }
    }

    private func carryOut(_ order: DriverLoop.Order) async {
        switch order {
        case .append(let drafts):
            let result: Result<[Entry], StoreError>
            do throws(StoreError) {
                result = .success(try await measures.append(drafts, to: store))
            } catch { result = .failure(error) }
            outbox.yield(.journaled(result))
        case .watchJournal(let batch):
            await clock.sleep(for: limits.journal)
            outbox.yield(.overdue(batch: batch))
        case .retryJournal(let pause):
            await clock.sleep(for: pause)
            outbox.yield(.retryJournal)
        case .wake(let moment):
            await clock.sleep(for: max(.milliseconds(1), moment - clock.now()))
            outbox.yield(.wake)
        case .clearMark: watchdog.clearMark()
        // Done where orders are begun.
        case .publish, .tell: return
        case .effect(let effect, let decidedAt, let request):
            guard let event = await runner.perform(effect, decidedAt: decidedAt, request: request) else { return }
            measures.note(effect, led: event)
            outbox.yield(.event(event))
        case .retry(let number, let moment):
            await clock.sleep(for: max(.zero, moment - clock.now()))
            outbox.yield(.retryDue(number))
        case .poll(let request, let time):
            outbox.yield(.markLookedAt(isThere: watchdog.hasMark()))
            let observation = await runner.poll(request: request, at: time)
            measures.polled(observation, of: charter.policy.service, at: clock.now())
            outbox.yield(.event(.observed(observation)))
        }
    }
}
