extension RolloutMachine {
    /// The schema on the way forward. Writes are fenced only where data may be destroyed.
    public enum MigrationStage: Sendable, Hashable {
        /// Writes are being fenced. → `backingUp`, then `applying`
        case fencing(IntentID)
        /// The revisions are being applied, and the schema is probed. → `unfencing`
        case applying(IntentID)
        /// Writes are let in again, after the migration or a backup that failed. → `resting`
        case unfencing(IntentID)
        /// That failed; it is asked for again after a pause. → `unfencing`
        case resting

        /// What is under way; nil in a pause.
        var action: RunningAction? {
            switch self {
            case .resting: nil
            case .fencing(let intent): RunningAction(intent: intent, kind: .fence)
            case .applying(let intent): RunningAction(intent: intent, kind: .migrate)
            case .unfencing(let intent): RunningAction(intent: intent, kind: .unfence)
            }
        }

        func renumbered(_ number: (IntentID) -> IntentID) -> MigrationStage {
            switch self {
            case .fencing(let intent): .fencing(number(intent))
            case .applying(let intent): .applying(number(intent))
            case .unfencing(let intent): .unfencing(number(intent))
            case .resting: self
            }
        }
    }

    /// The schema on the way back.
    public enum MendingStage: Sendable, Hashable {
        /// What is left running is ended, and the schema is read: that decides the way. → any other
        case inspecting(IntentID)
        /// The revisions are taken back. → `unfencing`
        case downgrading(IntentID)
        /// Writes are being fenced, so that nothing more can be lost. → `inspecting`
        case fencing(IntentID)
        /// So many people must agree to what a restore loses. → `restoring`
        case awaitingApproval(people: Int)
        /// Data is brought back from the backup. → `inspecting`
        case restoring(IntentID)
        /// Writes are let in again. → `resting`
        case unfencing(IntentID)
        /// That failed; it is asked for again after a pause, until it is proven. → `unfencing`
        case resting

        /// What is under way; nil while something is read or people are asked, and in a pause.
        var action: RunningAction? {
            switch self {
            case .inspecting, .awaitingApproval, .resting: nil
            case .downgrading(let intent): RunningAction(intent: intent, kind: .downgrade)
            case .fencing(let intent): RunningAction(intent: intent, kind: .fence)
            case .restoring(let intent): RunningAction(intent: intent, kind: .restore)
            case .unfencing(let intent): RunningAction(intent: intent, kind: .unfence)
            }
        }

        func renumbered(_ number: (IntentID) -> IntentID) -> MendingStage {
            switch self {
            case .inspecting(let intent): .inspecting(number(intent))
            case .downgrading(let intent): .downgrading(number(intent))
            case .fencing(let intent): .fencing(number(intent))
            case .awaitingApproval, .resting: self
            case .restoring(let intent): .restoring(number(intent))
            case .unfencing(let intent): .unfencing(number(intent))
            }
        }
    }

    /// Whether writes are kept away.
    public enum Fence: String, Sendable, Hashable, Codable, CaseIterable {
        /// Nobody fenced them.
        case open
        /// It was asked for, or to be undone, and not proven.
        case unsure
        /// Its check has proven it.
        case closed
    }
}

/// What the migrations before the canary may do, as the preflight found.
public enum MigrationNeed: String, Sendable, Hashable, CaseIterable {
    /// Nothing that could not be taken back without a loss.
    case harmless
    /// Data may be gone afterwards.
    case destructive
}

/// The way on which the schema goes back, as it was decided from what was read.
public enum SchemaWay: Sendable, Hashable {
    /// It stays as it is, or nothing was changed.
    case keep
    /// The revisions are taken back.
    case downgrade
    /// Data is brought back from the backup, once so many people agree.
    case restore(people: Int)
    /// Nobody can tell: a person has to act.
    case unknown
}
