public import SerinModel

/// How a migration ended, up or down.
public enum MigrationOutcome: Sendable, Hashable, Codable {
    /// The database was read again and is where it should be; `note` says what was seen on the way (times, retries), `own` what it
    /// wrote itself, `counted` how much each table had been written to at its end; nil when nobody counted.
    case done(SchemaState, note: String, own: [TableActivity]? = nil, counted: [TableActivity]? = nil)
    /// It failed; nothing of it is still running. Where the database is now, when it could be read.
    case failed(Failure, SchemaState?)
    /// Nobody knows: it may still be running, or the database cannot be read.
    case unknown(Failure)
}

extension MigrationOutcome {
    /// Where the database was afterwards; nil when nobody could tell.
    var place: SchemaState? {
        switch self {
        case .done(let state, _, _, _): state
        case .failed(_, let state): state
        case .unknown: nil
        }
    }
}

/// What became of a look at the schema.
public enum SchemaInspection: Sendable, Hashable, Codable {
    /// Nothing is running, and this was read.
    case found(SchemaReport)
    /// Something may still be running, or the schema cannot be read.
    case unknown(Failure)
}

/// One direction of a migration, and where it leads.
public enum MigrationStep: Sendable, Hashable, Codable {
    /// Forward, from where the plan was made; nil is before the first revision. Only these revisions, as they were judged.
    case up(from: RevisionID?, to: RevisionID, judged: [PlannedRevision])
    /// Back to where it was; nil is before the first revision. Only these revisions, as they were judged.
    case down(to: RevisionID?, judged: [PlannedRevision])

    /// `up from 0001 to 0003`.
    public var words: String {
        switch self {
        case .up(let from, let target, _): "up from \(from?.description ?? "base") to \(target)"
        case .down(let target, _): "down to \(target?.description ?? "base")"
        }
    }
}

/// What was read of the schema once nothing was running any more.
public struct SchemaReport: Sendable, Hashable, Codable {
    /// Where the database is.
    public var state: SchemaState
    /// How much each table was written to; nil when nobody could tell.
    public var activity: [TableActivity]?
    /// What was found and settled on the way, for people.
    public var notes: [String]
    /// What Serin noted in the database of this rollout's steps; nil where an earlier version read the schema.
    public var steps: NotedSteps?

    /// A report.
    public init(state: SchemaState, activity: [TableActivity]? = nil, notes: [String] = [], steps: NotedSteps? = nil) {
        self.state = state
        self.activity = activity?.sorted()
        self.notes = notes
        self.steps = steps
    }
}

/// What Serin noted in a database of the steps that it took there for one rollout. Where the tool says that the database is may be
/// set by anybody; this says how it came there.
public struct NotedSteps: Sendable, Hashable, Codable {
    /// The revisions that were applied, whatever became of them since; nil when nothing is noted of the rollout.
    public var applied: [RevisionID]?
    /// Those of them that Serin has taken back, by whoever's command.
    public var takenBack: [RevisionID]
    /// The revisions that were begun and not done, and of which a part may be committed.
    public var partial: [RevisionID]
    /// How the schema differs from the one that was noted of the place where the database is now; nil when nobody can compare them.
    public var difference: [String]?

    /// Notes.
    public init(
        applied: [RevisionID]? = nil, takenBack: [RevisionID] = [], partial: [RevisionID] = [], difference: [String]? = nil
    ) {
        self.applied = applied
        self.takenBack = takenBack
        self.partial = partial
        self.difference = difference
    }
}
