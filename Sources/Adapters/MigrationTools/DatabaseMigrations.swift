public import SerinCatalogue
internal import SerinCrypto
internal import SerinDatabase
internal import SerinLocks
public import SerinModel
public import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// The migrations of one database by one policy: run under the lease that backups take too, and under an advisory lock of the
/// database itself.
public struct DatabaseMigrations: Sendable {
    /// What a policy does not say.
    public struct Options: Sendable {
        /// How many sessions may wait for a statement before it is cancelled and tried again later.
        public var mostQueued = 20
        /// How long the sessions of an earlier run may go on before they are ended.
        public var orphanPatience = Duration.seconds(30)
        /// Whether a schema that is not what the last step left is taken as it is.
        public var acceptsSchema = false
        /// Whether revisions whose files were changed after they were applied are taken as they are.
        public var acceptsEdited = false
        /// Whether a way back need not bring rows back, because they come from a backup.
        public var leavesRows = false
        /// The policy by which it is done, its service and digest, which is noted with every step; nil without one.
        public var governed: String?
        /// Told how far a run is, from any thread.
        public var progress: @Sendable (MigrationProgress) -> Void = { _ in }

        /// The defaults.
        public init() {}
    }

    let policy: MigrationPolicy
    let options: Options
    let url: @Sendable () throws(Failure) -> String
    private let environment: [String: String]
    private let lease: @Sendable () -> (keeper: LeaseKeeper, request: LeaseRequest)
    let tool: any MigrationTool

    /// - Parameters:
    ///   - url: Gives the connection string, each time it is needed; nothing of it is kept.
    ///   - environment: Serin's own variables, of which a tool sees only those that the policy names, `HOME` and `TMPDIR`.
    ///   - lease: The lease of the database, which its backups take too.
    public init(
        _ policy: MigrationPolicy, options: Options = Options(), environment: [String: String],
        url: @escaping @Sendable () throws(Failure) -> String,
        lease: @escaping @Sendable () -> (keeper: LeaseKeeper, request: LeaseRequest)
    ) {
        self.policy = policy
        self.options = options
        self.environment = environment
        self.url = url
        self.lease = lease
        tool = DatabaseMigrations.tool(policy)
    }

    /// What knows the revisions of a policy.
    static func tool(_ policy: MigrationPolicy) -> any MigrationTool {
        var passed: [String] = []
        if case .environment(let name)? = policy.database { passed.append(name) }
        switch policy.tool {
        case .alembic(let config, let program, let directory):
            return AlembicTool(config: config, program: program, directory: directory, passed: passed)
        case .folder(let path, let table): return FolderTool(path: path, table: table)
        case .commands(let commands): return CommandTool(commands: commands)
        }
    }

    /// Moves the schema forward to a revision; nil is the one head of the release.
    ///
    /// - Parameters:
    ///   - key: Names the run: its programs and sessions are known by it.
    ///   - origin: Where the database must be, or on the way from; nil asks nothing.
    ///   - judged: What may be run, as it was judged; nil asks nothing.
    public func up(
        key: String, from origin: RevisionID??, to target: RevisionID?, judged: [PlannedRevision]? = nil, by principal: Principal,
        deadline: Duration
    ) async throws(MigrationRunFailure) -> MigrationReport {
        try await run(key, principal, deadline) { (run) throws(MigrationRunFailure) in
            var wanted = target
            if wanted == nil { wanted = try run.head() }
            if let wanted { try run.up(from: origin, to: wanted, judged: judged) }
        }
    }

    /// Moves the schema back to a revision; nil is before the first.
    public func down(
        key: String, to target: RevisionID?, judged: [PlannedRevision]? = nil, by principal: Principal, deadline: Duration
    ) async throws(MigrationRunFailure) -> MigrationReport {
        try await run(key, principal, deadline) { (run) throws(MigrationRunFailure) in
            try run.down(to: target, judged: judged)
        }
    }

    /// Ends and cleans up what an earlier run left, and reads where the database is.
    public func settle(key: String, by principal: Principal, deadline: Duration) async throws(MigrationRunFailure)
        -> MigrationReport
    {
        try await run(key, principal, deadline) { (run) throws(MigrationRunFailure) in
            try run.settlePart(isIdle: true)
            try run.lookBack()
        }
    }

    /// Looks at everything and changes nothing.
    ///
    /// - Parameter withScripts: Whether every pending revision is asked for its SQL.
    public func inspect(withScripts: Bool = true, deadline: Duration) async throws(Failure) -> MigrationInspection {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (stop) throws(Failure) in
            try MigrationInspector(
                tool: tool, call: call(database, nil, stop, deadline), acceptsEdited: options.acceptsEdited
            ).inspect(withScripts: withScripts)
        }
    }

    /// Looks at what is taken back to get to a revision, nil being before the first, and changes nothing. What is pending of it is
    /// what is taken back, the newest first, each revision with its two directions exchanged.
    public func inspectBack(to target: RevisionID?, deadline: Duration) async throws(Failure) -> MigrationInspection {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (stop) throws(Failure) in
            try MigrationInspector(tool: tool, call: call(database, nil, stop, deadline)).inspectBack(to: target)
        }
    }

    /// Refuses what cannot be meant, before anything is touched: files that are not there, an address that cannot be read, a revision
    /// that the release does not know.
    ///
    /// - Throws: `invalid`, or what `url` throws.
    public func check(naming revision: RevisionID?) async throws(Failure) {
        let database = try MigrationDatabase(url: url())
        try tool.checkFiles()
        guard let revision else { return }
        try await onOwnThread { (stop) throws(Failure) in
            let graph = try tool.graph(call(database, nil, stop, .minutes(1)))
            guard graph.isComplete, !graph.revisions.contains(where: { $0.id == revision }) else { return }
            throw Failure(
                .invalid, "\(tool.name) has no revision '\(revision)'",
                hint:
                    "the last one is \(graph.revisions.last?.id.description ?? "none"); serin migrate plan lists what is pending")
        }
    }

    /// Reads where the database is and which heads the release has.
    public func state(deadline: Duration) async throws(Failure) -> SchemaState {
        let database = try MigrationDatabase(url: url())
        return try await onOwnThread { (stop) throws(Failure) in
            try MigrationInspector(tool: tool, call: call(database, nil, stop, deadline)).state()
        }
    }

    /// - Parameter key: Nil for a call that only looks.
    private func call(_ database: MigrationDatabase, _ key: String?, _ stop: StopSignal, _ deadline: Duration) -> ToolCall {
        ToolCall(
            database: database, session: key.map(DatabaseMigrations.session) ?? MigrationDatabase.ownSession, key: key ?? "",
            lockTimeout: policy.lockTimeout,
            statementTimeout: policy.statementTimeout, environment: environment, end: timeLimit(deadline), stop: stop)
    }

    /// What a run's sessions are called; the server keeps 63 bytes of a name.
    static func session(of key: String) -> String {
        let name = MigrationDatabase.toolPrefix + key
        guard name.utf8.count > 63 || !name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return name }
        return MigrationDatabase.toolPrefix + Hexadecimal.text(of: SHA256.digestOrEmpty(Array(key.utf8))).prefix(32)
    }

    /// Runs under lease and lock, once the programs of earlier runs have been ended.
    private func run(
        _ key: String, _ principal: Principal, _ deadline: Duration,
        _ body: @escaping @Sendable (inout MigrationRun) throws(MigrationRunFailure) -> Void
    ) async throws(MigrationRunFailure) -> MigrationReport {
        typealias Ending = Result<MigrationReport, MigrationRunFailure>
        // Once the work has ended, how it ended counts more than that the lease was given up before.
        let ended = Locked<Ending?>(nil)
        let ending: Ending
        do throws(Failure) {
            let database = try MigrationDatabase(url: url())
            let lease = lease()
            ending = try await lease.keeper.hold(lease.request) { (_) throws(Failure) -> Ending in
                let result = try await DatabaseLock(database: database).hold {
                    await underLock(database, key, principal, deadline, body)
                }
                ended.withLock { $0 = result }
                return result
            }
        } catch {
            guard let result = ended.withLock({ $0 }) else {
                throw MigrationRunFailure(stage: .preflight, failure: error, report: nil)
            }
            ending = result
        }
        return try ending.get()
    }

    private func underLock(
        _ database: MigrationDatabase, _ key: String, _ principal: Principal, _ deadline: Duration,
        _ body: @escaping @Sendable (inout MigrationRun) throws(MigrationRunFailure) -> Void
    ) async -> Result<MigrationReport, MigrationRunFailure> {
        let left = await ProgramLeftovers.end(variable: ToolProgram.mark, value: database.name)
        guard left.isEmpty else {
            let numbers = left.map(\.description).joined(separator: ", ")
            return .failure(
                MigrationRunFailure(
                    stage: .preflight,
                    failure: Failure(
                        .unknown, "the program of an earlier run still runs (process \(numbers)) and cannot be ended",
                        hint: "end it, and repeat"), report: nil))
        }
        var rules = MigrationRun.Rules(
            lockTimeout: policy.lockTimeout, statementTimeout: policy.statementTimeout, tries: policy.lockTries)
        rules.mostQueued = options.mostQueued
        rules.orphanPatience = options.orphanPatience
        rules.acceptsSchema = options.acceptsSchema
        rules.acceptsEdited = options.acceptsEdited
        rules.leavesRows = options.leavesRows
        rules.policy = options.governed
        let finalRules = rules
        do throws(Failure) {
            return try await onOwnThread { (stop) throws(Failure) -> Result<MigrationReport, MigrationRunFailure> in
                let call = call(database, key, stop, deadline)
                do throws(MigrationRunFailure) {
                    var run = try MigrationRun(
                        tool, finalRules, by: principal, call, chance: { Double.random(in: 0..<1) }, progress: options.progress)
                    try body(&run)
                    return .success(run.report)
                } catch { return .failure(error) }
            }
        } catch { return .failure(MigrationRunFailure(stage: .preflight, failure: error, report: nil)) }
    }
}
