/// The tables whose rows a revision changes and brings back, by their names as SQL writes them, without schema. What passes such a change on
/// to other rows changes what nothing brings back.
public struct RestoredTables: Sendable, Hashable {
    /// Those of which rows are deleted, by the way forward or by the way back.
    public var deleted: Set<String>
    /// Those of which rows are changed.
    public var updated: Set<String>

    /// Tables.
    public init(deleted: Set<String> = [], updated: Set<String> = []) {
        self.deleted = deleted
        self.updated = updated
    }
}
