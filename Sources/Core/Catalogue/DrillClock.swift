public import SerinModel

/// The clock of a drill or a real recovery: nine moments, each reached after the one before.
public struct DrillClock: Sendable, Hashable, Codable {
    /// The moments.
    public enum Mark: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
        /// The incident was declared.
        case declared
        /// It was decided to restore.
        case decided
        /// The backup was found in the catalogue and at its destination.
        case located
        /// It was downloaded and authenticated.
        case downloaded
        /// It was decrypted and unpacked.
        case unpacked
        /// The database is consistent.
        case consistent
        /// The integrity checks passed.
        case checked
        /// Migrations ran and the deep health checks passed.
        case healthy
        /// Users reach it.
        case cutOver = "cut_over"

        /// Its place in the order, from 0.
        public var order: Int { Mark.allCases.firstIndex(of: self) ?? 0 }

        /// Earlier first.
        public static func < (left: Mark, right: Mark) -> Bool { left.order < right.order }
    }

    /// What is measured against one budget.
    public enum Phase: String, Sendable, Hashable, Codable, CaseIterable {
        /// From the declaration to the decision.
        case decide
        /// From the decision until the backup is found.
        case locate
        /// Until it is downloaded, authenticated, decrypted and unpacked.
        case download
        /// Until the database is consistent and its integrity is checked.
        case restore
        /// Until it is healthy and users reach it.
        case test

        /// The moment at which it ends; it begins where the one before ends.
        public var end: Mark {
            switch self {
            case .decide: .decided
            case .locate: .located
            case .download: .unpacked
            case .restore: .checked
            case .test: .cutOver
            }
        }

        /// The moment at which it begins.
        public var start: Mark {
            switch self {
            case .decide: .declared
            case .locate: .decided
            case .download: .located
            case .restore: .unpacked
            case .test: .checked
            }
        }

        /// The time it may take in a recovery of two hours: 15, 15, 15, 45 and 30 minutes.
        public var budget: Duration {
            switch self {
            case .decide, .locate, .download: .minutes(15)
            case .restore: .minutes(45)
            case .test: .minutes(30)
            }
        }
    }

    /// One moment reached.
    public struct Reached: Sendable, Hashable, Codable {
        /// Which.
        public var mark: Mark
        /// When.
        public var at: Instant
    }

    /// The moments reached, in their order.
    public private(set) var reached: [Reached]

    /// A clock that starts when the incident is declared.
    public init(declaredAt: Instant) { reached = [Reached(mark: .declared, at: declaredAt)] }

    /// When a moment was reached.
    public subscript(mark: Mark) -> Instant? { reached.first { $0.mark == mark }?.at }

    /// Notes that a moment was reached. Marks passed over count as reached at the same time; one that was reached stays, and a time
    /// before the last one counts as that one, so that no phase is negative.
    public mutating func reach(_ mark: Mark, at time: Instant) {
        guard let last = reached.last, last.mark < mark else { return }
        for passed in Mark.allCases where last.mark < passed && passed <= mark {
            reached.append(Reached(mark: passed, at: max(time, last.at)))
        }
    }

    /// The time from one moment to another; nil until both are reached.
    public func time(from start: Mark, to end: Mark) -> Duration? {
        guard let begin = self[start], let stop = self[end] else { return nil }
        return stop - begin
    }

    /// How long a phase took; nil until it is over.
    public func time(of phase: Phase) -> Duration? { time(from: phase.start, to: phase.end) }

    /// The whole recovery: from the declaration until users reach it.
    public var recoveryTime: Duration? { time(from: .declared, to: .cutOver) }

    /// The restore alone: from the backup found until the integrity checks passed.
    public var restoreTime: Duration? { time(from: .located, to: .checked) }

    /// The phases that took longer than they may.
    public var overBudget: [Phase] { Phase.allCases.filter { phase in time(of: phase).map { $0 > phase.budget } ?? false } }
}
