internal import SerinDatabase
public import SerinMigrations
public import SerinModel
public import SerinPolicies
internal import SerinProcesses

/// The revisions of a release as SQL, for whom there is no database to ask: a pull request.
public struct OfflineScripts: Sendable {
    /// In the order in which they are applied.
    public var scripts: [MigrationScript]
    /// The revisions that nothing follows.
    public var heads: [String]

    /// Asks a tool. What it cannot say without a database is `unavailable`, with its words.
    ///
    /// - Parameters:
    ///   - applied: The revision up to which only the schema is asked for, at once, as some tools take a second for each revision; nil
    ///     asks for everything.
    ///   - environment: Serin's own variables.
    /// - Throws: `invalid` when the tool does not run, or `applied` is no revision.
    public static func read(
        _ policy: MigrationPolicy, after applied: String?, environment: [String: String], deadline: Duration
    ) async throws(Failure) -> OfflineScripts {
        let tool = DatabaseMigrations.tool(policy)
        let database = try MigrationDatabase(url: nowhere)
        return try await onOwnThread { (stop) throws(Failure) in
            let call = ToolCall(
                database: database, session: MigrationDatabase.ownSession, key: "", lockTimeout: policy.lockTimeout,
                statementTimeout: policy.statementTimeout, environment: environment, end: timeLimit(deadline), stop: stop)
            let graph = try tool.graph(call)
            if graph.revisions.isEmpty, case .folder(let path, _) = policy.tool {
                throw Failure(
                    .invalid, "\(path) holds no migration: there is nothing to judge", hint: "is this the folder of the release?")
            }
            var last: Int?
            if let applied {
                last = graph.revisions.firstIndex { $0.id.description == applied }
                guard last != nil else { throw Failure(.invalid, "\(tool.name) has no revision '\(applied)'") }
            }
            return OfflineScripts(
                scripts: graph.revisions.enumerated().map { index, revision in
                    guard index <= last ?? -1, tool.takesTime else { return tool.script(revision, call) }
                    // The last of them has all of it.
                    let all = index == last ? tool.applied(graph, at: [revision.id], call).first?.up : nil
                    return MigrationScript(
                        revision: revision.id.description, name: revision.name, up: all ?? .missing, down: .missing)
                }, heads: graph.heads.map(\.description))
        }
    }

    /// Where nobody listens: a tool that asks the database all the same fails at once.
    private static let nowhere = "postgresql://offline@127.0.0.1:1/offline"
}

extension MigrationTool {
    /// Whether asking for one revision starts a program.
    fileprivate var takesTime: Bool { !(self is FolderTool) }
}
