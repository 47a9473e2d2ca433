public import SerinModel
public import SerinRollouts

/// What a migration is told about whom it is done for.
public struct MigrationRequest: Sendable, Hashable {
    /// The key under which a repetition, and what a former controller left running, is recognised. It names the tool's process
    /// (`SERIN_IDEMPOTENCY_KEY`) and its sessions (`application_name`).
    public var key: String
    /// The service.
    public var service: ServiceName
    /// The version that brings the migrations.
    public var version: String

    /// A request.
    public init(key: String, service: ServiceName, version: String) {
        self.key = key
        self.service = service
        self.version = version
    }
}

/// What would keep a migration from being done, and what it would do.
public struct MigrationPreflight: Sendable, Hashable {
    /// What would be done; nil when nobody can tell, which is then one of the problems.
    public var plan: MigrationPlan?
    /// What refuses the rollout; empty when the migrations can be done and taken back.
    public var problems: [Failure]
    /// What people should know and which refuses nothing.
    public var warnings: [String]

    /// A report.
    public init(plan: MigrationPlan?, problems: [Failure] = [], warnings: [String] = []) {
        self.plan = plan
        self.problems = problems
        self.warnings = warnings
    }
}

/// Moves the schema of one service's database: forward before the canary, and back.
///
/// Built for one policy, whose tool, timeouts and retries it knows. Every call ends by its deadline. A failure of the class `unknown`
/// says that the database may have changed or may still be changing; any other says what it says. Calls that change something hold
/// the database's lease (shared with backups) and its session advisory lock while they do.
public protocol Migrations: Sendable {
    /// Reads where the database is and which heads the release has. Changes nothing.
    func state(deadline: Duration) async throws(Failure) -> SchemaState

    /// Lists what is not applied yet, in order, each with its class. Changes nothing.
    ///
    /// - Throws: `invalid` for several heads, a revision that the release does not know, or a tool that cannot say.
    func plan(deadline: Duration) async throws(Failure) -> MigrationPlan

    /// Tries everything that a migration will need: the tool, the database, rights, locks, room, and that its way back exists; lints
    /// and dry-runs it. Changes nothing.
    func preflight(_ request: MigrationRequest, deadline: Duration) async -> MigrationPreflight

    /// Applies what lies between two revisions: nothing more, nothing less, and only as it was judged. Whatever differs from that is
    /// a `conflict`, and nothing is run.
    ///
    /// Already at `target`: done, without a change. Anywhere but at `from` or on the way from it to `target`: `conflict`, without a
    /// change. It is done only when the database was read again and is at `target`. When its task is cancelled it ends what is under
    /// way, the session in the database included, and says how that ended.
    func up(
        _ request: MigrationRequest, from: RevisionID?, to target: RevisionID, judged: [PlannedRevision], deadline: Duration
    ) async -> MigrationOutcome

    /// Takes back everything above a revision, as it was judged; nil: everything. Done only when the database was read again and is
    /// there; already there: done, without a change.
    func down(
        _ request: MigrationRequest, to target: RevisionID?, judged: [PlannedRevision], deadline: Duration
    ) async -> MigrationOutcome

    /// Ends what a former controller, or a call that ran into its deadline, left running under the request's key (programs, then their
    /// sessions in the database), cleans up what they left (invalid indexes), and reads where the database is.
    ///
    /// - Throws: `unknown` when something still runs or the state cannot be read.
    func settle(_ request: MigrationRequest, deadline: Duration) async throws(Failure) -> SchemaReport
}
