import MemoryJournal
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRecords
import SerinRollouts

/// One service with its controller, on virtual time and parts in memory.
final class SimulatedService: Sendable {
    let clock = VirtualClock()
    let executor = StepExecutor()
    let balancer = FakeBalancer()
    let telemetry: FakeTelemetry
    let actions = FakeActions()
    let notifier = FakeNotifier()
    /// How often the controller has shown life.
    let pulses = Locked(0)
    /// How many of them came from a controller in charge.
    let signs = Locked(0)
    /// Whether the watchdog's mark is there.
    let watchdogMark = Locked(false)
    let backups: FakeBackups
    let migrations: FakeMigrations
    let store: MemoryStore
    /// What each world was to compare its database with.
    let starts = Locked<[DatabaseStart?]>([])
    /// Why the controller ended by itself.
    let failure = Locked<Failure?>(nil)
    let controller: ServiceController

    init(
        store: MemoryStore? = nil, policy: Policy = SimulatedService.policy(), budget: RetryBudget? = nil,
        database: @escaping @Sendable () -> (any DatabaseHealth)? = { nil }, backups: FakeBackups = FakeBackups(),
        migrations: FakeMigrations = FakeMigrations(), measures: ControllerMeasures = ControllerMeasures()
    ) throws {
        self.backups = backups
        self.migrations = migrations
        telemetry = FakeTelemetry(balancer: balancer)
        let store = try store ?? MemoryStore(at: clock.now(), digest: SHA256.digestOrEmpty)
        self.store = store
        let (clock, balancer, telemetry, actions) = (clock, balancer, telemetry, actions)
        let (pulses, signs, mark, starts) = (pulses, signs, watchdogMark, starts)
        controller = ServiceController(
            service: policy.service,
            parts: ServiceController.Parts(
                store: store, clock: clock, notifier: notifier,
                prepare: { request, principal throws(OperationError) in
                    guard let id = RolloutID("checkout-\(clock.now().millisecondsSince1970)") else {
                        throw .unavailable("no identifier")
                    }
                    return Charter(
                        id: id, policy: policy, policyHash: "00", version: request.version, previous: "1", author: principal,
                        overrides: [])
                },
                makeWorld: { _, start throws(Failure) in
                    starts.withLock { $0.append(start) }
                    return World(
                        traffic: balancer, telemetry: telemetry, database: database(), actions: actions, backups: backups,
                        migrations: migrations)
                },
                watchdog: WatchdogLink(
                    showLife: { isInCharge in
                        pulses.withLock { $0 += 1 }
                        if isInCharge { signs.withLock { $0 += 1 } }
                    }, hasMark: { mark.withLock { $0 } },
                    clearMark: { mark.withLock { $0 = false } }),
                retries: budget ?? RetryBudget(clock: clock) { 0.5 }, measures: measures))
    }

    /// The digest of its store.
    var digest: Digest { SHA256.digestOrEmpty }

    static let name = "checkout"

    /// Three steps, one signal, a bake of ten minutes.
    static func policy() -> Policy {
        var timing = TimingPolicy()
        timing.bake = .minutes(10)
        timing.warmup = .seconds(30)
        timing.minEvidence = .seconds(20)
        let steps = [5, 25, 50].compactMap(Weight.init(percent:)).map { StepPolicy(weight: $0) }
        return Policy(
            service: ServiceName(name) ?? fallback, environment: .demo,
            traffic: TrafficPolicy(driver: DriverSettings(driver: "fake", settings: [:]), steps: steps),
            prometheus: PrometheusPolicy(
                endpoint: HTTPEndpoint(url: "http://prometheus"), instanceLabel: "instance", canary: [Label("version", "2")],
                control: [Label("version", "1")], staleAfter: nil, timeout: .seconds(5)),
            signals: [
                SignalPolicy(
                    name: "errors", source: .ratio(counter: "http_requests_total", bad: [LabelMatcher("code", .matches, "5..")]))
            ], alerts: nil, postgres: nil, deploy: nil, promote: nil, rollback: nil, onFailure: .rollback, onInconclusive: .hold,
            onTelemetryLoss: .hold, onDrift: .hold, timing: timing)
    }

    private static let fallback = ServiceName("x") ?? policy().service

    static let request = StartRequest(policyText: "", policyFile: "test", version: "2", previous: "1", overrides: [])

    /// Runs the controller while the body acts; ends it afterwards.
    func running<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: executor) {
                do throws(Failure) { try await self.controller.run() } catch { self.failure.withLock { $0 = error } }
            }
            defer {
                controller.stop()
                // The driver ends on its own executor, and whoever sleeps is woken by the cancellation.
                group.cancelAll()
                executor.drain()
            }
            return try await body()
        }
    }

    /// Starts a rollout and asks until it is answered.
    func start(by person: Principal) async throws(OperationError) -> RolloutStatus {
        try await controller.start(SimulatedService.request, by: person)
    }

    /// Asks something of the rollout, letting the controller work until it answers.
    func perform(_ command: Command, atMost limit: Duration = .minutes(1)) async -> Result<RolloutStatus, OperationError>? {
        let answer = Locked<Result<RolloutStatus, OperationError>?>(nil)
        return await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: executor) {
                let result: Result<RolloutStatus, OperationError>
                do throws(OperationError) {
                    result = .success(try await self.controller.perform(command, on: SimulatedService.name))
                } catch {
                    result = .failure(error)
                }
                answer.withLock { $0 = result }
            }
            _ = pass(atMost: limit) { answer.withLock { $0 } != nil }
            return answer.withLock { $0 }
        }
    }

    /// Moves time on until the condition holds or `limit` of virtual time has passed; whether it held.
    func pass(atMost limit: Duration, until condition: () -> Bool) -> Bool {
        let end = clock.now() + limit
        while true {
            executor.drain()
            if condition() { return true }
            guard clock.now() < end else { return false }
            clock.advance(atMost: .milliseconds(500))
        }
    }

    /// The live rollout's latest durable status.
    var status: RolloutStatus? { controller.latest }

    var weight: Weight { balancer.state.withLock { $0.weight } }
}
