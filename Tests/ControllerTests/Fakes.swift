import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts

/// A balancer in memory that can be slow, refuse, lose answers or be changed by someone else.
final class FakeBalancer: Traffic {
    struct State: Sendable {
        var weight = Weight.zero
        /// Every weight written, in order.
        var written: [Weight] = []
        /// What the next writes answer instead of succeeding; `unknown` ones take effect all the same.
        var writeFailures: [Failure] = []
        var readFailure: Failure?
        /// The next read takes until its end.
        var readGate: AsyncStream<Never>?
        /// What it has counted; nil when it does not count.
        var counts: TrafficCounts?
        /// What every write answers until it is taken away; nothing takes effect.
        var writeFailure: Failure?
        /// How often a write was tried.
        var tries = 0
    }

    let state = Locked(State())
    let name = "fake balancer"
    let settleTime = Duration.milliseconds(200)

    func read(deadline: Duration) async throws(Failure) -> WeightReading {
        let gate = state.withLock { state in
            defer { state.readGate = nil }
            return state.readGate
        }
        if let gate { for await _ in gate {} }
        let result = state.withLock { state -> Result<WeightReading, Failure> in
            if let failure = state.readFailure { return .failure(failure) }
            return .success(WeightReading(weight: state.weight, raw: "\(state.weight.basisPoints)"))
        }
        return try result.get()
    }

    func apply(_ weight: Weight, expected: WeightReading?, deadline: Duration) async throws(Failure) { try write(weight) }

    func zero(deadline: Duration) async throws(Failure) { try write(.zero) }

    func counts(deadline: Duration) async throws(Failure) -> TrafficCounts? { state.withLock { $0.counts } }

    func preflight(deadline: Duration) async throws(Failure) {}

    private func write(_ weight: Weight) throws(Failure) {
        let failure = state.withLock { state -> Failure? in
            state.tries += 1
            if let failure = state.writeFailure { return failure }
            let failure = state.writeFailures.isEmpty ? nil : state.writeFailures.removeFirst()
            if failure == nil || failure?.kind == .unknown {
                state.weight = weight
                state.written.append(weight)
            }
            return failure
        }
        if let failure { throw failure }
    }
}

/// Telemetry of a service with steady traffic: four control instances and one canary, whose share follows the balancer's weight.
final class FakeTelemetry: Telemetry {
    struct State: Sendable {
        /// Canary failures of a thousand requests.
        var canaryFailPermille = 0.0
        var controlFailPermille = 0.0
        var isDown = false
        /// What the next reads answer instead.
        var nextFailures: [Failure] = []
        /// Cumulative requests and failures, canary first, then the control instances.
        var requests = [Double](repeating: 1000, count: 5)
        var failures = [Double](repeating: 0, count: 5)
        var last: Instant?
        /// Answers wait for its end.
        var gate: AsyncStream<Never>?
        /// How many have waited.
        var waited = 0
    }

    let state = Locked(State())
    /// Happens while history is read.
    let whileReadingHistory = Locked<(@Sendable () async -> Void)?>(nil)
    private let balancer: FakeBalancer
    private let requestsPerSecond: Double

    init(balancer: FakeBalancer, requestsPerSecond: Double = 1000) {
        self.balancer = balancer
        self.requestsPerSecond = requestsPerSecond
    }

    func read(_ request: TelemetryRequest, at time: Instant, deadline: Duration) async -> TelemetryReading {
        let share = balancer.state.withLock { $0.weight.fraction }
        let (down, next) = state.withLock { state -> (Bool, Failure?) in
            let seconds = state.last.map { (time - $0).seconds } ?? 0
            state.last = time
            let canary = (requestsPerSecond * seconds * share).rounded()
            let control = (requestsPerSecond * seconds * (1 - share) / 4).rounded()
            for index in 0..<5 {
                let requests = index == 0 ? canary : control
                state.requests[index] += requests
                let permille = index == 0 ? state.canaryFailPermille : state.controlFailPermille
                state.failures[index] += (requests * permille / 1000).rounded()
            }
            let next = state.nextFailures.isEmpty ? nil : state.nextFailures.removeFirst()
            return (state.isDown || next != nil, next)
        }
        if let gate = state.withLock({ $0.gate }) {
            state.withLock { $0.waited += 1 }
            for await _ in gate {}
        }
        let failure = next ?? Failure(.transient, "cannot POST http://prometheus: connection refused")
        return TelemetryReading(
            evaluatedAt: time,
            series: request.queries.map {
                down ? SeriesReading(rows: [], failure: failure) : SeriesReading(rows: rows(of: $0, at: time))
            },
            instances: down ? [] : (0..<5).map { InstanceReading(instance: "i\($0)", up: 1, startedAt: nil) },
            alerts: request.alerts.map { _ in [] }, failures: down ? [failure] : [])
    }

    private func rows(of query: SeriesQuery, at time: Instant) -> [SeriesRow] {
        let isBad = query.matchers.contains { $0.name == "code" }
        return state.withLock { state in
            (0..<5).map { index in
                SeriesRow(
                    labels: [Label("instance", "i\(index)"), Label("version", index == 0 ? "2" : "1")],
                    value: isBad ? state.failures[index] : state.requests[index], sampledAt: time)
            }
        }
    }

    func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, deadline: Duration
    ) async -> HistoryReading {
        await whileReadingHistory.withLock { $0 }?()
        return HistoryReading(
            start: start, step: .minutes(1), series: request.queries.map { _ in [] }, scrapeInterval: .seconds(5), warnings: [])
    }

    func clock(of request: TelemetryRequest, deadline: Duration) async throws(Failure) -> SourceClock {
        throw Failure(.transient, "a fake has no clock")
    }
}

/// Actions that succeed unless told otherwise, and are counted.
final class FakeActions: Actions {
    let ran = Locked<[String]>([])
    /// The programs that were run.
    let names = Locked<[String]>([])
    /// What each was told.
    let contexts = Locked<[ActionContext]>([])
    /// The programs that fail.
    let failing = Locked<[String]>([])
    /// The programs whose check says no.
    let undone = Locked<[String]>([])
    /// Every run takes until its end.
    let gate = Locked<AsyncStream<Never>?>(nil)
    /// What is left of a former controller's action takes until its end to end.
    let leftovers = Locked<AsyncStream<Never>?>(nil)

    func run(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome {
        ran.withLock { $0.append(context.key) }
        contexts.withLock { $0.append(context) }
        guard case .run(let words) = action.call, let name = words.first else { return .done(output: "") }
        names.withLock { $0.append(name) }
        if let gate = gate.withLock({ $0 }) { for await _ in gate {} }
        if failing.withLock({ $0.contains(name) }) { return .failed(Failure(.invalid, "exit status 1"), output: "") }
        return .done(output: "")
    }

    func endLeftovers(of context: ActionContext) async throws(Failure) {
        if let leftovers = leftovers.withLock({ $0 }) { for await _ in leftovers {} }
    }

    func check(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome {
        guard case .run(let words) = action.call, let name = words.first, undone.withLock({ $0.contains(name) }) else {
            return .done(output: "")
        }
        return .failed(Failure(.transient, "the check says no"), output: "")
    }
}

/// Keeps what people were told.
final class FakeNotifier: Notifier {
    let notices = Locked<[Notification]>([])
    /// How many were given up before they were delivered.
    let givenUp = Locked(0)
    /// What each delivery waits for.
    let delay = Locked<@Sendable () async -> Void>({})

    func notify(_ notification: Notification) async {
        await delay.withLock { $0 }()
        if Task.isCancelled { return givenUp.withLock { $0 += 1 } }
        notices.withLock { $0.append(notification) }
    }
}
