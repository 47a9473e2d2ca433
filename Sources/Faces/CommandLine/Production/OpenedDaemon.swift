internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinRecords
internal import SerinRollouts
internal import SerinServer

/// Many services in one process. Each keeps its own lock, journal and socket, so that none waits for another.
final class OpenedDaemon: OpenedController, RolloutOperations {
    typealias Open = @Sendable (ServiceName) async throws(OperationError) -> OpenedService

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
    /// How often each service has lost its journal.
    private let failures = Locked<[ServiceName: Int]>([:])
    private let isStopping = Locked(false)
    private let opening = Locked<Set<ServiceName>>([])
    private let arrivals: AsyncStream<Member>
    private let arrive: AsyncStream<Member>.Continuation

    var operations: any RolloutOperations { self }

    init(
        state: StateRoot, peers: any Authenticator, retries: RetryBudget, measures: ControllerMeasures,
        report: @escaping @Sendable (String) -> Void,
        open: @escaping Open,
        readPolicy: @escaping @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy
    ) {
        self.state = state
        self.open = open
        self.peers = peers
        self.retries = retries
        self.measures = measures
        self.report = report
        self.readPolicy = readPolicy
        (arrivals, arrive) = AsyncStream.makeStream()
    }

    /// Opens every service that has a journal. One that cannot be opened is reported and left alone; the others go on.
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
            var complaint: String?
            if let member = members.withLock({ $0[service] }) {
                do throws(OperationError) { _ = try await member.service.operations.head(of: service) } catch {
                    complaint = error.description
                }
            } else {
                complaint = "its lock is not held, or its journal could not be opened"
            }
            checks.append(ReadinessCheck("journal of \(service)", complaint: complaint))
        }
        return checks
    }

    func run() async throws(Failure) {
        await withDiscardingTaskGroup { group in
            for await member in arrivals { group.addTask { await self.drive(member) } }
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
        members.withLock { $0[service] = nil }
        var failures = failures.withLock { counts in
            counts[service, default: 0] += 1
            return counts[service, default: 0]
        }
        var next = pause(after: failures)
        while !isStopping.withLock({ $0 }) {
            guard ContinuousClock().now >= next else {
                // A cancelled pause ends with the daemon.
                try? await Task.sleep(for: .milliseconds(100))
                continue
            }
            do throws(OperationError) {
                _ = try await self.member(service)
                return
            } catch {
                report("\(service): \(error)")
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
        return try await member(loaded.policy.service).service.operations.start(request, by: principal)
    }

    func statuses() async throws(OperationError) -> [RolloutStatus] {
        var all: [RolloutStatus] = []
        for member in sortedMembers() { all += try await member.service.operations.statuses() }
        return all
    }

    func status(of name: String) async throws(OperationError) -> RolloutStatus {
        try await operations(for: name).status(of: name)
    }

    func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus {
        try await operations(for: name).perform(command, on: name)
    }

    func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        try await operations(for: name).decisions(of: name, after: sequence, limit: limit)
    }

    func entries(of service: ServiceName, after sequence: Int64, limit: Int) async throws(OperationError) -> [Entry] {
        guard let member = members.withLock({ $0[service] }) else { throw .notFound("service '\(service)' is not open here") }
        return try await member.service.operations.entries(of: service, after: sequence, limit: limit)
    }

    func head(of service: ServiceName) async throws(OperationError) -> Entry? {
        guard let member = members.withLock({ $0[service] }) else { throw .notFound("service '\(service)' is not open here") }
        return try await member.service.operations.head(of: service)
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

    private func operations(for name: String) throws(OperationError) -> any RolloutOperations {
        let found = members.withLock { members in
            StateRoot.services(named: name).compactMap { members[$0]?.service }.first
        }
        guard let found else { throw .notFound("there is no rollout or service '\(name)'") }
        return found.operations
    }

    /// The service's controller, opened when it is not yet.
    private func member(_ service: ServiceName) async throws(OperationError) -> Member {
        if let known = members.withLock({ $0[service] }) { return known }
        guard opening.withLock({ $0.insert(service).inserted }) else {
            throw .unavailable("service '\(service)' is being opened by another request")
        }
        defer { _ = opening.withLock { $0.remove(service) } }
        let opened = try await open(service)
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
        arrive.yield(member)
        return member
    }
}
