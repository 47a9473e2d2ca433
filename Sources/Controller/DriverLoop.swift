internal import SerinModel
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts

/// The decisions of a driver: what to journal, what to let out and when. No task, no wait: orders come back as values.
struct DriverLoop {
    /// Work for the driver's tasks.
    enum Order: Sendable {
        /// Append this to the journal and report.
        case append([Draft])
        /// Report when the journal had its time for this batch.
        case watchJournal(batch: Int)
        /// Report after this pause, when the journal may be tried again.
        case retryJournal(Duration)
        /// Take the watchdog's mark away: its lowering is journaled, or it has none that could still come.
        case clearMark
        /// Report at this moment: a deadline passes, or something is to be tried again.
        case wake(at: Instant)
        /// Show what is durable now, and answer those who asked for it.
        case publish(RolloutStatus, replies: [(RolloutDriver.CommandReply, RolloutStatus)])
        /// Carry this out and report what came of it.
        case effect(Effect, decidedAt: Instant, request: TelemetryRequest)
        /// Tell people of this, where the rollout stood so; under this word in place of the state's.
        case tell(Notice, RolloutStatus, word: String?, at: Instant)
        /// Report at this moment that the lowering with this number may be tried again: the tries before it failed.
        case retry(Int, at: Instant)
        /// Read everything and report.
        case poll(TelemetryRequest, at: Instant)
    }

    unowned let driver: RolloutDriver
    private(set) var rollout: Rollout
    var queue: [Batch] = []
    /// How many batches of the queue are being appended.
    private var appending = 0
    private var lastBatch = 0
    /// Whether the world is still being read for the takeover, and what waits for its end.
    var isTakingOver: Bool
    var heldBack: [Effect] = []
    private var isPolling = false
    /// Whether it began the rollout, or has finished a poll since it took it up: one that ends before is as good as none.
    private var isInCharge = false
    /// When the latest poll began.
    private var pollBegan: Instant
    var isJournalBroken = false
    /// What the last append failed with.
    var journalTrouble = ""
    /// Why this opening of the journal takes nothing any more; nil while it may be tried again.
    private(set) var journalLoss: StoreError?
    private var isStopping = false
    /// How many requests for a weight have no answer yet; each has a deadline of its own.
    private var weightsUnderWay = 0
    /// Whether the backup is being released.
    private var isReleasing = false
    /// When the latest input was taken. Pulses come steadily, so a long time without any means that the process stood still.
    private var lastTaken: Instant
    /// What was read before this is older than a standstill, in which the watchdog may have lowered the weight.
    private var readFrom: Instant
    /// The lowering to 0 under way, and when it was let out: the same one asked for again meanwhile is no second one.
    private var zeroUnderWay: (intent: IntentID, since: Instant)?
    /// The lowering to 0 that waits for the end of its pause and is not sent yet. A later one, or one sent at once, takes its place.
    private var waitingZero: (intent: IntentID, number: Int)?
    /// How many lowerings have had to wait.
    private var lastWait = 0
    /// The latest lowering to 0 that was let out.
    private var zeroIntent: IntentID?
    /// When a lowering that failed is tried again, whatever asks for it sooner: a poll, or passing time.
    private var zeroRests: Instant?
    /// How often in a row a weight, or the journal, was tried in vain.
    private var weightFailures = 0
    private var journalFailures = 0
    /// The earliest moment at which a wake-up is already ordered.
    private var wakeAt: Instant?
    /// When the halt arrived that has not led to 0 yet.
    private var haltArrived: Instant?
    /// Since when the watchdog's mark is seen by each poll, with the weight as it is wanted.
    private var markSince: Instant?
    /// By how much the computer's clock was ahead of the controller's when last looked at, in milliseconds.
    private var wallClockOffset: Int64

    init(driver: RolloutDriver, rollout: Rollout) {
        self.driver = driver
        self.rollout = rollout
        isTakingOver = driver.takesOver
        wallClockOffset = driver.clock.wallClockOffset()
        lastTaken = driver.clock.now()
        readFrom = lastTaken
        pollBegan = lastTaken
    }

    /// Whether nothing is left to do: final, recorded, every weight answered and the backup released, or stopped with nothing in the
    /// journal's queue, or 0 confirmed and no journal to go on with.
    var isOver: Bool {
        if journalLoss != nil { return weightsUnderWay == 0 && (isStopping || isAtZero) }
        guard queue.isEmpty, appending == 0 else { return isStopping && isJournalBroken }
        return isStopping || driver.board.status.isFinal && weightsUnderWay == 0 && !isReleasing
    }

    private var isAtZero: Bool { rollout.machine.ending != nil || isZeroConfirmed }

    var isZeroConfirmed: Bool {
        rollout.machine.request.map { $0.weight == .zero && $0.progress == .confirmed } ?? false
    }

    /// Takes note of an order that a task carries out from now on.
    mutating func began(_ order: Order) {
        switch order {
        case .effect(let effect, _, _): if effect.isWeight { weightsUnderWay += 1 }
        case .append, .watchJournal, .retryJournal, .clearMark, .wake, .publish, .tell, .retry, .poll: break
        }
        if case .effect(.releaseBackup, _, _) = order { isReleasing = true }
    }

    /// Asks again for effects that were durable before a stop.
    func resume(_ effects: [Effect]) -> [Order] {
        let now = driver.clock.now()
        return effects.map { effect in
            guard case .notify(let notice) = effect else {
                return .effect(effect, decidedAt: now, request: rollout.telemetryRequest)
            }
            return .tell(notice, rollout.status(at: now), word: nil, at: now)
        }
    }

    /// Answers everyone who still waits when the driver ends.
    func abandon() {
        for batch in queue {
            for reply in [batch.reply].compactMap({ $0 }) + batch.refusals.map(\.reply) {
                reply.answer(.failure(.unavailable("the controller stopped before it was recorded")))
            }
        }
    }

    /// Takes one input and returns what is to be done about it.
    mutating func take(_ input: RolloutDriver.Input, at now: Instant) -> [Order] {
        if now - lastTaken > driver.standstill { readFrom = now }
        lastTaken = now
        switch input {
        case .pulse:
            driver.watchdog.showLife(isInCharge)
            return []
        case .event(.observed(let observation)):
            isPolling = false
            // With the journal broken only lowering goes on: evidence that cannot be recorded decides nothing.
            guard !isJournalBroken, observation.at >= readFrom else { return [] }
            var orders = ownLowering(observation, at: now)
            orders += handle(.observed(observation), findingMarkStale: isMarkStale(observation), at: now)
            if !isInCharge {
                isInCharge = true
                driver.watchdog.showLife(true)
            }
            return orders
        case .markLookedAt(let isThere):
            markSince = isThere ? markSince ?? now : nil
            return []
        case .event(let event):
            if case .weightReported(let intent, let outcome) = event { weightEnded(intent, outcome, at: now) }
            if case .backupReleased = event { isReleasing = false }
            if case .started = event { isInCharge = true }
            return handle(event, at: now)
        case .command(let command, let reply): return take(command, reply, at: now)
        case .journaled(.success): return recorded(at: now)
        case .journaled(.failure(let error)): return journalFailed(error, at: now)
        case .overdue(let batch):
            let orders = goAhead(of: batch, at: now)
            guard queue.contains(where: { $0.number == batch }) else { return orders }
            if !isJournalBroken { journalTrouble = "it does not answer" }
            return orders + [unrecorded(at: now)]
        case .retryJournal: return append(again: true)
        case .retryDue(let number): return waitingZero?.number == number ? sendWaiting(at: now) : []
        case .wake:
            wakeAt = nil
            return handle(.ticked, at: now) + wake(at: now)
        case .pollDue:
            var orders = noteClockJump(at: now) + handle(.ticked, at: now)
            // Without polls nobody would notice that evidence is missing.
            if isPolling, now - max(pollBegan, readFrom) > driver.longestPoll, rollout.machine.retreat == nil {
                orders += handle(.doubted("the poll of \(pollBegan.timeOfDay) has not ended"), at: now)
            }
            if !isPolling, !isJournalBroken, !rollout.status(at: now).isFinal {
                isPolling = true
                pollBegan = now
                orders.append(.poll(rollout.telemetryRequest, at: now))
            }
            return orders
        case .stop:
            isStopping = true
            return []
        }
    }

    /// A weight that the watchdog lowered while this controller stood still is taken up as after a stop: no drift, and the step is
    /// entered again through every gate. An action or a weight under way is answered first.
    private mutating func ownLowering(_ observation: Observation, at now: Instant) -> [Order] {
        guard let found = observation.traffic.reading?.weight, found < rollout.machine.wanted, weightsUnderWay == 0,
            waitingZero == nil,
            rollout.machine.openAction == nil, driver.watchdog.hasMark()
        else { return [] }
        return handle(
            .takenOver(Takeover(traffic: observation.traffic, watchdogLowered: true, actions: [])), at: now)
    }

    /// Whether a mark is there whose lowering does not come: it was left while this controller came or woke up, and would have a later
    /// drift taken for Serin's own. The watchdog lowers within seconds of its mark, and ends when it sees another controller's handover.
    private mutating func isMarkStale(_ observation: Observation) -> Bool {
        guard let found = observation.traffic.reading?.weight, found >= rollout.machine.wanted, weightsUnderWay == 0,
            waitingZero == nil
        else {
            markSince = nil
            return false
        }
        guard let markSince, observation.at - markSince >= Self.markLife else { return false }
        self.markSince = nil
        return true
    }

    /// Longer than a watchdog that was dismissed takes from its mark to its lowering: each of its requests has three seconds.
    private static let markLife = Duration.seconds(15)

    /// Lets the rollout handle an event and queues what it leads to.
    mutating func handle(
        _ event: RolloutEvent, findingMarkStale: Bool = false, at now: Instant, reply: RolloutDriver.CommandReply? = nil
    ) -> [Order] {
        let before = rollout
        let effects = rollout.handle(event, at: now)
        measure(event, effects, reply, at: now)
        // A tick that changes nothing is not worth an entry.
        if case .ticked = event, effects.isEmpty, rollout == before { return [] }
        let id = rollout.charter.id
        let drafts =
            [Draft(rollout: id, at: now, record: .event(event))]
            + effects.map { Draft(rollout: id, at: now, record: .effect($0)) }
        let status = rollout.status(at: now)
        if case .observed = event, before.machine.retreat == nil { driver.measures.judged(status.signals) }
        lastBatch += 1
        queue.append(
            Batch(
                number: lastBatch, drafts: drafts, effects: effects, decidedAt: now, status: status, reply: reply,
                findsMarkStale: findingMarkStale))
        var orders = append()
        if isJournalBroken {
            orders += goAhead(of: lastBatch, at: now) + [unrecorded(at: now)]
        } else {
            if reply != nil || effects.contains(where: { $0.isLowering || $0.isCall }) {
                orders.append(.watchJournal(batch: lastBatch))
            }
            // What came of a lowering that went ahead is seen at once, whenever the journal answers.
            if queue.contains(where: \.wentAhead) { orders.append(unrecorded(at: now)) }
        }
        return orders + wake(at: now, after: event)
    }

    /// Takes note of a halt that was taken, of the 0 that it led to, and of doubts.
    private mutating func measure(
        _ event: RolloutEvent, _ effects: [Effect], _ reply: RolloutDriver.CommandReply?, at now: Instant
    ) {
        driver.measures.noteDoubts(in: effects)
        if case .commanded(let command) = event, command.verb == .halt || command.verb == .haltForSecurity,
            !isAtZero, haltArrived == nil
        {
            haltArrived = reply?.arrivedAt ?? now
        }
        guard let haltArrived, isZeroConfirmed else { return }
        self.haltArrived = nil
        driver.measures.reachedZero(after: now - haltArrived)
    }

    /// Orders a wake-up for the next deadline, or sooner when a weight is to be asked for again.
    private mutating func wake(at now: Instant, after event: RolloutEvent = .ticked) -> [Order] {
        var retry: Instant?
        // Only a lowering is asked for again without a poll.
        if case .weightReported = event, let request = rollout.machine.request, request.weight == .zero,
            request.progress == .unconfirmed
        {
            retry = zeroRests
        }
        guard let next = [rollout.nextDeadline, retry].compactMap({ $0 }).min() else { return [] }
        if let wakeAt, wakeAt <= next { return [] }
        wakeAt = next
        return [.wake(at: next)]
    }

    /// Takes note that a request for a weight was answered; after a failure the next try waits.
    private mutating func weightEnded(_ intent: IntentID, _ outcome: WeightOutcome, at now: Instant) {
        weightsUnderWay -= 1
        if zeroUnderWay?.intent == intent { zeroUnderWay = nil }
        switch outcome {
        case .confirmed:
            weightFailures = 0
            zeroRests = nil
        case .failed, .overtaken, .unsettled:
            weightFailures += 1
            zeroRests = now + driver.retries.pause(driver.limits.loweringRetry, after: weightFailures)
        }
    }

    /// The order that carries an effect out; nil for a lowering to 0 that is under way already. One that has had no answer for far
    /// longer than its limits is begun anew beside it.
    mutating func letOut(_ effect: Effect, decidedAt: Instant, at now: Instant) -> Order? {
        let request = rollout.telemetryRequest
        guard !holdsBack(effect) else { return nil }
        guard case .setWeight(let intent, .zero) = effect else {
            return .effect(effect, decidedAt: decidedAt, request: request)
        }
        if let zeroUnderWay, zeroUnderWay.intent == intent, now - zeroUnderWay.since < driver.longestLowering { return nil }
        // A new intent is a new reason to lower; the same one asked for again waits its turn.
        let isAgain = zeroIntent == intent
        zeroIntent = intent
        if isAgain, let zeroRests, zeroRests > now {
            guard waitingZero?.intent != intent else { return nil }
            lastWait += 1
            waitingZero = (intent, lastWait)
            return .retry(lastWait, at: zeroRests)
        }
        waitingZero = nil
        zeroUnderWay = (intent, now)
        return .effect(effect, decidedAt: decidedAt, request: request)
    }

    /// Sends the lowering that waits, unless something else is wanted by now.
    private mutating func sendWaiting(at now: Instant) -> [Order] {
        guard let intent = waitingZero?.intent else { return [] }
        waitingZero = nil
        guard rollout.machine.ending == nil, rollout.machine.request?.intent == intent else { return [] }
        zeroUnderWay = (intent, now)
        return [.effect(.setWeight(intent, .zero), decidedAt: now, request: rollout.telemetryRequest)]
    }

    /// Journals that someone set the computer's clock. The controller's own goes on as if nothing had happened.
    private mutating func noteClockJump(at now: Instant) -> [Order] {
        let offset = driver.clock.wallClockOffset()
        let jump = offset - wallClockOffset
        guard abs(jump) > Self.clockTolerance else { return [] }
        wallClockOffset = offset
        let id = rollout.charter.id
        lastBatch += 1
        queue.append(
            Batch(
                number: lastBatch, drafts: [Draft(rollout: id, at: now, record: .clockJumped(milliseconds: jump))], effects: [],
                decidedAt: now, status: rollout.status(at: now)))
        return append()
    }

    /// A smaller difference is the ordinary correction of a clock, in milliseconds.
    private static let clockTolerance: Int64 = 2000

    private mutating func take(_ command: Command, _ reply: RolloutDriver.CommandReply, at now: Instant) -> [Order] {
        if let refusal = rollout.refusal(of: command, at: now) { return refuse(reply, refusal, at: now) }
        // Whoever asks for 0 again sees it tried again.
        zeroRests = nil
        let orders = handle(.commanded(command), at: now, reply: reply)
        // What waits was recorded before it.
        guard let waitingZero, rollout.machine.request?.intent == waitingZero.intent else { return orders }
        return sendWaiting(at: now) + orders
    }

    /// Refuses a command once everything that the refusal rests upon is durable: what is only remembered is gone after a crash, and
    /// then a halt would have been the thing to do.
    private mutating func refuse(_ reply: RolloutDriver.CommandReply, _ refusal: Refusal, at now: Instant) -> [Order] {
        guard let last = queue.indices.last else {
            reply.answer(.failure(.refused(refusal)))
            return []
        }
        queue[last].refusals.append((reply, refusal))
        return isJournalBroken ? goAhead(of: queue[last].number, at: now) : [.watchJournal(batch: queue[last].number)]
    }

    /// Appends everything queued, in one transaction, unless an append is under way. A broken journal is tried only `again`, by the
    /// one timer.
    private mutating func append(again: Bool = false) -> [Order] {
        guard appending == 0, !queue.isEmpty, again || !isJournalBroken else { return [] }
        appending = queue.count
        return [.append(queue.flatMap(\.drafts))]
    }

    private mutating func recorded(at now: Instant) -> [Order] {
        let done = queue.prefix(appending)
        queue.removeFirst(appending)
        appending = 0
        var orders: [Order] = []
        if isJournalBroken {
            let present = rollout.status(at: now)
            let rest = present.isRollbackIncomplete ? "; the rollback is incomplete: \(present.next)" : ""
            orders.append(
                notice("the journal can be written again, and what happened meanwhile is recorded\(rest)", isCall: false, at: now)
            )
        }
        isJournalBroken = false
        journalFailures = 0
        // A lowering goes first: telling hundreds of readers takes its time.
        var lowerings: [Order] = []
        var dropped: [RolloutEvent] = []
        var replies: [(RolloutDriver.CommandReply, RolloutStatus)] = []
        for batch in done {
            if batch.settlesMark { orders.append(.clearMark) }
            if batch.isTakeover {
                let ended = endTakeover(at: now)
                orders += ended.orders
                dropped += ended.notBegun
            }
            for effect in batch.effects where !((effect.isLowering || effect.isCall) && batch.wentAhead) {
                if case .notify(let notice) = effect {
                    orders.append(.tell(notice, batch.status, word: nil, at: batch.decidedAt))
                } else if effect.isLowering || !batch.isVoid || isStillWanted(effect) {
                    guard let order = letOut(effect, decidedAt: batch.decidedAt, at: now) else { continue }
                    if effect.isLowering { lowerings.append(order) } else { orders.append(order) }
                } else if let event = RolloutEvent.notBegun(effect, because: "the journal could not be written") {
                    dropped.append(event)
                }
            }
            if let reply = batch.reply { replies.append((reply, batch.status)) }
            for refused in batch.refusals { refused.reply.answer(.failure(.refused(refused.refusal))) }
        }
        if let status = done.last?.status { lowerings.append(.publish(status, replies: replies)) }
        for event in dropped { orders += handle(event, at: now) }
        return lowerings + orders + append()
    }

    /// Whether an effect that was held back by a broken journal is let out all the same: nothing that raises or goes forward, but
    /// people are told, and a rollback action that the rollout waits for is carried out.
    private func isStillWanted(_ effect: Effect) -> Bool {
        switch effect {
        case .setWeight, .lowerWeight: effect.isLowering
        case .notify, .endBackup, .endMigration, .releaseBackup: true
        case .runAction(let intent, .rollback), .runAction(let intent, .unfence): rollout.machine.openAction?.intent == intent
        case .inspectSchema(let intent): rollout.machine.openInspection == intent
        case .runAction, .migrate, .restore, .takeBackup, .preflight, .readHistory, .record: false
        }
    }

    /// On a broken journal nothing but a lowering and a call leaves, now or later; the rollout is told and takes itself back.
    private mutating func journalFailed(_ error: StoreError, at now: Instant) -> [Order] {
        appending = 0
        let isNews = !isJournalBroken
        isJournalBroken = true
        journalFailures += 1
        var orders: [Order] = []
        if case .uncertain = error {
            journalLoss = error
        } else {
            orders.append(.retryJournal(driver.retries.pause(driver.limits.journalRetry, after: journalFailures)))
        }
        for index in queue.indices {
            queue[index].isVoid = true
            orders += goAhead(of: queue[index].number, at: now)
        }
        journalTrouble = error.sentence
        if isNews {
            orders += handle(.doubted("the journal cannot be written: \(journalTrouble)"), at: now)
            orders.append(
                notice(
                    "\(weightWords(at: now)); nothing is raised, and halts are answered as not recorded; "
                        + "the journal cannot be written: \(journalTrouble)", isCall: true, at: now))
        }
        return orders + [unrecorded(at: now)]
    }
}
