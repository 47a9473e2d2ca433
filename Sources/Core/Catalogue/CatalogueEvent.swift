public import SerinModel

/// One thing that happened to a backup. The catalogue is the log of these, and is only ever appended to.
public struct CatalogueEvent: Sendable, Hashable, Codable {
    /// What happened.
    public enum Change: Sendable, Hashable, Codable {
        /// It was begun.
        case begun(BackupOrder)
        /// A copy was written. The first one brings the facts; further ones must bring the same.
        case stored(BackupCopy, BackupFacts)
        /// A copy was looked up and read back completely.
        case confirmed(destination: String, CopyEvidence)
        /// It was read again later and checked; a bad result quarantines it.
        case verified(VerificationResult)
        /// It was restored into an isolated server and checked; a bad result is noted and quarantines nothing by itself.
        case drilled(DrillResult)
        /// It will never be finished.
        case failed(Failure)
        /// Something is wrong with it, or with the copy at a destination when another good one is left.
        case quarantined(destination: String?, Failure)
        /// It must be kept.
        case held(Hold)
        /// One hold was taken away, by its identifier.
        case releasedHold(String)
        /// All holds of a kind were taken away.
        case released(Hold.Kind)
        /// Its owners were told that it will be deleted.
        case warned(expiresAt: Instant)
        /// The plan no longer wants it gone: a warning is taken back.
        case spared
        /// Its data key was wrapped to other recipients; the bytes stay.
        case rewrapped(keyIDs: [String], wrappedKey: String)
        /// The deletion of the copy at a destination was begun; nil for a backup without copies.
        case deleting(destination: String?, reason: String)
        /// A destination refused the deletion that was begun, and still has the copy as it was.
        case notDeleted(destination: String, Failure)
        /// The absence of the copy at a destination was confirmed; nil for a backup without copies.
        case deleted(destination: String?)
        /// It was found at a destination, authenticated, and is known again from its manifest.
        case imported(Manifest)
    }

    /// The backup.
    public var backup: BackupID
    /// When it happened.
    public var at: Instant
    /// Who did it.
    public var by: Principal
    /// What happened.
    public var change: Change

    /// An event.
    public init(backup: BackupID, at: Instant, by: Principal, _ change: Change) {
        self.backup = backup
        self.at = at
        self.by = by
        self.change = change
    }
}

/// Why an event cannot have happened: it is not appended.
public struct CatalogueRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was tried, on what, and why it cannot be; lower case.
    public var description: String

    /// A refusal.
    public init(_ description: String) { self.description = description }
}
