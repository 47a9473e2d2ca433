internal import SerinModel

/// How often the backups were opened: by restores, rehearsals and exports, each of which holds what it reads, also where it failed then.
public struct BackupReads: Sendable, Hashable {
    /// The number of the last entry that was taken in.
    public private(set) var sequence: Int64 = 0
    private var counts: [BackupID: Int64] = [:]

    /// None yet.
    public init() {}

    /// Takes further entries of the log in, in their order.
    public mutating func take(_ entries: [CatalogueEntry]) {
        for entry in entries {
            sequence = entry.sequence
            guard case .event(let event) = entry.line, case .held(let hold) = event.change, case .use = hold.kind else {
                continue
            }
            counts[event.backup, default: 0] += 1
        }
    }

    /// How often these were opened.
    func count(of records: [BackupRecord]) -> Int64 { saturatingSum(records.map { counts[$0.id] ?? 0 }) }
}
