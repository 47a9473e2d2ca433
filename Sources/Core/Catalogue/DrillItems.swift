internal import SerinModel

/// What the last drill left to be done. Until somebody says that it is done, no further drill passes.
public struct DrillItems: Sendable, Hashable {
    /// The topic of the notes by which people say that it is done; the text begins with the drill's identifier.
    public static let topic = "drill items done"
    /// The name of the check that says so of a drill.
    public static let check = "action items"

    /// The drill.
    public var drill: String
    /// What is to be done, at least one thing.
    public var items: [String]

    /// What is open of a target; nil when nothing is.
    ///
    /// - Parameters:
    ///   - records: The target's backups, those that are gone as well.
    ///   - notes: The notes of the topic.
    public init?(in records: [BackupRecord], notes: [AuditNote]) {
        guard let last = records.compactMap(\.drill).max(by: { ($0.at, $0.id) < ($1.at, $1.id) }), !last.actionItems.isEmpty,
            !notes.contains(where: { $0.topic == DrillItems.topic && $0.text.hasPrefix("\(last.id): ") })
        else { return nil }
        drill = last.id
        items = last.actionItems
    }

    /// The check of the next drill that fails for them.
    public var finding: BackupCheck {
        BackupCheck(
            DrillItems.check, passed: false,
            detail: "\(items.count) of drill \(drill) are not done: \(items.joined(separator: "; ").prefix(300))")
    }
}
