internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinRecords
internal import SerinRollouts
internal import SerinSQLite
internal import SerinServer

/// Many services in one process. Each keeps its own lock, journal and socket, so that none waits for another.
final class OpenedDaemon: OpenedController, RolloutOperations {
    /// Opens a service; the flag says whether that was tried in vain before.
    typealias Open = @Sendable (ServiceName, _ isAgain: Bool) async throws(OperationError) -> OpenedService

    private struct Member: Sendable {
        var service: OpenedService
        var server: HTTPServer
    }

    private let state: StateRoot
    private let open: Open
    private let peers: any Authenticator
    private let retries: RetryBudget
    private let measures: ControllerMeasures
    private let report: @Sendable (String) -> Void
    private let readPolicy: @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy
    private let members = Locked<[ServiceName: Member]>([:])
    /// The services that could not be opened, and why; not those in the charge of another process.
    private let unopened = Locked<[ServiceName: String]>([:])
    /// Those that were tried in vain since they were last open.
    private let tried = Locked<Set<ServiceName>>([])
    /// How often each service has lost its journal.
    private let failures = Locked<[ServiceName: Int]>([:])
    private let isStopping = Locked(false)
    private let opening = Locked<Set<ServiceName>>([])
    private let unwrittenHalts: UnwrittenHalts
    private let arrivals: AsyncStream<Member>
    private let arrive: AsyncStream<Member>.Continuation

    var operations: any RolloutOperations { self }

    init(
        state: StateRoot, peers: any Authenticator, retries: RetryBudget, measures: ControllerMeasures,
        unwrittenHalts: UnwrittenHalts, report: @escaping @Sendable (String) -> Void,
        open: @escaping Open,
        readPolicy: @escaping @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy
    ) {
        self.state = state
        self.open = open
        self.peers = peers
        self.retries = retries
        self.measures = measures
        self.unwrittenHalts = unwrittenHalts
        self.report = report
        self.readPolicy = readPolicy
        (arrivals, arrive) = AsyncStream.makeStream()
    }

    /// Opens every service that has a journal. One that cannot be opened is reported and tried again; the others go on.
    func openAll() async throws(Failure) {
        for service in try state.services() {
            do throws(OperationError) {
                _ = try await member(service)
            } catch {
                report("\(service): \(error)")
            }
        }
    }

    func readiness() async -> [ReadinessCheck] {
        var known: [ServiceName] = []
        var folder = access(state.path, W_OK) == 0 ? nil : String(cString: strerror(errno))
        // One that cannot be listed must not look like one without services.
        do throws(Failure) { known = try state.services() } catch { folder = folder ?? error.message }
        var checks = [
            ReadinessCheck("running", complaint: isStopping.withLock { $0 } ? "it is stopping" : nil),
            ReadinessCheck("state folder", complaint: folder),
        ]
        for service in known {
            checks.append(await readiness(of: service))
            if let member = members.withLock({ $0[service] }), !(await member.service.hasReserve) {
                checks.append(
                    ReadinessCheck(
                        "reserve of \(service)",
                        complaint: "there was no room for it; on a full disk a rollback may not be recorded",
                        isFatal: false))
            }
        }
        if let order = HaltFile(path: state.haltFile).command() {
            checks.append(ReadinessCheck("halt file", complaint: "\(order.by) halts everything: \(order.reason)", isFatal: false))
        }
        return checks
    }

    /// Whether what happens to a service can be recorded, as far as is known.
    private func readiness(of service: ServiceName) async -> ReadinessCheck {
        let folder = StateFolder(under: state.path, service: service)
        var complaint = unopened.withLock { $0[service] }
        var isFatal = true
        if let member = members.withLock({ $0[service] }) {
            if let latest = member.service.controller.latest, !latest.isRecorded {
                complaint = latest.cause
            } else {
                do throws(OperationError) { _ = try await member.service.operations.head(of: service) } catch {
                    complaint = error.description
                }
            }
        } else if complaint == nil, let holder = ServiceLock.holder(of: folder) {
            complaint = "\(holder) is in charge of it"
            isFatal = false
        } else if complaint == nil, access(folder.journal, F_OK) == 0 {
            do throws(OperationError) {
                let last = try await JournalOperations(service: service, folder: folder).statuses().last
                complaint = last.flatMap { $0.isFinal ? nil : ControllerLocator.unattended($0) }
            } catch {
                complaint = error.description
            }
        }
        return ReadinessCheck("journal of \(service)", complaint: complaint, isFatal: isFatal)
    }

    func run() async throws(Failure) {
        await withDiscardingTaskGroup { group in
            // Rollouts go before questions and messages, so that a flood of these does not hold up a halt.
            for service in tried.withLock({ $0.sorted() }) { group.addTask(priority: .high) { await self.reopen(service) } }
            for await member in arrivals { group.addTask(priority: .high) { await self.drive(member) } }
        }
    }

    /// Runs one service. One that lost its journal is opened again, because a service without a controller can only be lowered.
    private func drive(_ member: Member) async {
        let service = member.service.controller.service
        async let serving: Void = member.server.run()
        var loss: Failure?
        do throws(Failure) { try await member.service.run() } catch { loss = error }
        member.server.stop()
        await serving
        guard let loss else { return }
        report("\(service): \(loss); opening it again")
        unopened.withLock { $0[service] = "\(loss)" }
        members.withLock { $0[service] = nil }
        await reopen(service)
    }

    /// Tries to open a service until it is open. What another process is in charge of is taken up when that one ends.
    private func reopen(_ service: ServiceName) async {
        var failures = failures.withLock { counts in
            counts[service, default: 0] += 1
            return counts[service, default: 0]
        }
        var said = ""
        var next = pause(after: failures)
        while !isStopping.withLock({ $0 }) {
            guard ContinuousClock().now >= next else {
                // A cancelled pause ends with the daemon.
                try? await Task.sleep(for: .milliseconds(100))
                continue
            }
            // One that was asked for something meanwhile may be open.
            guard members.withLock({ $0[service] }) == nil else { return }
            do throws(OperationError) {
                _ = try await self.member(service)
                report("\(service): it is open, and its rollout taken over")
                return
            } catch {
                if said != error.description { report("\(service): \(error)") }
                said = error.description
                // Whether a lock is free is quickly seen.
                if case .refused = error { failures = min(failures, 2) }
                failures += 1
                next = pause(after: failures)
            }
        }
    }

    private func pause(after failures: Int) -> ContinuousClock.Instant {
        ContinuousClock().now + .milliseconds(retries.pause(Self.reopening, after: failures).milliseconds)
    }

    private static let reopening = Backoff(first: .seconds(1), longest: .minutes(1))

    func stop() async {
        isStopping.withLock { $0 = true }
        for member in sortedMembers() { await member.service.stop() }
        arrive.finish()
    }

    func isDeciding(within limit: Duration) -> Bool { sortedMembers().allSatisfy { $0.service.isDeciding(within: limit) } }

    func abandon() async {
        isStopping.withLock { $0 = true }
        for member in sortedMembers() { await member.service.abandon() }
        arrive.finish()
    }

    func start(_ request: StartRequest, by principal: Principal) async throws(OperationError) -> RolloutStatus {
        let loaded = try readPolicy(
            PolicySource(
                file: request.policyFile, text: request.policyText, version: request.version, previous: request.previous,
                overrides: request.overrides))
        try loaded.checkVersions()
        do throws(Failure) { try state.check(loaded.policy.service) } catch {
            throw .refused(Refusal(error.message, hint: error.hint))
        }
        // What can be refused before anything is opened leaves no journal behind.
        if !state.hasFolder(loaded.policy.service), let refusal = HaltFile(path: state.haltFile).bar { throw .refused(refusal) }
        return try await member(loaded.policy.service).service.operations.start(request, by: principal)
    }

    func statuses() async throws(OperationError) -> [RolloutStatus] {
        var all: [RolloutStatus] = []
        for member in sortedMembers() { all += try await member.service.operations.statuses() }
        return all
    }

    func status(of name: String) async throws(OperationError) -> RolloutStatus {
        let operations = try operations(for: name)
        let status = try await operations.status(of: name)
        // What the journal alone says of a live rollout is what was, not what is.
        if !status.isFinal, operations is JournalOperations { throw .unavailable(ControllerLocator.unattended(status)) }
        return status
    }

    func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus {
        let operations = try operations(for: name)
        guard let journal = operations as? JournalOperations else { return try await operations.perform(command, on: name) }
        let service = journal.service
        // One that a `serin run` left behind is taken up.
        if unopened.withLock({ $0[service] }) == nil, ServiceLock.holder(of: journal.folder) == nil {
            return try await member(service).service.operations.perform(command, on: name)
        }
        let why = unopened.withLock { $0[service] } ?? "another process is in charge of it"
        guard command.verb == .halt || command.verb == .haltForSecurity else { throw .unavailable("\(service): \(why)") }
        // Whoever opens it next finds the file before anything is raised, and the watchdog lowers the weight as soon as it is there.
        let file = HaltFile(path: state.haltFile(of: service), unwritten: unwrittenHalts)
        let left: HaltFile.Left
        do throws(Failure) {
            left = try file.make(reason: "\(command.by): \(command.reason)")
        } catch {
            throw .unavailable(
                "\(service): \(why)\nthe halt is not recorded, and no halt file can be left: \(error.message)\n\(HaltFile.keptHalt)"
            )
        }
        throw .unavailable(
            "\(service): \(why)\nthe halt is not recorded; left the halt file \(file.path), at which its watchdog lowers the weight"
                + (left == .whole ? "" : "\n\(HaltFile.keptReason)"))
    }

    func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        try await operations(for: name).decisions(of: name, after: sequence, limit: limit)
    }

    func entries(of service: ServiceName, after sequence: Int64, limit: Int) async throws(OperationError) -> [Entry] {
        try await operations(for: service.description).entries(of: service, after: sequence, limit: limit)
    }

    func head(of service: ServiceName) async throws(OperationError) -> Entry? {
        try await operations(for: service.description).head(of: service)
    }

    func endings() async -> [Ending: Int] {
        var all: [Ending: Int] = [:]
        for member in sortedMembers() { all.merge(await member.service.operations.endings(), uniquingKeysWith: +) }
        return all
    }

    func measurements() async -> Measurements {
        var present = measures.present
        // As for the readiness: whoever may not list the state folder has nothing open in it.
        let known = (try? state.services()) ?? []
        let open = members.withLock { Set($0.keys) }
        for service in open.union(known) { present.isInCharge[service] = open.contains(service) }
        return present
    }

    func statusChange(of name: String, from seen: RolloutStatus?, timeout: Duration) async throws(OperationError) -> RolloutStatus
    {
        try await operations(for: name).statusChange(of: name, from: seen, timeout: timeout)
    }

    private func sortedMembers() -> [Member] {
        members.withLock { members in members.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// The service's controller; where it is not open here, its journal alone.
    private func operations(for name: String) throws(OperationError) -> any RolloutOperations {
        let services = StateRoot.services(named: name)
        if let found = members.withLock({ members in services.compactMap { members[$0]?.service }.first }) {
            return found.operations
        }
        guard let service = services.first(where: state.hasFolder) else {
            throw .notFound("there is no rollout or service '\(name)'")
        }
        let folder = StateFolder(under: state.path, service: service)
        guard unopened.withLock({ $0[service] }) != nil || access(folder.journal, F_OK) == 0 else {
            throw .notFound("there is no rollout of service '\(service)' yet")
        }
        return JournalOperations(service: service, folder: folder)
    }

    /// The service's controller, opened when it is not yet.
    private func member(_ service: ServiceName) async throws(OperationError) -> Member {
        if let known = members.withLock({ $0[service] }) { return known }
        guard opening.withLock({ $0.insert(service).inserted }) else {
            throw .unavailable("service '\(service)' is being opened by another request")
        }
        defer { _ = opening.withLock { $0.remove(service) } }
        let opened: OpenedService
        do throws(OperationError) {
            opened = try await open(service, tried.withLock { $0.contains(service) })
        } catch {
            if state.hasFolder(service) { _ = tried.withLock { $0.insert(service) } }
            // Another process that is in charge of it answers for it.
            if case .refused = error { throw error }
            if state.hasFolder(service) { unopened.withLock { $0[service] = error.description } }
            throw error
        }
        let server: HTTPServer
        do {
            let checkpoints = CheckpointAPI(opened.operations, signer: SigningKey.signer(of: state))
            server = try HTTPServer(
                socket: try UnixSocket(listeningAt: state.socket(of: service)),
                router: Router(
                    [HealthAPI.alive] + RolloutAPI(opened.operations).routes + checkpoints.routes, authenticator: peers))
        } catch {
            await opened.abandon()
            throw .unavailable("cannot listen for service '\(service)': \(error)")
        }
        let member = Member(service: opened, server: server)
        members.withLock { $0[service] = member }
        unopened.withLock { $0[service] = nil }
        _ = tried.withLock { $0.remove(service) }
        arrive.yield(member)
        return member
    }
}
