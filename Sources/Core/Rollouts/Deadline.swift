public import SerinModel

/// What time can run out for. Each state arms its own; the machine is told when one has passed and never looks at a clock.
public enum DeadlineKind: Int, Sendable, Hashable, CaseIterable, Comparable, Codable {
    /// Preflight and the first write of 0.
    case preflight
    /// Reading the control's past.
    case history
    /// An approval.
    case approval
    /// An action and its check.
    case action
    /// A backup and its verification.
    case backup
    /// From the gate of a step until its weight is confirmed.
    case raise
    /// Until a raise that was asked for can no longer apply: the call's timeout and the balancer's settle time are inside it.
    case flight
    /// After a raise, neither evidence nor bake.
    case warmup
    /// The longest bake; time in which no controller ran does not count.
    case maxBake
    /// A hold.
    case hold
    /// Telemetry lost, share too low or weight unreadable.
    case loss
    /// The final step.
    case watch
    /// Until the new version is seen healthy after the promotion action.
    case verification
    /// Until 0 is confirmed; a person is called.
    case zero
    /// Until an unanswered request for 0 is made again.
    case reask
    /// The whole rollback; a person is called.
    case rollback
    /// A person who was called is reminded.
    case reminder
    /// What people agreed to, until it is begun.
    case agreement
    /// Before the way back: until a weight above the wanted one is lowered; a person is called.
    case lowering
    /// Until writes that could not be let in are tried to be let in again.
    case unfence

    /// In the order of declaration.
    public static func < (left: DeadlineKind, right: DeadlineKind) -> Bool { left.rawValue < right.rawValue }
}

/// A deadline that is running.
public struct ArmedDeadline: Sendable, Hashable {
    /// What for.
    public var kind: DeadlineKind
    /// When it passes.
    public var due: Instant

    /// A deadline.
    public init(_ kind: DeadlineKind, due: Instant) {
        self.kind = kind
        self.due = due
    }
}

/// The running deadlines, at most one of each kind, in the order of their kinds.
public struct DeadlineSet: Sendable, Hashable {
    /// The deadlines by kind.
    public private(set) var armed: [ArmedDeadline] = []

    /// None.
    public init() {}

    /// When a kind passes; nil when it is not running.
    public func due(_ kind: DeadlineKind) -> Instant? { armed.first { $0.kind == kind }?.due }

    /// The deadlines that have passed, the earliest first.
    public func passed(at now: Instant) -> [DeadlineKind] {
        armed.filter { $0.due <= now }.sorted { ($0.due, $0.kind) < ($1.due, $1.kind) }.map(\.kind)
    }

    /// Starts a kind anew.
    mutating func arm(_ kind: DeadlineKind, due: Instant) {
        disarm(kind)
        armed.append(ArmedDeadline(kind, due: due))
        armed.sort { $0.kind < $1.kind }
    }

    /// Gives a running kind more time.
    mutating func postpone(_ kind: DeadlineKind, by time: Duration) {
        if let due = due(kind) { arm(kind, due: due + time) }
    }

    /// Stops a kind.
    mutating func disarm(_ kind: DeadlineKind) { armed.removeAll { $0.kind == kind } }

    /// Stops every kind but those named.
    mutating func disarmAll(but kept: [DeadlineKind] = []) { armed.removeAll { !kept.contains($0.kind) } }
}
