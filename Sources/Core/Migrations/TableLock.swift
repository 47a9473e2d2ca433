/// The table-level locks of Postgres, the weakest first (PostgreSQL documentation, 13.3.1).
public enum TableLock: Int, Sendable, Hashable, CaseIterable, Comparable {
    /// Of `SELECT`.
    case accessShare = 1
    /// Of `SELECT … FOR UPDATE`.
    case rowShare
    /// Of `INSERT`, `UPDATE`, `DELETE`.
    case rowExclusive
    /// Of `VACUUM`, `CREATE INDEX CONCURRENTLY`, `VALIDATE CONSTRAINT`.
    case shareUpdateExclusive
    /// Of `CREATE INDEX`: nobody writes.
    case share
    /// Of `ADD FOREIGN KEY`, `CREATE TRIGGER`: nobody writes.
    case shareRowExclusive
    /// Of `REFRESH MATERIALIZED VIEW CONCURRENTLY`: only plain reads.
    case exclusive
    /// Of most of `ALTER TABLE`: nobody reads or writes.
    case accessExclusive

    /// As SQL names it: `ACCESS EXCLUSIVE`.
    public var name: String {
        switch self {
        case .accessShare: "ACCESS SHARE"
        case .rowShare: "ROW SHARE"
        case .rowExclusive: "ROW EXCLUSIVE"
        case .shareUpdateExclusive: "SHARE UPDATE EXCLUSIVE"
        case .share: "SHARE"
        case .shareRowExclusive: "SHARE ROW EXCLUSIVE"
        case .exclusive: "EXCLUSIVE"
        case .accessExclusive: "ACCESS EXCLUSIVE"
        }
    }

    /// As `pg_locks` writes it: `AccessExclusiveLock`.
    public var serverName: String {
        name.split(separator: " ").map { $0.prefix(1) + $0.dropFirst().lowercased() }.joined() + "Lock"
    }

    /// A lock by the word of `pg_locks`; nil for what locks no table.
    public init?(serverName: String) {
        guard let lock = TableLock.allCases.first(where: { $0.serverName == serverName }) else { return nil }
        self = lock
    }

    /// Whether other sessions can read meanwhile.
    public var blocksReads: Bool { self == .accessExclusive }

    /// Whether other sessions can write meanwhile.
    public var blocksWrites: Bool { self >= .share }

    /// The weaker first.
    public static func < (left: TableLock, right: TableLock) -> Bool { left.rawValue < right.rawValue }
}

/// A lock on a relation that a statement takes.
public struct RelationLock: Sendable, Hashable {
    /// What is locked: a table, an index, a view.
    public var relation: RelationName
    /// How.
    public var mode: TableLock

    /// A lock.
    public init(_ relation: RelationName, _ mode: TableLock) {
        self.relation = relation
        self.mode = mode
    }
}
