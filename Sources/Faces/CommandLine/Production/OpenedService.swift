internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinProcesses
internal import SerinRecords
internal import SerinRollouts
internal import SerinSQLite

/// One service under this process' control: lock, journal, controller, watchdog and halt file.
final class OpenedService: OpenedController {
    let controller: ServiceController
    private let folder: StateFolder
    /// The file that halts every service.
    /// The file that halts this service, with what this process could not write into it.
    private let haltFile: HaltFile
    private let haltOfAll: HaltFile
    /// Since when the last rollout is known to be over.
    private let over: Locked<(rollout: RolloutID, since: Instant)?>
    private let lock: ServiceLock
    private let store: SQLiteStore
    private let keeper: WatchdogKeeper
    private let afterwork: Afterwork
    /// When the loop of the live rollout last took something from its queue.
    private let life: Locked<ContinuousClock.Instant>

    var operations: any RolloutOperations { controller }

    private init(
        controller: ServiceController, folder: StateFolder, haltFile: HaltFile, haltOfAll: HaltFile, lock: ServiceLock,
        store: SQLiteStore,
        keeper: WatchdogKeeper, afterwork: Afterwork, life: Locked<ContinuousClock.Instant>
    ) {
        self.controller = controller
        self.folder = folder
        self.haltFile = haltFile
        self.haltOfAll = haltOfAll
        over = Locked(controller.latest.flatMap { $0.isFinal ? ($0.id, $0.since) : nil })
        self.lock = lock
        self.store = store
        self.keeper = keeper
        self.afterwork = afterwork
        self.life = life
    }

    /// Takes the service's lock, opens its journal, and takes over what was left open.
    ///
    /// - Parameter isAgain: Whether it was tried in vain before, so that people and a watchdog know.
    static func open(
        _ service: ServiceName, root: String, purpose: String, surroundings: Surroundings,
        notifier: (any Notifier)? = nil, isAgain: Bool = false, unwrittenHalts: UnwrittenHalts,
        readPolicy: @escaping @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy
    ) async throws(OperationError) -> OpenedService {
        let folder = StateFolder(under: root, service: service)
        let keeper = WatchdogKeeper(folder: folder, root: root, surroundings: surroundings)
        let lock: ServiceLock
        do throws(StoreError) {
            lock = try ServiceLock.acquire(folder, purpose: purpose)
        } catch {
            switch error {
            case .locked(let text): throw .refused(Refusal(text))
            case .unavailable(let text), .uncertain(let text), .damaged(let text): throw .unavailable(text)
            }
        }
        if !isAgain { keeper.expectLittle(of: service) }
        let notices = NoticeWriter(callsOnly: purpose == runPurpose, output: surroundings.output)
        let (store, clock) = try await openJournal(
            folder, lock, keeper, notices, purpose: purpose, notifier: notifier, isAgain: isAgain)
        let mark = WatchdogMark(path: folder.watchdogMark)
        let halt = HaltFile(path: folder.halt, unwritten: unwrittenHalts)
        let haltOfAll = HaltFile(path: StateRoot(path: root).haltFile)
        let afterwork = Afterwork()
        let life = Locked(ContinuousClock().now)
        let parts = ServiceController.Parts(
            store: store, clock: clock, notifier: notifier.map { Notifiers(all: [notices, $0]) } ?? notices,
            prepare: { request, principal throws(OperationError) in
                try charter(request, by: principal, at: clock.now(), readPolicy: readPolicy)
            },
            makeWorld: { charter, start throws(Failure) in
                try surroundings.world(
                    of: charter, database: start,
                    backups: charter.policy.backup.map { _ in
                        PolicyBackups(
                            policy: LoadedPolicy(policy: charter.policy, hash: charter.policyHash), state: StateRoot(path: root),
                            assembly: Assembly.backups(environment: surroundings.environment, output: surroundings.output),
                            afterwork: afterwork, notifier: notifier, report: notices.say)
                    }, state: StateRoot(path: root))
            },
            watchdog: WatchdogLink(
                showLife: { isInCharge in
                    keeper.showLife(isInCharge: isInCharge)
                    life.withLock { $0 = ContinuousClock().now }
                }, hasMark: { mark.exists }, clearMark: { mark.clear() }),
            isHaltAsked: { halt.exists || haltOfAll.exists },
            isStartBarred: { haltOfAll.bar }, retries: surroundings.retries, measures: surroundings.measures)
        let controller = ServiceController(service: service, parts: parts)
        do throws(OperationError) {
            try await controller.recover()
        } catch {
            await store.close()
            lock.release()
            guard !isAgain else { throw error }
            let words = keeper.lowerUnattended(service)
            await call("\(service) cannot be taken over: \(error)\nnobody is in charge of it: \(words)", notifier, service)
            throw error
        }
        return OpenedService(
            controller: controller, folder: folder, haltFile: halt, haltOfAll: haltOfAll, lock: lock, store: store,
            keeper: keeper, afterwork: afterwork, life: life)
    }

    /// Opens the journal, and says whether it has its reserve. Of one that cannot be opened people and the watchdog are told.
    private static func openJournal(
        _ folder: StateFolder, _ lock: ServiceLock, _ keeper: WatchdogKeeper, _ notices: NoticeWriter, purpose: String,
        notifier: (any Notifier)?, isAgain: Bool
    ) async throws(OperationError) -> (SQLiteStore, SystemClock) {
        let service = folder.service
        let store: SQLiteStore
        let clock: SystemClock
        do throws(StoreError) {
            store = try await openStore(folder, lock: lock, purpose: purpose)
            clock = SystemClock(notBefore: try await store.head()?.at)
            if !(try await store.hasReserve) {
                notices.say(
                    "\(service): no room for the journal's reserve \(folder.reserve); on a full disk a rollback may not be recorded"
                )
                notices.say("hint: make room on the disk")
            }
        } catch {
            lock.release()
            switch error {
            case .locked(let text):
                keeper.lowerUnattended(service)
                throw .refused(Refusal(text))
            case .unavailable(let text), .uncertain(let text), .damaged(let text):
                guard !isAgain else { throw .unavailable(text) }
                var isDamaged = false
                if case .damaged = error { isDamaged = true }
                // A damaged journal is repaired by people; nobody is in charge until then.
                let words = keeper.lowerUnattended(service, atOnce: isDamaged)
                await call("\(text)\nnobody is in charge of \(service), and nothing can be recorded: \(words)", notifier, service)
                throw .unavailable("\(text); \(words)")
            }
        }
        return (store, clock)
    }

    /// Calls people by the channels: whoever opens it says it where it was asked to.
    private static func call(_ text: String, _ notifier: (any Notifier)?, _ service: ServiceName) async {
        await notifier?.notify(
            Notification(
                .rolloutChanged, .critical, subject: "\(service): nobody is in charge", text: plainLines(text),
                fields: [.init("service", service.description)], deduplicationKey: "controller of \(service)",
                at: SystemClock().now()
            ))
    }

    /// What the controller of one `serin run` calls itself.
    static let runPurpose = "serin run"

    /// Opens the journal. Under the service's lock only a reader can be in the way, and readers are quick.
    private static func openStore(
        _ folder: StateFolder, lock: ServiceLock, purpose: String
    ) async throws(StoreError) -> SQLiteStore {
        let clock = SystemClock()
        let limit = clock.now() + .seconds(5)
        while true {
            do throws(StoreError) {
                return try await SQLiteStore.open(folder, lock: lock, purpose: purpose, at: clock.now())
            } catch {
                guard case .locked = error, clock.now() < limit else { throw error }
                await clock.sleep(for: .milliseconds(50))
            }
        }
    }

    func run() async throws(Failure) {
        let result = await afterwork.beside {
            await withDiscardingTaskGroup { group -> Result<Void, Failure> in
                group.addTask { await self.keeper.run(self.controller) }
                group.addTask { await self.watchHaltFiles() }
                defer { group.cancelAll() }
                do throws(Failure) { return .success(try await controller.run()) } catch { return .failure(error) }
            }
        }
        // The keeper may have been stopped before it saw the end.
        if let last = controller.latest, last.isFinal {
            keeper.end()
            haltFile.remove(madeBefore: knownOver(last))
        } else {
            keeper.leave()
        }
        await close()
        try result.get()
    }

    func stop() async { controller.stop() }

    func isDeciding(within limit: Duration) -> Bool {
        guard let latest = controller.latest, !latest.isFinal else { return true }
        // One that began just now is given the same time.
        let began = SystemClock().now() - latest.startedAt
        return began < limit || ContinuousClock().now - life.withLock({ $0 }) <= .milliseconds(limit.milliseconds)
    }

    func abandon() async {
        controller.stop()
        await close()
        keeper.lowerUnattended(controller.service)
    }

    private func close() async {
        await store.close()
        lock.release()
    }

    /// Whether the journal has its reserve; also when it cannot be told now.
    var hasReserve: Bool {
        // A journal that is closed says so itself.
        get async { (try? await store.hasReserve) ?? true }
    }

    // MARK: Halt files

    /// Halts the live rollout when a halt file appears. The service's own is taken away once the halt is durable; the one for all
    /// stays until a person takes it away.
    private func watchHaltFiles() async {
        let file = haltFile
        var halted: RolloutID?
        // What waits for the journal already: asked for again at every look, it would fill the log once that can be written.
        var asked: Set<Halt> = []
        while !Task.isCancelled {
            if let last = controller.latest, last.isFinal { _ = knownOver(last) }
            let isForAll = haltOfAll.exists
            if isForAll || file.exists {
                // A moment for whoever made it to write the reason. A cancelled pause ends early.
                try? await Task.sleep(for: .milliseconds(50))
            }
            if controller.latest?.isRecorded != false { asked = [] }
            if let command = file.command(), asked.insert(Halt(controller.latest, command)).inserted { await halt(command, file) }
            if isForAll, let command = haltOfAll.command(), let live = controller.latest, !live.isFinal, live.id != halted,
                asked.insert(Halt(live, command)).inserted
            {
                // What could not be recorded is asked for again.
                if (try? await controller.perform(command, on: live.id.description)) != nil { halted = live.id }
            }
            // A cancelled pause ends the loop.
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    /// A halt that was handed to a rollout.
    private struct Halt: Hashable {
        var rollout: RolloutID?
        var command: Command

        init(_ status: RolloutStatus?, _ command: Command) {
            rollout = status?.id
            self.command = command
        }
    }

    private func halt(_ command: Command, _ file: HaltFile) async {
        do throws(OperationError) {
            _ = try await controller.perform(command, on: controller.service.description)
            file.remove()
        } catch {
            // Not live yet, or not recorded yet: the file stays and is looked at again. One that was made while the last rollout
            // was not over must not halt the next.
            if let last = controller.latest, last.isFinal { file.remove(madeBefore: knownOver(last)) }
        }
    }

    /// Since when a rollout is known to be over: an end that could not be recorded at first is none until it is.
    private func knownOver(_ last: RolloutStatus) -> Instant {
        over.withLock { over in
            if let over, over.rollout == last.id { return over.since }
            let since = max(last.since, SystemClock().now())
            over = (last.id, since)
            return since
        }
    }

    private static func charter(
        _ request: StartRequest, by principal: Principal, at now: Instant,
        readPolicy: @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy
    ) throws(OperationError) -> Charter {
        let loaded = try readPolicy(
            PolicySource(
                file: request.policyFile, text: request.policyText, version: request.version, previous: request.previous,
                overrides: request.overrides))
        try loaded.checkVersions()
        let name = "\(loaded.policy.service)-\(String(now.millisecondsSince1970, radix: 32))"
        guard let id = RolloutID(name) else { throw .unavailable("no identifier can be made of '\(name)'") }
        return Charter(
            id: id, policy: loaded.policy, policyHash: loaded.hash, version: request.version, previous: request.previous ?? "",
            author: principal, overrides: request.overrides)
    }
}
