internal import SerinLocks
internal import SerinModel
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts
internal import SerinVerdicts

/// Where the controllers of one process note what they measure of themselves. Nothing is decided by it.
public final class ControllerMeasures: Sendable {
    /// How old the evidence was when it was read, and when that was.
    private struct Evidence: Sendable {
        var age: Duration
        var readAt: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var measurements = Measurements()
        var evidence: [ServiceName: Evidence] = [:]
        var signals: Set<String> = []
    }

    /// More names than this are counted as `other`: policies come and go, and the process stays.
    static let signalLimit = 200

    /// The time, in finer steps than the controller's own clock has.
    let time: @Sendable () -> ContinuousClock.Instant
    private let state = Locked(State())

    /// Nothing measured yet.
    public init(time: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock().now }) { self.time = time }

    /// What was measured until now.
    public var present: Measurements {
        let now = time()
        return state.withLock { state in
            var present = state.measurements
            present.evidenceAges = state.evidence.mapValues { $0.age + Duration($0.readAt.duration(to: now)) }
            return present
        }
    }

    /// Appends to a journal, and notes how long that took.
    func append(_ drafts: [Draft], to store: any Store) async throws(StoreError) -> [Entry] {
        let began = time()
        do throws(StoreError) {
            let entries = try await store.append(drafts)
            let took = began.duration(to: time())
            state.withLock { $0.measurements.appends.add(took) }
            return entries
        } catch {
            state.withLock { $0.measurements.failedAppends += 1 }
            throw error
        }
    }

    /// A halt has led to 0, which was read back.
    func reachedZero(after time: Duration) {
        state.withLock { $0.measurements.halts.add(.milliseconds(time.milliseconds)) }
    }

    /// What one poll read was reckoned with.
    func decided(since began: ContinuousClock.Instant) {
        let took = began.duration(to: time())
        state.withLock { $0.measurements.decisions.add(took) }
    }

    /// What is thought of each signal after a poll.
    func judged(_ signals: [SignalAssessment]) {
        state.withLock { state in
            for signal in signals {
                if state.signals.count < Self.signalLimit { state.signals.insert(signal.name) }
                let name = state.signals.contains(signal.name) ? signal.name : "other"
                state.measurements.verdicts[.init(name, signal.verdict), default: 0] += 1
            }
        }
    }

    /// What an event led to: each doubt of a controller in itself is a promise that did not hold.
    func noteDoubts(in effects: [Effect]) {
        for case .record(let decision) in effects where decision.topic == "doubt" {
            state.withLock { $0.measurements.brokenPromises += 1 }
        }
    }

    /// What became of an effect.
    func note(_ effect: Effect, led event: RolloutEvent) {
        guard event.tellsOfFailure, let kind = EffectKind(effect) else { return }
        state.withLock { $0.measurements.failures[kind, default: 0] += 1 }
    }

    /// A poll has ended; what it could not read leaves the evidence as old as it is.
    func polled(_ observation: Observation, of service: ServiceName, at now: Instant) {
        guard let newest = observation.telemetry?.newestEvidence else { return }
        let evidence = Evidence(age: max(.zero, now - newest), readAt: time())
        state.withLock { $0.evidence[service] = evidence }
    }

    /// The service's rollout is not polled any more.
    func endsPolling(of service: ServiceName) { state.withLock { $0.evidence[service] = nil } }
}

extension RolloutEvent {
    /// Whether what was asked for was not done, or nobody knows.
    fileprivate var tellsOfFailure: Bool {
        switch self {
        case .weightReported(_, let outcome):
            switch outcome {
            // Where it was overtaken nothing failed: a lowering came first, or a later step.
            case .confirmed, .overtaken: false
            case .failed, .unsettled: true
            }
        case .actionReported(_, let outcome):
            if case .done = outcome { false } else { true }
        case .backupReported(_, let outcome):
            if case .made = outcome { false } else { true }
        case .migrationReported(_, let outcome):
            if case .done = outcome { false } else { true }
        case .schemaInspected(_, let inspection):
            if case .found = inspection { false } else { true }
        case .backupReleased(let failure): failure != nil
        case .started, .ticked, .preflightFinished, .historyRead, .observed, .commanded, .takenOver, .doubted: false
        }
    }
}

extension TelemetryReading {
    /// The newest sample of the query whose newest is the oldest: one that dried up shows. Nil when nothing came; queries whose
    /// series do not exist yet are left out.
    var newestEvidence: Instant? {
        series.filter { !$0.rows.isEmpty }.map { $0.rows.compactMap(\.sampledAt).max() ?? evaluatedAt }.min()
    }
}

extension Duration {
    /// The whole milliseconds of a finer length.
    fileprivate init(_ length: Swift.Duration) {
        let (seconds, attoseconds) = length.components
        self = .seconds(seconds) + .milliseconds(attoseconds / 1_000_000_000_000_000)
    }
}
