/// What a migration tool and its database say of the schema.
public struct SchemaState: Sendable, Hashable, Codable {
    /// The revisions that the database is at: none before the first migration, more than one only with branches.
    public var current: [RevisionID]
    /// The last revisions that the release brings; a rollout needs exactly one.
    public var heads: [RevisionID]

    /// A state.
    public init(current: [RevisionID], heads: [RevisionID]) {
        self.current = current.sorted()
        self.heads = heads.sorted()
    }

    /// Where the database is: `0002`, `base` before the first revision, or several joined by a comma.
    public var place: String { current.isEmpty ? "base" : current.map(\.description).joined(separator: ", ") }

    /// Whether the database is at this revision alone; nil is before the first one.
    public func isAt(_ revision: RevisionID?) -> Bool { current == (revision.map { [$0] } ?? []) }
}

/// How much one table was written to, as `pg_stat_user_tables` counts it since the server's statistics began.
public struct TableActivity: Sendable, Hashable, Codable, Comparable {
    /// The table with its schema.
    public var table: String
    /// Rows inserted.
    public var inserted: Int64
    /// Rows updated.
    public var updated: Int64
    /// Rows deleted.
    public var deleted: Int64

    /// Counts of a table.
    public init(table: String, inserted: Int64, updated: Int64, deleted: Int64) {
        self.table = table
        self.inserted = inserted
        self.updated = updated
        self.deleted = deleted
    }

    /// Two counts of a table, set against each other.
    fileprivate func minus(_ other: TableActivity, _ difference: (Int64, Int64) -> Int64) -> TableActivity {
        TableActivity(
            table: table, inserted: difference(inserted, other.inserted), updated: difference(updated, other.updated),
            deleted: difference(deleted, other.deleted))
    }

    /// By table.
    public static func < (left: TableActivity, right: TableActivity) -> Bool { left.table < right.table }
}

extension [TableActivity] {
    /// How much each table was written to since an earlier look; a counter that fell was reset, so all of it counts.
    public func growth(since before: [TableActivity]) -> [TableActivity] {
        pairing(before) { $0 >= $1 ? saturating($0, minus: $1) : $0 }
    }

    /// Without what is known to be the doing of one of the writers.
    public func without(_ own: [TableActivity]) -> [TableActivity] {
        pairing(own) { Swift.max(0, saturating($0, minus: $1)) }
    }

    private func pairing(_ others: [TableActivity], _ difference: (Int64, Int64) -> Int64) -> [TableActivity] {
        map { now in others.first { $0.table == now.table }.map { now.minus($0, difference) } ?? now }
    }
}
