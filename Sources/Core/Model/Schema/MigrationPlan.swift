/// One revision that is not applied yet.
public struct PlannedRevision: Sendable, Hashable, Codable {
    /// The revision.
    public var id: RevisionID
    /// What it is called; may be empty.
    public var name: String
    /// What it does to data and to the previous version.
    public var kind: MigrationClass
    /// When it may run.
    public var phase: MigrationPhase
    /// Whether it has a way back that is neither missing nor empty.
    public var hasDown: Bool
    /// The tables that it changes, sorted; empty when they are not known.
    public var tables: [String]
    /// Why it has its class, in a clause; may be empty.
    public var reason: String
    /// The digest of what was judged as its way forward; nil where nobody can read it.
    public var upDigest: String?
    /// The digest of what was judged as its way back; nil where nobody can read it.
    public var downDigest: String?

    /// What its way back writes over with what was saved, whoever wrote it since: `amount of orders`; nil when nothing.
    public var overwritten: String?

    /// A revision.
    public init(
        id: RevisionID, name: String = "", kind: MigrationClass, phase: MigrationPhase = .expand, hasDown: Bool = true,
        tables: [String] = [], reason: String = "", upDigest: String? = nil, downDigest: String? = nil
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.phase = phase
        self.hasDown = hasDown
        self.tables = tables.sorted()
        self.reason = reason
        self.upDigest = upDigest
        self.downDigest = downDigest
    }
}

/// Everything between where the database is and the head, in the order in which it would be applied.
public struct MigrationPlan: Sendable, Hashable, Codable {
    /// Where the database is; nil before the first revision. The way back leads here.
    public var from: RevisionID?
    /// What is not applied yet, the next one first.
    public var pending: [PlannedRevision]
    /// How much each table was written to when the plan was made; nil when nobody could tell.
    public var activity: [TableActivity]?
    /// The database; nil when nobody could tell.
    public var database: DatabaseIdentity?

    /// A plan.
    public init(
        from: RevisionID?, pending: [PlannedRevision], activity: [TableActivity]? = nil, database: DatabaseIdentity? = nil
    ) {
        self.from = from
        self.pending = pending
        self.activity = activity?.sorted()
        self.database = database
    }

    /// What runs before the canary: everything before the first contract revision.
    public var beforeCanary: [PlannedRevision] { Array(pending.prefix { $0.phase != .contract }) }
    /// What waits for the promotion: the first contract revision and everything after it.
    public var afterPromotion: [PlannedRevision] { Array(pending.dropFirst(beforeCanary.count)) }
    /// Where the database is before the canary; nil when nothing runs before it.
    public var target: RevisionID? { beforeCanary.last?.id }
    /// The worst class of what runs before the canary; nil when nothing does.
    public var kind: MigrationClass? { beforeCanary.map(\.kind).max() }
}
