public import SerinModel
internal import SerinPolicies
public import SerinVerdicts

// What is asked of a rollout that is tried: on drawn traffic, or on what was read when another was carried out.
extension Rollout {
    /// Which of the queries in `telemetryRequest` each signal reads, in the policy's order.
    public var telemetryReads: [SignalReads] { feed.reads }

    /// What all signals together said at the latest poll; nil before the first.
    public var verdict: JointVerdict? { assessment.map(jointVerdict) }

    /// The signals that failed at the latest poll; those that only report are left out.
    public var failingSignals: [String] {
        guard let assessment else { return [] }
        let failing = assessment.signals.filter { !$0.isReportOnly && $0.verdict == .fail }.map(\.name)
        return failing.isEmpty ? assessment.failing.map { [$0] } ?? [] : failing
    }

    /// Stands where another rollout of the same steps stands, with evidence of its own: what it would decide next, had it come there.
    public mutating func follow(_ other: Rollout) {
        let plan = machine.plan
        machine = other.machine
        machine.plan = plan
        exposedSince = other.exposedSince
        confirmedAt = other.confirmedAt
        actionEndedAt = other.actionEndedAt
    }

    /// Takes the control's past without being told so by an event.
    public mutating func absorb(_ history: HistoryReading) { feed.absorb(history) }

    /// Judges a reading as if this were a bake, and decides nothing.
    public mutating func absorb(_ reading: TelemetryReading, at now: Instant) {
        assessment = feed.absorb(reading, at: now, isCollecting: true)
    }
}
