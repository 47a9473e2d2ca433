internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// Telemetry of a steady service, from memory.
final class MemoryTelemetry: Telemetry {
    private let service = Locked(SteadyService(seed: 31))

    func read(_ request: TelemetryRequest, at time: Instant, deadline: SerinModel.Duration) async -> TelemetryReading {
        service.withLock { $0.reading(request.queries, at: time, after: 1) }
    }

    func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, deadline: SerinModel.Duration
    ) async -> HistoryReading {
        HistoryReading(
            start: start, step: .minutes(1), series: request.queries.map { _ in [] }, scrapeInterval: .seconds(5), warnings: [])
    }

    func clock(of request: TelemetryRequest, deadline: SerinModel.Duration) async throws(Failure) -> SourceClock {
        throw Failure(.transient, "it has no clock")
    }
}

/// Actions that nobody asks for.
struct NoActions: Actions {
    func run(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome { .done(output: "") }

    func endLeftovers(of context: ActionContext) async throws(Failure) {}

    func check(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome { .done(output: "") }
}

/// Notices for nobody.
struct NoNotifier: Notifier {
    func notify(_ notification: Notification) async {}
}
