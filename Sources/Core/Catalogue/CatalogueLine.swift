public import SerinModel

/// What one entry of the catalogue's log says.
public enum CatalogueLine: Sendable, Hashable, Codable {
    /// Something happened to a backup.
    case event(CatalogueEvent)
    /// Someone did something that changes no backup: took a lease over, read a backup, asked for a restore.
    case note(AuditNote)
}

/// Something that was done, for the audit alone.
public struct AuditNote: Sendable, Hashable, Codable {
    /// When.
    public var at: Instant
    /// By whom.
    public var by: Principal
    /// What kind of thing: `lease`, `read`, `restore`, `mirror`.
    public var topic: String
    /// The target that it concerns.
    public var target: String?
    /// The backup that it concerns.
    public var backup: BackupID?
    /// What was done, in words; without secrets.
    public var text: String

    /// A note.
    public init(
        at: Instant, by: Principal, topic: String, target: String? = nil, backup: BackupID? = nil, text: String
    ) {
        self.at = at
        self.by = by
        self.topic = topic
        self.target = target
        self.backup = backup
        self.text = text
    }
}

/// One line with its place in the log.
public struct CatalogueEntry: Sendable, Hashable, Codable {
    /// Its number, from 1 without gaps.
    public var sequence: Int64
    /// What it says.
    public var line: CatalogueLine

    /// An entry.
    public init(sequence: Int64, line: CatalogueLine) {
        self.sequence = sequence
        self.line = line
    }
}
