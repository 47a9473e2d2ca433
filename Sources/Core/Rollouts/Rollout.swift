public import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

/// One rollout: its evidence and its state machine. A value; everything it learns comes in as an event, everything it wants goes
/// out as effects, so the same events always give the same effects.
public struct Rollout: Sendable, Hashable {
    /// What it was asked to be.
    public let charter: Charter

    /// A rollout about to begin.
    public init(charter: Charter, createdAt: Instant) {
        self.charter = charter
    }

    /// What to ask of telemetry at a poll.
    public var telemetryRequest: TelemetryRequest {
        TelemetryRequest(queries: [], instanceLabel: "instance", alerts: nil)
    }

    /// Where it stands at a moment.
    public func status(at now: Instant) -> RolloutStatus {
        RolloutStatus(
            id: charter.id, service: charter.policy.service, version: charter.version, previous: charter.previous,
            state: "preflight", cause: "", next: "", isFinal: false, isRollbackIncomplete: false, ending: nil, step: 0,
            steps: charter.policy.traffic.steps.count, wantedWeight: .zero, observedWeight: nil, baked: .zero,
            bake: charter.policy.timing.bake, signals: [], awaitedApproval: nil, startedAt: now, since: now)
    }

    /// Why a command would not be accepted now; nil when it would.
    public func refusal(of command: Command, at now: Instant) -> Refusal? { nil }

    /// Takes one event and returns what it asks of the world.
    public mutating func handle(_ event: RolloutEvent, at now: Instant) -> [Effect] { [] }
}
