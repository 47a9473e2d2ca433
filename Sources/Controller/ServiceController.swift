internal import SerinLocks
public import SerinModel
internal import SerinPolicies
public import SerinPorts
public import SerinRecords
public import SerinRollouts

/// Runs the rollouts of one service, one live at a time, on the service's own store.
public final class ServiceController: RolloutOperations {
    /// Everything it needs from outside.
    public struct Parts: Sendable {
        /// The service's journal, opened under the lock.
        public var store: any Store
        /// The controller's clock.
        public var clock: any Clock
        /// Where notices go.
        public var notifier: any Notifier
        /// Reads and freezes a policy: text in, charter out.
        public var prepare: @Sendable (StartRequest, Principal) async throws(OperationError) -> Charter
        /// Makes the outside parts that a frozen policy names. At a takeover it is given what the database was compared with before.
        public var makeWorld: @Sendable (Charter, DatabaseStart?) throws(Failure) -> World
        /// The service's watchdog.
        public var watchdog: WatchdogLink
        /// Whether a halt was asked for past this controller and waits to be taken: nothing is raised then.
        public var isHaltAsked: @Sendable () -> Bool
        /// Why no rollout may begin now; nil when one may.
        public var isStartBarred: @Sendable () -> Refusal?
        /// What all rollouts of the process together may retry.
        public var retries: RetryBudget
        /// Where it notes what it measures of itself.
        public var measures: ControllerMeasures
        /// How long outside calls may take.
        public var limits: CallLimits

        /// The parts of a controller.
        public init(
            store: any Store, clock: any Clock, notifier: any Notifier,
            prepare: @escaping @Sendable (StartRequest, Principal) async throws(OperationError) -> Charter,
            makeWorld: @escaping @Sendable (Charter, DatabaseStart?) throws(Failure) -> World,
            watchdog: WatchdogLink, isHaltAsked: @escaping @Sendable () -> Bool = { false },
            isStartBarred: @escaping @Sendable () -> Refusal? = { nil }, retries: RetryBudget,
            measures: ControllerMeasures = ControllerMeasures(), limits: CallLimits = CallLimits()
        ) {
            self.store = store
            self.clock = clock
            self.notifier = notifier
            self.prepare = prepare
            self.makeWorld = makeWorld
            self.watchdog = watchdog
            self.isHaltAsked = isHaltAsked
            self.isStartBarred = isStartBarred
            self.retries = retries
            self.measures = measures
            self.limits = limits
        }
    }

    fileprivate struct State: Sendable {
        /// Those that have not ended, oldest first; the last may be live.
        var drivers: [RolloutDriver] = []
        /// Rollouts that ended here, and the last one of the controller before, oldest first: at most `kept`.
        var finished: [RolloutStatus] = []
        /// Others that ended, as the journal had them when they were asked for, oldest asked first: at most `kept`.
        var recalled: [RolloutStatus] = []
        /// Shows the last finished rollout to those who wait for the next one, and then that one.
        var successor: StatusBoard?
        /// Why nothing can be recorded any more before the journal is opened again.
        var journalLoss: StoreError?
        /// How many have ended since this process began.
        var endings: [Ending: Int] = [:]
        var isStarting = false
        /// Those with a key who wait for the start under way, which may be what they ask for.
        var waiters: [CheckedContinuation<Void, Never>] = []
        var isStopping = false
    }

    /// How many statuses of what is over stay in memory; the journal has them all.
    private static let kept = 16

    /// The service it is in charge of.
    public let service: ServiceName
    private let parts: Parts
    fileprivate let state = Locked(State())
    private let launches: AsyncStream<RolloutDriver>
    private let launch: AsyncStream<RolloutDriver>.Continuation

    /// A controller of one service; call `recover`, then `run`.
    public init(service: ServiceName, parts: Parts) {
        self.service = service
        self.parts = parts
        (launches, launch) = AsyncStream.makeStream()
    }

    /// Reads the journal, settles what was left open by reading the world, and takes over the live rollout, if there is one.
    ///
    /// - Returns: The rollout taken over; nil when none was live.
    @discardableResult public func recover() async throws(OperationError) -> RolloutStatus? {
        let recovery = Recovery(parts: parts)
        let past = try await recovery.run()
        state.withLock { state in
            state.finished = past.finished
            if let driver = past.driver { state.drivers.append(driver) }
        }
        for driver in [past.driver, past.release] { if let driver { launch.yield(driver) } }
        return past.driver?.board.status
    }

    /// Drives rollouts until `stop`; the live one stays resumable.
    ///
    /// - Throws: When nothing can be recorded any more before the journal is opened again; the live rollout stays resumable.
    public func run() async throws(Failure) {
        await withDiscardingTaskGroup { group in
            for await driver in launches {
                group.addTask { await self.drive(driver) }
            }
        }
        if let loss = state.withLock({ $0.journalLoss }) { throw Failure(.unknown, "\(loss)") }
    }

    /// Drives one rollout; what has ended is let go with its connections, and only its status is kept.
    private func drive(_ driver: RolloutDriver) async {
        do throws(StoreError) {
            try await driver.run()
        } catch {
            state.withLock { $0.journalLoss = error }
            stop()
        }
        let status = driver.board.status
        guard status.isFinal else { return }
        state.withLock { state in
            state.drivers.removeAll { $0 === driver }
            if let ending = status.ending { state.endings[ending, default: 0] += 1 }
            state.finished = (state.finished + [status]).suffix(Self.kept)
        }
    }

    /// Asks it to stop: rollouts stay where they are and can be taken over.
    public func stop() {
        let drivers = state.withLock { state in
            state.isStopping = true
            return state.drivers
        }
        for driver in drivers { driver.stop() }
        launch.finish()
    }

    /// Starts a rollout; refused while another of this service is live.
    public func start(_ request: StartRequest, by principal: Principal) async throws(OperationError) -> RolloutStatus {
        var charter = try await parts.prepare(request, principal)
        guard charter.policy.service == service else {
            throw .refused(Refusal("the policy is for '\(charter.policy.service)', this controller is in charge of '\(service)'"))
        }
        if let key = request.requestKey {
            charter.requestKey = key
            if let answer = try await JournalReader(parts.store).firstAnswer(to: charter, key: key) { return answer }
        }
        if let refusal = parts.isStartBarred() { throw .refused(refusal) }
        do throws(OperationError) { try reserve() } catch {
            // Nobody knew the key a moment ago, but the start that is in the way may be the same request's.
            guard let key = request.requestKey else { throw error }
            await otherStart()
            guard let answer = try await JournalReader(parts.store).firstAnswer(to: charter, key: key) else { throw error }
            return answer
        }
        defer { endStart() }
        if latest?.isSecurityHalt == true {
            charter.requiredApprovals = max(charter.requiredApprovals, charter.policy.securityApprovals)
        }
        let now = parts.clock.now()
        let driver: RolloutDriver
        do throws(Failure) {
            driver = RolloutDriver(
                rollout: Rollout(charter: charter, createdAt: now), opening: { [.started] },
                world: try parts.makeWorld(charter, nil), parts: parts)
        } catch {
            throw .refused(Refusal(error.message, hint: error.hint))
        }
        do throws(StoreError) {
            _ = try await parts.measures.append(
                [Draft(rollout: charter.id, at: now, record: .created(charter))], to: parts.store)
        } catch {
            throw .unavailable("the rollout could not be recorded, nothing was changed: \(error)")
        }
        let successor = state.withLock { state in
            state.drivers.append(driver)
            defer { state.successor = nil }
            return state.successor
        }
        launch.yield(driver)
        successor?.show(driver.board.status)
        return driver.board.status
    }

    /// The live rollout, or the last finished one.
    public func statuses() async throws(OperationError) -> [RolloutStatus] {
        latest.map { [$0] } ?? []
    }

    /// One rollout by its identifier or the service's name; one that ended long ago, or under an earlier controller, is rebuilt from
    /// the journal.
    public func status(of name: String) async throws(OperationError) -> RolloutStatus {
        if let known = known(name) { return known }
        let replayed = try await JournalReader(parts.store).rollout(try await past(name))
        let status = replayed.machine.status(at: replayed.lastAt)
        guard status.isFinal else {
            // Created between the two looks.
            if let known = known(name) { return known }
            throw .unavailable("rollout \(status.id) is not in anyone's charge yet; ask again")
        }
        state.withLock { state in
            guard !state.recalled.contains(where: { $0.id == status.id }) else { return }
            state.recalled = (state.recalled + [status]).suffix(Self.kept)
        }
        return status
    }

    /// What is known of a rollout without the journal.
    private func known(_ name: String) -> RolloutStatus? {
        state.withLock { state in
            if let driver = state.drivers.last(where: { $0.charter.id.description == name || name == service.description }) {
                return driver.board.status
            }
            return state.finished.last { $0.id.description == name || name == service.description }
                ?? state.recalled.last { $0.id.description == name }
        }
    }

    /// A rollout that only the journal knows.
    private func past(_ name: String) async throws(OperationError) -> RolloutID {
        guard let id = RolloutID(name), try await JournalReader(parts.store).contains(id) else {
            throw .notFound("there is no rollout '\(name)' of service '\(service)'")
        }
        return id
    }

    /// Asks something of the live rollout.
    public func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus {
        let status = try await status(of: name)
        guard let driver = driver(named: name), !status.isFinal else {
            throw .refused(Refusal("rollout \(status.id) has ended: \(status.state)", hint: "start a new rollout"))
        }
        return try await driver.perform(command)
    }

    /// The decisions of a rollout after an entry's number.
    public func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        // By name alone: the log of a rollout that this build cannot replay can still be read.
        let id: RolloutID
        if let known = known(name) { id = known.id } else { id = try await past(name) }
        return try await JournalReader(parts.store).decisions(of: id, after: sequence, limit: limit)
    }

    /// Entries of the service's journal, read between two appends: a halt waits for one page at the most.
    public func entries(
        of service: ServiceName, after sequence: Int64, limit: Int
    ) async throws(OperationError) -> [Entry] {
        guard service == self.service else { throw .notFound("the journal of '\(service)' is not kept here") }
        do throws(StoreError) {
            return try await parts.store.entries(after: sequence, rollout: nil, limit: limit)
        } catch {
            throw .unavailable("the journal cannot be read: \(error)")
        }
    }

    /// The last entry of the service's journal.
    public func head(of service: ServiceName) async throws(OperationError) -> Entry? {
        guard service == self.service else { throw .notFound("the journal of '\(service)' is not kept here") }
        return try await JournalReader(parts.store).head()
    }

    /// How many of its rollouts have ended since this process began.
    public func endings() async -> [Ending: Int] { state.withLock { $0.endings } }

    /// What it measured of itself, with the others that note at the same place.
    public func measurements() async -> Measurements {
        var present = parts.measures.present
        present.isInCharge = [service: true]
        return present
    }

    /// Returns when the rollout's status differs from `seen` or the timeout is over. What is over changes no more: asked by the
    /// service's name, it waits for the next rollout.
    public func statusChange(
        of name: String, from seen: RolloutStatus?, timeout: Duration
    ) async throws(OperationError) -> RolloutStatus {
        let present = try await status(of: name)
        guard let seen, seen == present else { return present }
        guard present.isFinal else {
            // A rollout that ended just now has no driver any more, and another status.
            guard let driver = driver(named: name) else { return try await status(of: name) }
            return await driver.board.change(from: seen, timeout: timeout, clock: parts.clock)
        }
        guard let board = name == service.description ? successor(of: present) : StatusBoard(present) else {
            return try await status(of: name)
        }
        return await board.change(from: seen, timeout: timeout, clock: parts.clock)
    }

    /// Where the rollout after a finished one will show; nil when that one is no longer the latest.
    private func successor(of last: RolloutStatus) -> StatusBoard? {
        state.withLock { state in
            guard (state.drivers.last?.board.status ?? state.finished.last) == last else { return nil }
            if let board = state.successor, board.status == last { return board }
            let board = StatusBoard(last)
            state.successor = board
            return board
        }
    }

    fileprivate func driver(named name: String) -> RolloutDriver? {
        state.withLock { state in
            state.drivers.last { $0.charter.id.description == name || name == service.description }
        }
    }

    /// Returns when no start is under way.
    private func otherStart() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.isStarting { state.waiters.append(continuation) }
                return !state.isStarting
            }
            if isOver { continuation.resume() }
        }
    }

    private func endStart() {
        let waiters = state.withLock { state in
            state.isStarting = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func reserve() throws(OperationError) {
        let live = state.withLock { state -> String? in
            if state.isStopping { return "the controller is stopping" }
            if state.isStarting { return "another rollout of '\(service)' is being started" }
            if let status = state.drivers.last?.board.status, !status.isFinal {
                return "rollout \(status.id) of '\(service)' is live (\(status.state))"
            }
            state.isStarting = true
            return nil
        }
        if let live {
            throw .refused(
                Refusal(
                    live,
                    hint: "one live rollout a service: serin wait \(service) waits for its end, serin halt \(service) ends it, "
                        + "serin why \(service) tells what it waits for"))
        }
    }
}

extension ServiceController {
    /// The latest durable status of the live rollout, or of the last one; nil when there was none.
    public var latest: RolloutStatus? {
        state.withLock { state in state.drivers.last?.board.status ?? state.finished.last }
    }

    /// What the live rollout was asked to be, for those who must watch over it; nil when it is not live.
    public func handover(of rollout: RolloutID) -> Charter? { driver(named: rollout.description)?.charter }
}
