public import SerinModel

/// What a revision did to a copy of the schema: forward, back, and forward again.
public struct RevisionMeasurement: Sendable, Hashable {
    /// One direction, once.
    public struct Run: Sendable, Hashable {
        /// The locks on relations that were there before, each kind of each relation once, sorted.
        public var locks: [RelationLock] = []
        /// Whether they were read at the end of a transaction, or while a statement outside one had them; else they were seen by
        /// chance, and there may be more.
        public var isWhole = true
        /// The tables that were there before and have a new file: all rows were written anew, or thrown away.
        public var rewrites: [RelationName] = []
        /// The rows that were written in tables that were there before, as the server counts them.
        public var activity: [TableActivity] = []
        /// What held data before and is gone or of another type: `table public.orders`, `column public.orders.note`.
        public var losses: [String] = []
        /// How the schema differs from before: `+` is new, `-` is gone.
        public var changes: [String] = []
        /// How long it took on the copy.
        public var time = Duration.zero
        /// Why it failed; nil when it did not.
        public var failure: String?

        /// A run of which nothing is known yet.
        public init() {}
    }

    /// The revisions that it is about: one, or all that were pending where the tool does not tell them apart.
    public var revisions: [String]
    /// The way forward.
    public var up: Run
    /// The way back; nil when it was not tried: there is none, or the way forward failed.
    public var down: Run?
    /// Forward once more, when the way back led to where it began.
    public var again: Run?
    /// The difference between the schema before and after forward and back; empty when it came back to what it was, nil when no way
    /// back was tried.
    public var remains: [String]?
    /// The tables that it read, changed or wrote anew and that have no rows in the copy: what it does there may depend on rows.
    public var empty: [RelationName]
    /// What the check of the previous version said on the new schema: nil when there is none, empty when it agreed.
    public var previous: String?

    /// A measurement.
    public init(
        revisions: [String], up: Run, down: Run? = nil, again: Run? = nil, remains: [String]? = nil, empty: [RelationName] = [],
        previous: String? = nil
    ) {
        self.revisions = revisions
        self.up = up
        self.down = down
        self.again = again
        self.remains = remains
        self.empty = empty
        self.previous = previous
    }

    /// Whether forward, back and forward again ended where they should.
    public var comesBack: Bool {
        guard let down, let again, let remains else { return false }
        return down.failure == nil && again.failure == nil && remains.isEmpty && again.changes == up.changes
    }

    /// The tables with a file of their own and rows put in again, or no other column: nobody can say that the old rows are among them.
    var thrownAway: [RelationName] {
        up.rewrites.filter { table in
            up.activity.contains { $0.table == "\(table)" && $0.inserted > 0 }
                || !up.changes.contains { $0.contains("column \(table).") }
        }
    }

    /// What a revision is by what was measured alone, and why.
    ///
    /// A copy without rows proves nothing about what rows decide: what reads or changes such a table stays unclassified.
    public var classified: (kind: MigrationClass, reason: String) {
        if let failure = up.failure { return (.unclassified, "it fails on the copy: \(failure)") }
        if !up.losses.isEmpty { return (.destructive, "measured: \(Self.list(up.losses)) is gone") }
        if !thrownAway.isEmpty {
            return (.destructive, "measured: \(Self.list(thrownAway.map(\.description))) has a new file and the same columns")
        }
        if let changed = up.activity.first(where: { $0.updated + $0.deleted > 0 }) {
            return (
                .destructive, "measured: \(changed.updated) rows updated and \(changed.deleted) deleted in \(changed.table)"
            )
        }
        if !empty.isEmpty {
            return (.unclassified, "it depends on rows of \(Self.list(empty.map(\.description))), which the copy has none of")
        }
        guard up.isWhole || up.locks.isEmpty else { return (.unclassified, "its locks were not all seen") }
        let noticed = noticed
        if noticed.isEmpty { return (.additive, "measured: it only adds") }
        let words = "measured: it changes " + Self.list(noticed)
        guard comesBack else { return (.unclassified, words + "; and its way back was not seen to work") }
        return (.reversible, words + "; its way back works")
    }

    /// The changes that a previous version may notice: anything but what is new and sets it no rule.
    private var noticed: [String] {
        let made = up.changes.compactMap { change -> Substring? in
            change.hasPrefix("+ table ") ? change.dropFirst(8).prefix { $0 != " " } : nil
        }
        return up.changes.filter { change in
            guard change.hasPrefix("+ ") else { return true }
            let words = change.dropFirst(2)
            let isOfNew = made.contains { table in
                words.hasPrefix("column \(table).") || words.hasPrefix("constraint \(table).") || words.contains(" ON \(table) ")
            }
            if isOfNew { return false }
            if words.hasPrefix("column ") { return words.contains(" not null") && !words.contains(" default ") }
            if words.hasPrefix("index ") { return words.contains("UNIQUE INDEX") }
            return !["table ", "schema ", "sequence ", "type ", "view ", "function ", "extension "].contains {
                words.hasPrefix($0)
            }
        }
    }

    private static func list(_ words: [String]) -> String {
        words.prefix(3).joined(separator: ", ") + (words.count > 3 ? " and \(words.count - 3) more" : "")
    }
}
