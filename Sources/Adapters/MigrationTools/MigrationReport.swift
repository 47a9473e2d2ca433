public import SerinModel
public import SerinRollouts

/// What a run of migrations came to.
public struct MigrationReport: Sendable, Hashable {
    /// One step of it.
    public struct Step: Sendable, Hashable {
        /// The revision that was applied or taken back.
        public var revision: RevisionID
        /// Where the database was before; nil is before the first revision.
        public var from: RevisionID?
        /// Where it was afterwards.
        public var to: RevisionID?
        /// How often it was tried.
        public var tries: Int
        /// How long it took, all tries and pauses together.
        public var time: Duration
        /// How long others waited for it.
        public var blocking: BlockingReport
    }

    /// Where the database was.
    public var before: SchemaState
    /// Where it is.
    public var after: SchemaState
    /// The steps that were taken.
    public var steps: [Step] = []
    /// What was found and settled on the way, for people.
    public var notes: [String] = []
    /// The digests of the schema before and after; nil when nothing had to be done.
    public var schemaBefore: String?
    /// The digest of the schema after.
    public var schemaAfter: String?
    /// What was written to each table meanwhile; nil when nothing had to be done.
    public var written: [TableActivity]?
    /// How much each table had been written to at the end; nil when nothing had to be done.
    public var counted: [TableActivity]?

    /// What was noted of the steps of this run and of earlier ones of the same key; nil where it was not asked.
    public var noted: NotedSteps?

    /// How long others waited for all of it.
    public var blocking: BlockingReport { steps.reduce(BlockingReport()) { $0 + $1.blocking } }

    /// In one line: `2 revisions in 1.2 s, others waited 0 ms`.
    public var words: String {
        guard !steps.isEmpty else { return (["nothing to do"] + notes).joined(separator: "; ") }
        let time = steps.reduce(Duration.zero) { $0 + $1.time }
        let retries = steps.reduce(0) { $0 + $1.tries - 1 }
        let all = blocking
        var text = "\(steps.count) revision\(steps.count == 1 ? "" : "s") in \(time.milliseconds) ms"
        if retries > 0 { text += ", \(retries) retr\(retries == 1 ? "y" : "ies")" }
        text += ", others waited \(all.total.milliseconds) ms"
        if all.mostQueued > 0 { text += " (\(all.mostQueued) at once, the longest \(all.longest.milliseconds) ms)" }
        return ([text] + notes).joined(separator: "; ")
    }
}

/// Why a run of migrations failed.
public struct MigrationRunFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// How far it had come.
    public enum Stage: String, Sendable, Hashable {
        /// Nothing was changed: another run, a backup, the revisions or the schema are in the way.
        case preflight
        /// A revision failed; it changed nothing, or what it left was taken back.
        case revision
        /// A revision ended, but the database is not as it should be.
        case check
    }

    /// How far it had come.
    public var stage: Stage
    /// Why.
    public var failure: Failure
    /// What was done before; its end is where the database is now, as far as that could be read.
    public var report: MigrationReport?

    /// A failure.
    public init(stage: Stage, failure: Failure, report: MigrationReport?) {
        self.stage = stage
        self.failure = failure
        self.report = report
    }

    /// The words.
    public var description: String { failure.description }
}

/// Where a run is.
public struct MigrationProgress: Sendable, Hashable {
    /// The revision.
    public var revision: RevisionID
    /// Which step it is, from 1, and of how many.
    public var number: Int
    /// How many steps there are.
    public var count: Int
    /// What happens: `running`, `building index: scanning table`, `waiting 2s for another try`.
    public var phase: String
    /// How much of the phase is done, and of how much; 0 when nobody can tell.
    public var done: Int64 = 0
    /// The whole of the phase.
    public var total: Int64 = 0
}
