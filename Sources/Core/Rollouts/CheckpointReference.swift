public import SerinModel

/// The backup to which a rollout can be taken back, as the catalogue knows it.
public struct CheckpointReference: Sendable, Hashable, Codable {
    /// The backup.
    public var backup: BackupID
    /// How well it is known to be good; a rollout goes on from `verified` only.
    public var state: BackupState
    /// The moment to which a restore leads.
    public var at: Instant
    /// What it is; nil where nobody says.
    public var kind: BackupKind?

    /// A reference.
    public init(backup: BackupID, state: BackupState, at: Instant, kind: BackupKind? = nil) {
        self.backup = backup
        self.state = state
        self.at = at
        self.kind = kind
    }

    /// `backup 0193…, verified, of 2026-11-21T13:40:12Z`.
    public var words: String { "backup \(backup), \(state.rawValue), of \(at)" }
}

/// How the backup of a rollout ended.
public enum BackupOutcome: Sendable, Hashable, Codable {
    /// The catalogue has it, and keeps it for this rollout.
    case made(CheckpointReference)
    /// There is none: it failed, was found bad or was never begun.
    case failed(Failure)
    /// Nobody knows: it has not ended, or the catalogue cannot be read.
    case unknown(Failure)
}
