public import SerinModel

/// What a restore is asked to do.
public struct RestoreOrder: Sendable, Hashable, Codable {
    /// The way that was decided.
    public var way: RollbackPlan.Way
    /// Where the schema has to be afterwards; nil is before the first revision.
    public var target: RevisionID?
    /// The tables whose rows are to be fetched, sorted; empty means all of them.
    public var tables: [String]

    /// An order.
    public init(way: RollbackPlan.Way, target: RevisionID?, tables: [String] = []) {
        self.way = way
        self.target = target
        self.tables = tables
    }
}
