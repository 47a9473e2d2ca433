public import SerinModel

/// The latest notes about a target, one for each topic and backup: by these, beside the records, is known what was done and when.
public struct TargetNotes: Sendable, Hashable {
    private struct Key: Sendable, Hashable {
        var topic: String
        var backup: BackupID?
    }

    /// The number of the last entry that was taken in.
    public private(set) var sequence: Int64 = 0
    private let target: String
    private var latest: [Key: AuditNote] = [:]

    /// No notes about a target yet.
    public init(of target: String) { self.target = target }

    /// Takes further entries of the log in, in their order.
    public mutating func take(_ entries: [CatalogueEntry]) {
        for entry in entries {
            sequence = entry.sequence
            if case .note(let note) = entry.line, note.target == target {
                latest[Key(topic: note.topic, backup: note.backup)] = note
            }
        }
    }

    /// The latest note of a topic, about a backup where one is named.
    public subscript(topic: String, backup: BackupID? = nil) -> AuditNote? { latest[Key(topic: topic, backup: backup)] }
}
