public import SerinModel

/// What is known of one statement without running it.
public struct StatementReport: Sendable, Hashable {
    /// Where it starts.
    public var place: LintPlace
    /// The statement, cut after a few hundred characters.
    public var text: String
    /// The strongest lock it takes on each relation that was there before the revision.
    public var locks: [RelationLock] = []
    /// The relations whose rows are all written anew.
    public var rewrites: [RelationName] = []
    /// The relations whose rows are all read under a lock that holds others up.
    public var scans: [RelationName] = []
    /// The tables whose indexes are built anew while their rows stay as they are.
    public var rebuilds: [RelationName] = []
    /// The tables that were there before and whose rows it changes, as far as its text says.
    public var updates: [RelationName] = []
    /// Which columns of theirs.
    public var updatedColumns: Set<String> = []
    /// The tables that were there before and whose rows it removes, as far as its text says.
    public var deletes: [RelationName] = []
    /// The tables that were there and whose rows it writes elsewhere.
    var copies: [RelationName] = []
    /// The indexes among what it locks.
    var indexes: Set<RelationName> = []
    /// What is lost by it.
    public var losses: [String] = []
    /// What of it was there before the revision; on the way back the rest is what the way forward made.
    public var lossesOfOthers: [String] = []
    /// What the way back writes over, whoever wrote it since, with what was saved.
    public var overwritten: [String] = []
    /// Whether the previous version of the application survives it.
    public var survival = Survival.survives
    /// Its part of expand and contract; nil when it changes nothing.
    public var phase: MigrationPhase?
    /// Whether it leaves nothing that a way back could take back.
    public var leavesNothing = false
    /// Why nobody can say what it does; nil when it is known.
    public var mystery: String?
    /// What a comment says that it is; nil when none does.
    public var declared: MigrationClass?

    /// A statement of which nothing is known yet.
    init(place: LintPlace, text: String) {
        self.place = place
        self.text = text
    }
}

/// What is known of one direction of a revision.
public struct DirectionReport: Sendable, Hashable {
    /// Its statements, in order.
    public var statements: [StatementReport]
    /// What the rules found, in the order of the text.
    public var findings: [LintFinding]
    /// The rules that comments allow for all of it, with their reasons.
    var allowed: [LintRule: String] = [:]
    /// What comments allow for both directions and what does not occur in this one.
    var idle: [LintFinding] = []
    /// What was there before and is dropped, replaced or renamed, and what is made or called so.
    var taken: Set<NewObjects.Key> = []
    var given: Set<NewObjects.Key> = []
    /// What the way back drops and the way forward did not make.
    var dropped: Set<NewObjects.Key> = []
    /// What the way forward saved before it changed it, and what the way back writes back of it.
    var saves: [SavedNeed] = []
    /// What the way back leaves otherwise than it was before the way forward, in words, and where.
    var differing: [String: LintPlace] = [:]
    var restored: [RelationName: RowsRestored] = [:]
}

/// What is known of one revision.
public struct RevisionReport: Sendable, Hashable {
    /// The tool's name for it.
    public var revision: String
    /// What people call it.
    public var name: String
    /// The file that people edit.
    public var file: String
    /// Its part of expand and contract; `expand` when it changes nothing.
    public var phase: MigrationPhase
    /// What going back means.
    public var kind: MigrationClass
    /// Why it has its class, in a clause.
    public var reason: String
    /// The way forward.
    public var up: DirectionReport
    /// The way back; nil when there is none.
    public var down: DirectionReport?
    /// Whether the way back does something.
    public var hasDown: Bool
    /// What going back would lose: what was written to what the revision added.
    public var downLosses: [String]
    /// The relations that were there before and that it locks or changes, sorted.
    public var tables: [String]
    /// What it did to a copy; nil when it was not run.
    public var measured: RevisionMeasurement? = nil

    /// What going back writes over, whoever wrote it since; nil when nothing.
    public var overwrittenByDown: String? {
        let found = down?.statements.flatMap(\.overwritten) ?? []
        return found.isEmpty ? nil : found.joined(separator: ", ")
    }

    /// The tables whose rows it changes.
    public var restoredTables: RestoredTables {
        var tables = RestoredTables()
        for save in up.saves where save.isForRows || save.isForMerge { tables.deleted.insert(save.table.name) }
        for statement in up.statements {
            for table in statement.updates {
                let columns = statement.updatedColumns
                let known = tables.updated[table.name]
                tables.updated[table.name] = columns.isEmpty || known == [] ? [] : columns.union(known ?? [])
            }
        }
        for table in down?.statements.flatMap(\.deletes) ?? [] { tables.deleted.insert(table.name) }
        return tables
    }

    /// Everything found, forward first.
    public var findings: [LintFinding] { up.findings + (down?.findings ?? []) }
}

/// What is known of a list of revisions.
public struct LintReport: Sendable, Hashable {
    /// The revisions that were judged, in order.
    public var revisions: [RevisionReport]
    /// What was found about all of them together.
    public var findings: [LintFinding]

    /// Everything found.
    public var allFindings: [LintFinding] { findings + revisions.flatMap(\.findings) }
    /// Whether nothing holds a release up: no error or block without a reason.
    public var isClean: Bool { !allFindings.contains(where: \.failsGate) }
}

extension RevisionReport {
    /// What a rollout's plan says of it; nil when its name is none that a plan can hold.
    public var planned: PlannedRevision? {
        RevisionID(revision).map {
            var planned = PlannedRevision(
                id: $0, name: name, kind: kind, phase: phase, hasDown: hasDown, tables: tables, reason: reason)
            planned.overwritten = overwrittenByDown
            return planned
        }
    }
}
