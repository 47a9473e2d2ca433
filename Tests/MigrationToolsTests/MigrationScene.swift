import SerinCatalogue
import SerinCrypto
import SerinDatabase
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

@testable import SerinMigrationTools

/// A server that the tests of a suite share, each in a database of its own.
struct MigrationServer: Sendable {
    @TaskLocal static var current: MigrationServer?

    let cluster: PostgresCluster
    let scratch: Scratch
    private let numbers = Locked(0)

    /// A new database, and the tool's revisions in a new folder.
    func scene(_ kind: ToolKind, count: Int = ToolKind.revisions.count) async throws -> MigrationScene {
        let number = numbers.withLock { number in
            number += 1
            return number
        }
        let database = "shop\(number)"
        try await cluster.primary.sql("CREATE DATABASE \(database)")
        let folder = scratch.file("\(kind.rawValue)-\(number)")
        try kind.prepare(folder, count: count)
        return MigrationScene(kind: kind, server: cluster.primary, database: database, folder: folder)
    }
}

/// Starts the server once for a suite.
struct WithMigrationServer: SuiteTrait, TestScoping {
    var isRecursive: Bool { false }
    var withReplica = false

    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let scratch = try Scratch("serin-migrations")
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: withReplica, settings: ["max_connections": "80"])
        defer { cluster.stop() }
        try await MigrationServer.$current.withValue(MigrationServer(cluster: cluster, scratch: scratch)) { try await body() }
    }
}

/// One database and one tool.
struct MigrationScene: Sendable {
    let kind: ToolKind
    let server: PostgresServer
    let database: String
    let folder: String
    let catalogue = MemoryCatalogue(digest: SHA256.digestOrEmpty)
    var options = DatabaseMigrations.Options()
    var lockTimeout = Duration.milliseconds(300)
    var lockTries = 40

    var url: String { server.url(database: database) }

    func migrations(_ pid: Int32 = 1) throws -> DatabaseMigrations {
        let policy = MigrationPolicy(
            tool: try kind.tool(folder, server, database), lockTimeout: lockTimeout, statementTimeout: .seconds(60),
            lockTries: lockTries, deadline: .minutes(2))
        return migrations(for: policy, pid)
    }

    /// The same of another policy.
    func migrations(for policy: MigrationPolicy, _ pid: Int32 = 1) -> DatabaseMigrations {
        let url = url
        let catalogue = catalogue
        let target = database
        return DatabaseMigrations(policy, options: options, environment: ["HOME": "/tmp"], url: { () throws(Failure) in url }) {
            let now = Instant(millisecondsSince1970: 1_790_000_000_000)
            let keeper = LeaseKeeper(catalogue: catalogue, now: { now }, length: .seconds(60))
            let holder = LeaseHolder(place: "here", pid: pid, startTicks: 0, purpose: "test")
            return (keeper, LeaseRequest(target: target, holder: holder, by: .serin, at: now))
        }
    }

    @discardableResult func sql(_ text: String) async throws -> String { try await server.sql(text, database: database) }

    @discardableResult func up(to target: String? = nil, key: String = "test") async throws -> MigrationReport {
        try await migrations().up(
            key: key, from: nil, to: target.flatMap { RevisionID($0) }, by: .serin, deadline: .minutes(2))
    }

    /// Brings a new database to where `up` would bring it. Alembic is not started for that, as it takes a second a revision: for
    /// tests of something else than its upgrades. Nothing is recorded then, as where a team begins to use Serin later.
    func place(_ count: Int) async throws {
        guard kind == .alembic else {
            try await up()
            return
        }
        let revisions = ToolKind.revisions.prefix(count)
        for revision in revisions { try await sql(revision.up) }
        try await sql("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        try await sql("INSERT INTO alembic_version VALUES ('\(revisions.last?.id ?? "")')")
    }

    @discardableResult func down(to target: String?, key: String = "test") async throws -> MigrationReport {
        try await migrations().down(key: key, to: target.flatMap { RevisionID($0) }, by: .serin, deadline: .minutes(2))
    }

    /// What is thrown by a run that is expected to fail.
    func failure(_ body: () async throws -> MigrationReport) async throws -> MigrationRunFailure {
        do {
            let report = try await body()
            throw Failure(.invalid, "it was expected to fail, but: \(report.words)")
        } catch let failure as MigrationRunFailure { return failure }
    }

    func place() async throws -> String { try await migrations().state(deadline: .minutes(1)).place }

    /// The schema as pg_dump writes it, without Serin's own and the tool's tables.
    func dump() async throws -> String {
        let tables = ["alembic_version", "schema_migrations"].flatMap { ["-T", "public.\($0)"] }
        // Each dump has a key of its own, by which psql knows it.
        return try await server.dump(database: database, ["--schema-only", "-N", "serin"] + tables)
            .split(separator: "\n").filter { !$0.hasPrefix("\\restrict") && !$0.hasPrefix("\\unrestrict") }.joined(
                separator: "\n")
    }

    func sessions() async throws -> Int {
        Int(
            try await sql(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'serin-mig-%' AND datname = '\(database)'"))
            ?? -1
    }

    func invalidIndexes() async throws -> String { try await sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") }
}
