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
    let balancer = FakeBalancer()
    let telemetry: FakeTelemetry
    let actions = FakeActions()
    let notifier = FakeNotifier()
    let store: MemoryStore
    let controller: ServiceController

    init(store: MemoryStore? = nil, policy: Policy = SimulatedService.policy(), watchdogMark: Bool = false) throws {
        telemetry = FakeTelemetry(balancer: balancer)
        let store = try store ?? MemoryStore(at: clock.now(), digest: SHA256.digestOrEmpty)
        self.store = store
        let (clock, balancer, telemetry, actions) = (clock, balancer, telemetry, actions)
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
                makeWorld: { _ throws(Failure) in World(traffic: balancer, telemetry: telemetry, database: nil, actions: actions)
                },
                takeWatchdogMark: { watchdogMark }))
    }

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
            group.addTask { await self.controller.run() }
            defer { controller.stop() }
            let result = try await body()
            controller.stop()
            return result
        }
    }

    /// Moves time on until the condition holds or `limit` of virtual time has passed; whether it held.
    func pass(atMost limit: Duration, until condition: () async throws -> Bool) async throws -> Bool {
        let end = clock.now() + limit
        while clock.now() < end {
            // Everything that can happen now happens before time moves.
            for _ in 0..<40 { await Task.yield() }
            if try await condition() { return true }
            clock.advance(atMost: .milliseconds(500))
        }
        return try await condition()
    }

    /// As `pass`, for a condition that cannot fail.
    func passed(atMost limit: Duration, until condition: () -> Bool) async -> Bool {
        let end = clock.now() + limit
        while clock.now() < end {
            for _ in 0..<40 { await Task.yield() }
            if condition() { return true }
            clock.advance(atMost: .milliseconds(500))
        }
        return condition()
    }

    var weight: Weight { balancer.state.withLock { $0.weight } }
}
