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

    /// By table.
    public static func < (left: TableActivity, right: TableActivity) -> Bool { left.table < right.table }
}
