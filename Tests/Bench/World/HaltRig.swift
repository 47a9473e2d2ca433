internal import Glibc
internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts
internal import SerinSQLite
internal import SerinTraffic
internal import SerinTransport
internal import Testbed

/// One service's real controller with its durable store and a real balancer behind its driver; telemetry is in memory.
final class HaltRig: Sendable {
    let service: ServiceName
    let clock: BenchClock
    let traffic: WatchedTraffic
    let store: SQLiteStore
    let controller: ServiceController
    private let stall: Locked<SerinModel.Duration>
    private let deadline = SerinModel.Duration.seconds(3)

    /// Opens the store and makes the controller; `run` drives it.
    init(settings: DriverSettings, transport: Transport, scratch: Scratch) async throws {
        guard let service = ServiceName("checkout") else { throw Failure(.invalid, "no service name") }
        self.service = service
        let policy = BenchPolicy.policy(service: service, driver: settings, signals: BenchPolicy.signals.prefix(1))
        let clock = BenchClock(period: policy.timing.poll)
        let stall = Locked(SerinModel.Duration.zero)
        let folder = StateFolder(under: scratch.file("state"), service: service)
        store = try await SQLiteStore.open(folder, purpose: "serin-bench", at: clock.now(), reserve: 1 << 20) {
            let pause = stall.withLock { stall in
                defer { stall = .zero }
                return stall
            }
            if pause > .zero { usleep(UInt32(pause.milliseconds * 1000)) }
        }
        let traffic = WatchedTraffic(
            try TrafficDrivers.make(
                settings,
                environment: TrafficEnvironment(transport: transport) { reference throws(Failure) in
                    throw Failure(.invalid, "there is no secret \(reference)")
                }))
        let number = Locked(0)
        let telemetry = MemoryTelemetry()
        controller = ServiceController(
            service: service,
            parts: ServiceController.Parts(
                store: store, clock: clock, notifier: NoNotifier(),
                prepare: { request, principal throws(OperationError) in
                    let count = number.withLock { number in
                        number += 1
                        return number
                    }
                    guard let id = RolloutID("checkout-\(count)") else { throw .unavailable("no identifier") }
                    return Charter(
                        id: id, policy: policy, policyHash: "00", version: request.version, previous: "1", author: principal,
                        overrides: [])
                },
                makeWorld: { _ throws(Failure) in
                    World(traffic: traffic, telemetry: telemetry, database: nil, actions: NoActions())
                }, watchdog: .none, retries: RetryBudget(clock: clock) { 0.5 }))
        self.clock = clock
        self.traffic = traffic
        self.stall = stall
    }

    /// Starts a rollout and returns once its first step's weight is confirmed.
    func startAndRaise() async throws {
        _ = try await controller.start(
            StartRequest(policyText: "", policyFile: "bench", version: "2", previous: "1", overrides: []), by: .uid(0))
        try await until("the first step") {
            clock.poll()
            let status = try await controller.status(of: service.description)
            guard !status.isFinal else { throw Failure(.invalid, "the rollout ended early: \(status.cause)") }
            return status.observedWeight.map { $0 > .zero } ?? false
        }
        try await rest()
    }

    /// Waits until nothing has been journaled for 10 ms, so that a halt meets a controller at rest, as between two polls.
    private func rest() async throws {
        var before = try await store.head()?.sequence
        try await until("a pause") {
            try await Task.sleep(for: .milliseconds(10))
            let now = try await store.head()?.sequence
            defer { before = now }
            return now == before
        }
    }

    /// Halts the rollout and returns the milliseconds from handing the halt in until 0 was read back. With a stall, the next commit
    /// takes that much longer.
    func halt(stalling pause: SerinModel.Duration = .zero) async throws -> Double {
        traffic.forget()
        stall.withLock { $0 = pause }
        let clock = ContinuousClock()
        let start = clock.now
        do throws(OperationError) {
            _ = try await controller.perform(Command(.halt, by: .uid(0), reason: "bench"), on: service.description)
        } catch {
            // A stalled journal cannot acknowledge; the lowering goes ahead all the same.
            guard pause > .zero else { throw error }
        }
        try await until("weight 0") { traffic.zeroConfirmedAt != nil }
        guard let end = traffic.zeroConfirmedAt else { return .nan }
        try await until("the end") { try await controller.status(of: service.description).isFinal }
        return (end - start).milliseconds
    }

    /// One change of the weight asked for and answered, then one reading of it, past the controller; in milliseconds.
    func exchange() async throws -> (write: Double, read: Double) {
        let clock = ContinuousClock()
        guard let weight = Weight(percent: 5) else { return (.nan, .nan) }
        let start = clock.now
        try await traffic.apply(weight, expected: nil, deadline: deadline)
        let middle = clock.now
        _ = try await traffic.read(deadline: deadline)
        let end = clock.now
        try await traffic.zero(deadline: deadline)
        return ((middle - start).milliseconds, (end - middle).milliseconds)
    }

    /// One durable entry of the journal; in milliseconds.
    func write() async throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        _ = try await store.append([Draft(rollout: nil, at: self.clock.now(), record: .clockJumped(milliseconds: 0))])
        return (clock.now - start).milliseconds
    }

    private func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        let clock = ContinuousClock()
        let limit = clock.now + .seconds(20)
        while !(try await condition()) {
            guard clock.now < limit else {
                let status = try await controller.status(of: service.description)
                throw Failure(
                    .transient,
                    "\(what) of \(status.id) did not come within 20 s: \(status.state); \(status.cause); \(status.next)")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
