internal import SerinDatabase
internal import SerinLocks
public import SerinMigrations
public import SerinModel
public import SerinPolicies
internal import SerinProcesses

/// Runs the pending revisions of a release in a scratch database and measures what they do there.
public struct MigrationTrace: Sendable {
    /// What the scratch database begins as.
    public enum Beginning: Sendable {
        /// Empty: all revisions are run, from the first one on.
        case nothing
        /// The schema of the database at this address, without its rows. It is only read.
        case schema(of: @Sendable () throws(Failure) -> String)
        /// A copy, rows included, of this database of the same server, such as one that was restored from a backup.
        case template(String)
        /// This database of the same server itself, made for the trace alone: it is renamed and dropped like any other scratch database.
        case restored(String)
    }

    /// What a trace came to.
    public struct Report: Sendable {
        /// Where the copy was when it began.
        public var place: [RevisionID]
        /// What was measured, in the order in which revisions are applied.
        public var measurements: [RevisionMeasurement]
        /// Why it ended before the last revision; nil when it did not.
        public var stopped: String?
        /// What people should know.
        public var notes: [String]
    }

    private let policy: MigrationPolicy
    private let environment: [String: String]
    private let beginning: Beginning
    private let server: @Sendable () throws(Failure) -> String
    private let previous: String?

    /// - Parameters:
    ///   - environment: Serin's own variables. What of them is an address of Postgres and would be passed to the tool is the scratch
    ///     database's instead.
    ///   - server: Gives the address of a server where databases may be made; nothing of it is kept.
    ///   - previous: A program that tries the previous version of the application on the new schema.
    public init(
        _ policy: MigrationPolicy, environment: [String: String], beginning: Beginning, previous: String? = nil,
        server: @escaping @Sendable () throws(Failure) -> String
    ) {
        self.policy = policy
        self.environment = environment
        self.beginning = beginning
        self.previous = previous
        self.server = server
    }

    /// Runs it. The scratch database is dropped at the end, whatever the end is; what a killed trace left, by the next one.
    ///
    /// - Parameters:
    ///   - applied: The revision up to which nothing is measured, only applied; nil measures everything.
    ///   - progress: Told where it runs, each revision before it is run, and what is left; from another thread.
    /// - Throws: When nothing could be measured: no database can be made, the schema cannot be copied, the tool works on another one.
    public func run(
        after applied: String?, deadline: Duration, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws(Failure) -> Report {
        let server = try MigrationDatabase(url: server())
        let origin: ScratchDatabase.Origin =
            switch beginning {
            case .nothing, .schema: .empty
            case .template(let name): .template(name)
            case .restored(let name): .taken(name)
            }
        return try await onOwnThread { (stop) throws(Failure) in
            let tool = DatabaseMigrations.tool(policy)
            let scratch = try ScratchDatabase(on: server, origin)
            progress("on \(scratch.database.name), made for this and dropped at the end; it begins \(beginning.words)")
            let (name, isOver) = (scratch.name, Locked(false))
            defer { isOver.withLock { $0 = true } }
            onNewThread {
                while !isOver.withLock({ $0 }) {
                    if stop.isRaised { ScratchDatabase.endSessions(in: name, on: server) }
                    rest(.milliseconds(100))
                }
            }
            let result = Result { () throws(Failure) in
                try work(tool, scratch, call(scratch.database, stop, deadline), applied, progress)
            }
            do throws(Failure) { try scratch.remove() } catch {
                guard case .success(var report) = result else { return try result.get() }
                report.notes.append("\(scratch.database.name) could not be dropped, the next trace does it: \(error.message)")
                return report
            }
            progress("dropped \(scratch.database.name): nothing is left of it")
            return try result.get()
        }
    }

    private func call(_ database: MigrationDatabase, _ stop: StopSignal, _ deadline: Duration) -> ToolCall {
        var own = environment
        for name in passedNames {
            // Whatever leads to a database leads to the scratch one.
            if let value = own[name], MigrationDatabase.isAddress(value) { own[name] = database.given }
        }
        return ToolCall(
            database: database, session: "serin-trace", key: "serin-trace", lockTimeout: .minutes(1),
            statementTimeout: policy.statementTimeout, environment: own, end: timeLimit(deadline), stop: stop)
    }

    private var passedNames: [String] {
        var names: [String] = []
        if case .commands(let commands) = policy.tool { names = commands.environment }
        if case .environment(let name)? = policy.database { names.append(name) }
        return names
    }

    /// Where the copy is, by the tool, which must have looked there: one that finds its database by itself would be run on the live one.
    private func place(_ tool: any MigrationTool, _ scratch: ScratchDatabase, _ call: ToolCall) throws(Failure) -> [RevisionID] {
        try scratch.awaitSilence()
        let before = try scratch.sessionsSoFar()
        let current = try tool.current(call)
        guard !(tool is FolderTool) else { return current }
        try scratch.awaitSilence()
        guard try scratch.sessionsSoFar() > before else {
            throw Failure(
                .denied, "\(tool.name) did not look at the copy that it was told of: it would be run on another database",
                hint: "let it take the address from DATABASE_URL or the variables of libpq; on a server of version 14 or newer")
        }
        return current
    }

    private func work(
        _ tool: any MigrationTool, _ scratch: ScratchDatabase, _ call: ToolCall, _ applied: String?,
        _ progress: @Sendable (String) -> Void
    ) throws(Failure) -> Report {
        var notes: [String] = []
        if case .schema(let address) = beginning {
            let source = try MigrationDatabase(url: address())
            let major = try SchemaCopy(source: source, target: scratch.database, ownTables: tool.ownTables, call: call).run()
            if major != scratch.major { notes.append("the copy runs on version \(scratch.major), the database on \(major)") }
        }
        let current = try place(tool, scratch, call)
        let graph = try tool.graph(call)
        var report = Report(place: current, measurements: [], notes: notes)
        try graph.check(current)
        guard let head = try graph.oneHead() else { return report }
        let pending = try graph.pending(from: current, to: head)
        let tracer = RevisionTracer(tool: tool, graph: graph, call: call, scratch: scratch, previous: previous)
        var isAsked = applied == nil || !pending.contains { $0.id.description == applied }
        var place = current.first
        for revision in pending {
            progress(revision.id.description)
            do throws(Failure) {
                if isAsked {
                    let (measured, stopped) = try tracer.trace(revision, from: place, names: [revision.id.description])
                    report.measurements.append(measured)
                    report.stopped = stopped
                } else {
                    try tracer.apply(revision, from: place)
                }
            } catch {
                guard error.kind == .conflict else { throw error }
                report.stopped = error.message
            }
            // What was ended with the trace says nothing about the revision.
            guard !call.stop.isRaised, call.end.left > .zero else {
                throw Failure(
                    .transient, "the trace was ended at \(revision.id), and measured nothing of it",
                    hint: "only the scratch database was written to")
            }
            guard report.stopped == nil else { return report }
            if revision.id.description == applied { isAsked = true }
            place = revision.id
        }
        return report
    }
}

extension MigrationTrace.Beginning {
    fileprivate var words: String {
        switch self {
        case .nothing: "with nothing"
        case .schema: "with the schema of the database that was named, without its rows"
        case .template(let name): "as a copy of \(name), rows included"
        case .restored(let name): "as \(name), which was restored for this"
        }
    }
}
