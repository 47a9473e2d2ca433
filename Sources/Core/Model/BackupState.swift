/// How far a backup has come, and how well it is known to be good.
///
///     running → uploaded → available → verified → drilled
///        ↘         ↘           ↘          ↘          ↘
///       failed   failed      quarantined (from any of them) → verified, after a complete read that agrees
///        any but running and uploaded → deleting → deleted, or, where the destination refuses that, what it was before
public enum BackupState: String, Sendable, Hashable, Codable, CaseIterable {
    /// Being made. Nothing may be restored from it.
    case running
    /// Stored, not yet read back.
    case uploaded
    /// Stored; size, version and a complete read back agree with what was written.
    case available
    /// A later and independent complete read agreed, and what can be checked without a server was.
    case verified
    /// It was restored, and the checks on the restored data passed.
    case drilled
    /// It was never finished.
    case failed
    /// Something about it was found wrong: kept as evidence, never restored from, never counted as a good one.
    case quarantined
    /// Its copies are being deleted.
    case deleting
    /// Gone; the record stays as its tombstone. Nothing leaves this state.
    case deleted

    /// Whether it may be restored from.
    public var isRestorable: Bool {
        switch self {
        case .available, .verified, .drilled: true
        case .running, .uploaded, .failed, .quarantined, .deleting, .deleted: false
        }
    }

    /// Whether a later independent read has shown it to be good.
    public var isVerified: Bool {
        switch self {
        case .verified, .drilled: true
        case .running, .uploaded, .available, .failed, .quarantined, .deleting, .deleted: false
        }
    }

    /// The states that may follow this one, besides the one before a deletion that was refused.
    public var successors: [BackupState] {
        switch self {
        case .running: [.uploaded, .failed]
        case .uploaded: [.available, .failed, .quarantined]
        case .available: [.verified, .quarantined, .deleting]
        case .verified: [.verified, .drilled, .quarantined, .deleting]
        case .drilled: [.drilled, .quarantined, .deleting]
        case .failed: [.deleting]
        case .quarantined: [.verified, .deleting]
        case .deleting: [.deleted]
        case .deleted: []
        }
    }
}
