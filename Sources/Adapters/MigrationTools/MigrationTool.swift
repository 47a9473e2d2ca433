internal import SerinDatabase
internal import SerinMigrations
internal import SerinModel
internal import SerinProcesses

/// Which way a schema is moved.
enum Direction: String, Sendable, Hashable {
    case up
    case down
}

/// One step of one revision.
struct RevisionStep: Sendable, Hashable {
    var direction: Direction
    /// The revision that is applied or taken back.
    var revision: RevisionID
    /// Where the database is before: nowhere before the first revision, at several only between branches and what joins them.
    var before: [RevisionID]
    /// Where it is afterwards.
    var after: [RevisionID]
    /// The revision as it was judged; nil when nobody judged it.
    var judged: PlannedRevision?
    /// The schema that it has to leave; nil where nobody can tell.
    var wanted: SchemaSnapshot?
    /// Of a way back: what its revision had changed or deleted when it was applied, by table; empty where nobody counted.
    var changed: [TableActivity] = []

    init(direction: Direction, revision: RevisionID, before: [RevisionID], after: [RevisionID]) {
        (self.direction, self.revision) = (direction, revision)
        (self.before, self.after) = (before.sorted(), after.sorted())
    }

    /// One where no branches are.
    init(direction: Direction, revision: RevisionID, from: RevisionID?, to: RevisionID?) {
        self.init(direction: direction, revision: revision, before: from.map { [$0] } ?? [], after: to.map { [$0] } ?? [])
    }

    /// Where the database is before, several joined by a comma; nil is before the first revision.
    var from: RevisionID? { RevisionID(before.map(\.description).joined(separator: ",")) }
    /// Where it is afterwards.
    var to: RevisionID? { RevisionID(after.map(\.description).joined(separator: ",")) }
}

/// What a tool is given for one call.
struct ToolCall: Sendable {
    /// The database.
    var database: MigrationDatabase
    /// What the tool's sessions are to be called.
    var session: String
    /// The key by which the tool's programs are told from all others.
    var key: String
    /// How long a statement may wait for a lock.
    var lockTimeout: Duration
    /// How long a statement may run.
    var statementTimeout: Duration
    /// Serin's own environment, of which a tool sees little.
    var environment: [String: String]
    /// When the call must have ended.
    var end: TimeLimit
    /// Raised when it is to be given up.
    var stop: StopSignal

    /// The same for what has to be done at the end, whatever ended it: with half a minute of its own.
    func ending() throws(Failure) -> ToolCall {
        var call = self
        call.end = timeLimit(.seconds(30))
        call.stop = try StopSignal()
        return call
    }
}

/// Why a tool's call failed.
struct ToolFailure: Error, Sendable {
    enum Kind: Sendable {
        /// It did not get a lock in time, or was the victim of a deadlock: the same call may work later.
        case lock
        /// A statement was cancelled, by its time limit or from outside.
        case cancelled
        /// Anything else.
        case other
    }

    var kind: Kind
    var failure: Failure

    init(_ kind: Kind, _ failure: Failure) {
        self.kind = kind
        self.failure = failure
    }

    /// By the codes and words that Postgres and its drivers use for it; messages of the server may be in any language.
    init(_ failure: Failure, said text: String) {
        self.failure = failure
        let locks = ["55P03", "40P01", "LockNotAvailable", "DeadlockDetected", "lock timeout", "deadlock detected"]
        let cancellations = ["57014", "QueryCanceled", "canceling statement due to"]
        if locks.contains(where: { text.contains($0) }) {
            kind = .lock
        } else {
            kind = cancellations.contains { text.contains($0) } ? .cancelled : .other
        }
    }
}

/// A migration tool: it knows the revisions of a release and moves a schema from one to the next. Everything blocks the calling
/// thread. A call that failed says nothing about what it changed: the caller looks.
protocol MigrationTool: Sendable {
    /// What messages call it.
    var name: String { get }
    /// The tables in which the tool itself keeps where it is, without a schema: no part of what migrations make.
    var ownTables: [String] { get }
    /// By what its steps are told from those of other tools in the same database: where it keeps where the database is.
    var recordedAs: String { get }
    /// Whether Serin's own sessions run what it migrates, so that they have the settings with which a session starts.
    var usesOwnSessions: Bool { get }
    /// Whether its own transactions count the rows that a step changes, as they commit: a step that fails may have been counted in part.
    var countsChangedRows: Bool { get }

    /// Refuses files that are not there, by their kind alone.
    func checkFiles() throws(Failure)

    /// The revisions that the release brings.
    func graph(_ call: ToolCall) throws(Failure) -> RevisionGraph

    /// The revisions that the database is at.
    func current(_ call: ToolCall) throws(Failure) -> [RevisionID]

    /// Does one step.
    func run(_ step: RevisionStep, _ call: ToolCall) throws(ToolFailure)

    /// Makes an unfinished step's mark undone, where the tool leaves one: the schema was found to be as before the step.
    func forget(_ step: RevisionStep, _ call: ToolCall) throws(Failure)

    /// Whether a step that fails may leave a part of what it does to rows committed. A schema that it leaves is seen.
    func mayCommitInPart(_ step: RevisionStep, _ side: MigrationSide) -> Bool

    /// Why a step cannot be done, by its files alone; nil when nothing speaks against it.
    func objection(to step: RevisionStep) -> Failure?

    /// What the database is at already as SQL, in order, as far as that can be had quickly: it tells what the schema is.
    func applied(_ graph: RevisionGraph, at current: [RevisionID], _ call: ToolCall) -> [MigrationScript]

    /// One direction of a revision as SQL, as far as that can be had.
    func side(_ direction: Direction, of revision: RevisionGraph.Revision, _ call: ToolCall) -> MigrationSide
}

extension MigrationTool {
    func checkFiles() throws(Failure) {}
    func forget(_ step: RevisionStep, _ call: ToolCall) throws(Failure) {}
    func objection(to step: RevisionStep) -> Failure? { nil }
    func applied(_ graph: RevisionGraph, at current: [RevisionID], _ call: ToolCall) -> [MigrationScript] { [] }

    /// A revision as SQL, as far as that can be had.
    func script(_ revision: RevisionGraph.Revision, _ call: ToolCall) -> MigrationScript {
        MigrationScript(
            revision: revision.id.description, name: revision.name, up: side(.up, of: revision, call),
            down: side(.down, of: revision, call))
    }
}

extension MigrationTool {
    var usesOwnSessions: Bool { false }
    var countsChangedRows: Bool { false }
    var recordedAs: String { ownTables.sorted().joined(separator: " ") }
}
