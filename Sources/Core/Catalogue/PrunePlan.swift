public import SerinModel
public import SerinPolicies

/// Why a copy is kept.
public enum KeepReason: Sendable, Hashable, Codable {
    /// The plan has no rule for it, so everything is kept.
    case noRule
    /// It is not older than the time within which all are kept.
    case recent
    /// It is the first of its hour, day, week, month or year.
    case tier(RetentionTier)
    /// It is one of the newest so many verified ones.
    case floor
    /// No verified one is known, or the newest is too old: nothing is deleted until that is repaired.
    case frozen
    /// It must be kept for the law, for ever, for a rollout or for a restore that reads it.
    case held(Hold.Kind)
    /// Its compliance class keeps it.
    case compliance(String)
    /// It bears a compliance class that the plan does not know.
    case unknownClass(String)
    /// A rollout still needs it.
    case rollout(RolloutID)
    /// The destination refuses to delete it before a moment.
    case locked(Instant)
    /// It says that it was made in the future: some clock is wrong.
    case future
    /// Another backup that is kept cannot be restored without it.
    case dependency(BackupID)
    /// A point in time within the window could not be reached without it.
    case pointInTime
    /// It is still being made.
    case unfinished
    /// Something is wrong with it: it is evidence, and only a person deletes it.
    case evidence
}

/// What is to be done about a copy.
public enum PruneStep: Sendable, Hashable, Codable {
    /// Nothing: it is kept.
    case keep
    /// It is kept, and a warning from earlier is taken back.
    case spare
    /// Its owners are told that it will be deleted at a moment.
    case warn(expiresAt: Instant)
    /// It was warned about and waits for the moment.
    case wait(until: Instant)
    /// It is deleted, for this reason.
    case delete(reason: String)
}

/// Why a person must agree before anything is deleted.
public enum PruneBrake: Sendable, Hashable, Codable {
    /// More copies would go than may go at once.
    case many(deletions: Int, of: Int)
    /// The clock moved by so much since the last run.
    case clock(Duration)
    /// The plan only ever proposes, because the destination lets a person delete.
    case proposesOnly(destination: String)
    /// So many backups were imported since a person last agreed; what held them is not known.
    case imported(Int)
}

/// What retention wants done at one moment, and why, for every copy.
public struct PrunePlan: Sendable, Hashable, Codable {
    /// One copy.
    public struct Entry: Sendable, Hashable, Codable {
        /// The backup.
        public var backup: BackupID
        /// Where the copy is; nil for a backup without copies.
        public var destination: String?
        /// The backup's kind.
        public var kind: BackupKind
        /// When the backup was begun.
        public var createdAt: Instant
        /// Why it is kept; empty when nothing keeps it.
        public var reasons: [KeepReason]
        /// When the plan will no longer keep the backup anywhere; nil while held or kept without end.
        public var expiresAt: Instant?
        /// Whether a restore could read it.
        public var isRestorable: Bool
        /// What is to be done.
        public var step: PruneStep
    }

    /// When it was made.
    public var at: Instant
    /// Every copy, the oldest backup first, then by destination.
    public var entries: [Entry]
    /// Why a person must agree before anything is deleted; empty when nobody must.
    public var brakes: [PruneBrake]

    /// The copies to be deleted.
    public var deletions: [Entry] {
        entries.filter { entry in
            if case .delete = entry.step { return true }
            return false
        }
    }

    /// Whether a person must agree before anything is deleted.
    public var needsApproval: Bool { !brakes.isEmpty && !deletions.isEmpty }

    /// The entry of a copy.
    public func entry(_ backup: BackupID, at destination: String?) -> Entry? {
        entries.first { $0.backup == backup && $0.destination == destination }
    }
}
