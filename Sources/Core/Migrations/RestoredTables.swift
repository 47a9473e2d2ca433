/// The tables whose rows a revision changes, by their names without schema and quotes. What passes such a change on to other rows, or
/// changes more of the row, changes what nothing brings back.
public struct RestoredTables: Sendable, Hashable {
    /// Those of which rows are deleted, by the way forward or by the way back.
    public var deleted: Set<String>
    /// Those of which rows are changed, and which columns; none where nobody can say.
    public var updated: [String: Set<String>]

    /// Tables.
    public init(deleted: Set<String> = [], updated: [String: Set<String>] = [:]) {
        self.deleted = deleted
        self.updated = updated
    }
}
