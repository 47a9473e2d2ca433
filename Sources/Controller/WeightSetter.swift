internal import SerinLocks
internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

/// Makes the balancer's weight what the rollout wants, and believes only what it reads back.
///
/// A lowering to 0 never waits for a raise under way and outdates it: a raise that has not been sent yet is not sent any more.
final class WeightSetter: Sendable {
    private let traffic: any Traffic
    private let clock: any Clock
    private let limits: CallLimits
    /// Whether a halt waits to be taken: nothing is raised then.
    private let isHaltAsked: @Sendable () -> Bool
    /// The newest intent; an older one is not sent any more.
    private let newest = Locked(0)

    init(
        traffic: any Traffic, clock: any Clock, limits: CallLimits, isHaltAsked: @escaping @Sendable () -> Bool = { false }
    ) {
        self.traffic = traffic
        self.clock = clock
        self.limits = limits
        self.isHaltAsked = isHaltAsked
    }

    /// Asks for a weight and reads it back.
    ///
    /// - Parameters:
    ///   - weight: What is wanted.
    ///   - intent: Whose request it is.
    ///   - atMost: Whether nothing is sent when less is in force.
    ///   - decidedAt: When the rollout decided; a raise decided longer ago than `lease` is not sent, because the process may have
    ///     been stopped in between and another may be in charge.
    func set(
        _ weight: Weight, intent: IntentID, atMost: Bool = false, decidedAt: Instant, lease: Duration
    ) async -> WeightOutcome {
        newest.withLock { $0 = max($0, intent.number) }
        do throws(Failure) {
            if weight == .zero {
                try await traffic.zero(deadline: limits.traffic)
            } else {
                let present = try await traffic.read(deadline: limits.traffic)
                guard newest.withLock({ $0 }) == intent.number else {
                    return overtaken("a newer weight is wanted", present)
                }
                guard clock.now() - decidedAt < lease else {
                    return .failed(Failure(.conflict, "not begun: the decision is older than \(lease)"), readBack: present)
                }
                if atMost, let found = present.weight, found < weight {
                    return overtaken("\(found) is in force already", present)
                }
                guard present.weight.map({ $0 >= weight }) ?? false || !isHaltAsked() else {
                    return overtaken("a halt is asked for", present)
                }
                if present.weight != weight {
                    try await traffic.apply(weight, expected: present, deadline: limits.traffic)
                }
            }
        } catch {
            return await afterFailure(error, wanted: weight)
        }
        return await readBack(weight)
    }

    private func overtaken(_ why: String, _ present: WeightReading) -> WeightOutcome {
        .overtaken(Failure(.conflict, "not sent: \(why)"), readBack: present)
    }

    /// Reads until the weight is there or the balancer's settle time and one call's limit have passed.
    private func readBack(_ wanted: Weight) async -> WeightOutcome {
        let limit = clock.now() + traffic.settleTime + limits.traffic
        while true {
            let result = await reading()
            switch result {
            case .success(let reading) where reading.weight == wanted: return .confirmed(reading)
            case .success(let reading) where clock.now() >= limit:
                let found = reading.weight.map(\.description) ?? "no weight"
                return .failed(
                    Failure(.conflict, "asked \(traffic.name) for \(wanted), read back \(found) (\(reading.raw))"),
                    readBack: reading)
            case .failure(let failure) where clock.now() >= limit: return .unsettled(failure)
            case .success, .failure: await clock.sleep(for: limits.readBackPause)
            }
            if Task.isCancelled { return .unsettled(Failure(.unknown, "stopped while reading the weight back")) }
        }
    }

    /// A request that failed may still have happened: only a read-back tells.
    private func afterFailure(_ failure: Failure, wanted: Weight) async -> WeightOutcome {
        let result = await reading()
        switch (result, failure.kind) {
        case (.success(let reading), _) where reading.weight == wanted: return .confirmed(reading)
        case (.success(let reading), .invalid), (.success(let reading), .denied), (.success(let reading), .conflict),
            (.success(let reading), .throttled), (.success(let reading), .transient):
            return .failed(failure, readBack: reading)
        case (.success, .unknown), (.failure, _): return .unsettled(failure)
        }
    }

    private func reading() async -> Result<WeightReading, Failure> {
        do throws(Failure) { return .success(try await traffic.read(deadline: limits.traffic)) } catch { return .failure(error) }
    }
}
