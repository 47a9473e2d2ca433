import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinCompression
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import SerinTransport
import Testbed

/// A real Postgres with a shop in it, a folder to store to, a catalogue and keys.
struct BackupScene {
    let scratch: Scratch
    let cluster: PostgresCluster
    let catalogue: MemoryCatalogue
    let keyFile: KeyFile
    let store: String
    var settings: PipelineSettings

    static let principal = Principal.uid(1000)
    static let holder = LeaseHolder(place: "here", pid: getpid(), startTicks: 0, purpose: "test")
    static let now: @Sendable () -> Instant = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(millisecondsSince1970: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    var server: PostgresServer { cluster.primary }

    /// - Parameter server: Further settings of the server.
    static func start(isEmpty: Bool = false, server settings: [String: String] = [:]) async throws -> BackupScene {
        let scratch = try Scratch("serin-backup")
        let folder = try await SceneTemplates.folder(isEmpty ? "empty" : "shop") { folder in
            let cluster = try await PostgresCluster.start(in: folder, withReplica: false)
            defer { cluster.stop() }
            let server = cluster.primary
            try await server.sql(
                "CREATE ROLE keeper LOGIN; GRANT pg_read_all_data TO keeper; CREATE ROLE restorer LOGIN CREATEDB")
            try await server.sql("GRANT pg_signal_backend TO restorer")
            try await server.sql("CREATE DATABASE shop OWNER restorer")
            if !isEmpty {
                try await run(
                    server, "pgbench", ["--initialize", "--quiet", "--scale=1", "--foreign-keys", "shop"], .seconds(60))
                try await server.sql(shop, user: "restorer", database: "shop")
            }
            // What begins on a copy has little to recover.
            try await server.sql("CHECKPOINT")
            return server.data
        }
        return try BackupScene(
            scratch, try await PostgresCluster.start(in: scratch, withReplica: false, settings: settings, template: folder))
    }

    private init(_ scratch: Scratch, _ cluster: PostgresCluster) throws {
        self.scratch = scratch
        self.cluster = cluster
        catalogue = MemoryCatalogue(digest: SHA256.digestOrEmpty, isAlive: { _ in nil })
        keyFile = try KeyFile(path: try scratch.write("key", "0123456789 a passphrase of a team\n", mode: 0o600))
        store = scratch.file("store")
        settings = PipelineSettings(
            project: "shop", target: try BackupScene.require("shop"), places: [],
            envelope: EnvelopeSettings(.enc1, level: 1, iterations: 10_000), key: .keyFile(keyFile),
            manifestKey: BackupScene.secret("the key of all the manifests"), workFolder: scratch.file("work"))
        settings.places = [BackupPlace("local", try folder(store))]
    }

    private static func secret(_ text: String) -> Secret {
        var bytes = Array(text.utf8)
        return Secret(wiping: &bytes)
    }

    private static func require(_ text: String) throws -> ServiceName {
        guard let name = ServiceName(text) else { throw Failure(.invalid, "no name") }
        return name
    }

    /// Everything that is hard to carry over: quotes, backslashes, line ends, numbers, nulls, identity, a function with dollars.
    private static let shop = #"""
        CREATE EXTENSION pgcrypto;
        CREATE SCHEMA app;
        CREATE TABLE app.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text, total numeric(12,2),
            raw bytea, made timestamptz DEFAULT now(), half numeric GENERATED ALWAYS AS (total / 2) STORED);
        CREATE TABLE app.lines (order_id bigint REFERENCES app.orders, line int, PRIMARY KEY (order_id, line));
        INSERT INTO app.orders (note, total, raw) SELECT CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN E'a\\b\t"q" ''s'' \n\\.' ELSE
            repeat(md5(n::text), 8) END, n / 3.0, gen_random_bytes(16) FROM generate_series(1, 20000) n;
        INSERT INTO app.lines SELECT id, 1 FROM app.orders;
        CREATE TABLE app."odd ""name" (id int PRIMARY KEY, "select" text);
        INSERT INTO app."odd ""name" VALUES (1, '\! echo');
        CREATE FUNCTION app.shout(text) RETURNS boolean LANGUAGE sql AS $f$ SELECT $1 ~ '\d;' $f$;
        CREATE INDEX ON app.orders (total);
        CREATE TABLE app.alembic_version (version_num text PRIMARY KEY);
        INSERT INTO app.alembic_version VALUES ('c0ffee');
        """#

    func folder(_ path: String, quota: String? = nil) throws -> any BackupDestination {
        var settings = ["path": path]
        settings["quota"] = quota
        return try BackupDestinations.make(
            DriverSettings(driver: "folder", settings: settings),
            environment: DestinationEnvironment(transport: try Transport(), now: BackupScene.now) { _ throws(Failure) in
                throw Failure(.invalid, "no secret is asked for")
            })
    }

    func source(
        _ format: PostgresDumpSource.Format = .custom, user: String = "keeper", toolFolders: [String] = [],
        deadline: Duration = .seconds(60), _ change: (inout PostgresDumpSource) -> Void = { _ in }
    ) throws -> PostgresLogical {
        var dump = PostgresDumpSource(url: .environment("UNUSED"), format: format, jobs: 2)
        change(&dump)
        return try PostgresLogical(
            dump, url: server.url(user: user, database: "shop"),
            environment: SourceEnvironment(toolFolders: toolFolders, scratch: scratch.file("work"), deadline: deadline))
    }

    func pipeline(_ settings: PipelineSettings? = nil, progress: @escaping @Sendable (JobProgress) -> Void = { _ in })
        -> BackupPipeline
    {
        BackupPipeline(
            settings ?? self.settings, catalogue: catalogue,
            holder: BackupScene.holder, now: BackupScene.now,
            progress: progress)
    }

    func backUp(_ source: any SerinBackups.BackupSource, _ settings: PipelineSettings? = nil) async throws -> BackupRunResult {
        try await pipeline(settings).run(source, BackupRequest(by: BackupScene.principal, purpose: "test"))
    }

    /// What came of a run that must fail.
    func failure(_ source: any SerinBackups.BackupSource, _ settings: PipelineSettings? = nil) async -> BackupRunFailure? {
        do throws(BackupRunFailure) {
            _ = try await pipeline(settings).run(source, BackupRequest(by: BackupScene.principal))
            return nil
        } catch { return error }
    }

    var verifier: BackupVerifier {
        BackupVerifier(settings, identities: [.keyFile(keyFile)], catalogue: catalogue, now: BackupScene.now)
    }

    func restoreSettings(_ policy: RestorePolicy = RestorePolicy(), user: String = "restorer") -> RestoreSettings {
        RestoreSettings(url: server.url(user: user, database: "shop"), policy: policy, scratch: scratch.file("work"))
    }

    /// Has two roles, as docs/RUNBOOKS.md makes them: one that restores and owns nothing, one that owns the live database and swaps.
    func separate() async throws {
        try await server.sql("CREATE ROLE swapper LOGIN CREATEDB; GRANT restorer, pg_signal_backend TO swapper")
        try await server.sql("REVOKE pg_signal_backend FROM restorer; ALTER DATABASE shop OWNER TO swapper")
    }

    /// The settings of a plan with two roles.
    func apart(_ policy: RestorePolicy = RestorePolicy()) -> RestoreSettings {
        var settings = restoreSettings(policy)
        settings.swapURL = server.url(user: "swapper", database: "shop")
        return settings
    }

    func restore(
        _ id: BackupID, _ source: any SerinBackups.BackupSource, _ settings: RestoreSettings? = nil, tables: [String] = [],
        scope: RestorePermit.Scope = .swap
    ) async throws -> RestoredDatabase {
        try await BackupRestore(
            self.settings, settings ?? restoreSettings(), identities: [.keyFile(keyFile)], catalogue: catalogue,
            holder: BackupScene.holder, now: BackupScene.now
        ).restore(id, source: source, tables: tables, permit: permit(id, scope))
    }

    func swap(_ settings: RestoreSettings) -> DatabaseSwap {
        DatabaseSwap(settings, target: "shop", catalogue: catalogue, holder: BackupScene.holder, now: BackupScene.now)
    }

    /// What restores and swaps left, at a later time when one is given.
    func sides(_ settings: RestoreSettings? = nil) -> SideDatabases {
        SideDatabases(settings ?? restoreSettings(), target: "shop", catalogue: catalogue, now: BackupScene.now)
    }

    func permit(_ id: BackupID, _ scope: RestorePermit.Scope = .swap) -> RestorePermit {
        RestorePermit(backup: id, database: "shop", scope: scope, by: BackupScene.principal)
    }

    func record(_ id: BackupID) async throws -> BackupRecord? { try await catalogue.state()[id] }

    /// A digest of every row of every table.
    func content(_ database: String) async throws -> [String: String] {
        let tables = try await server.sql(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'app') ORDER BY 1",
            database: database)
        var content: [String: String] = [:]
        for table in tables.split(separator: "\n") {
            content[String(table)] = try await server.sql(
                "SELECT count(*) || ' ' || md5(string_agg(t::text, '' ORDER BY t::text)) FROM \(table) t", database: database)
        }
        return content
    }

    /// Runs a program of Postgres as `restorer`.
    @discardableResult func run(_ tool: String, _ arguments: [String], deadline: Duration = .seconds(60)) async throws -> String {
        try await BackupScene.run(server, tool, arguments, deadline)
    }

    @discardableResult private static func run(
        _ server: PostgresServer, _ tool: String, _ arguments: [String], _ deadline: Duration
    ) async throws -> String {
        let done = try await Program(
            tool, arguments,
            environment: [
                "PATH": "/usr/bin:/bin:/usr/lib/postgresql/15/bin", "PGHOST": "127.0.0.1", "PGPORT": "\(server.port)",
                "PGUSER": "restorer",
            ],
            deadline: deadline
        ).run()
        guard done.termination == .exited(0) else { throw Failure(.invalid, "\(tool): \(done.termination): \(done.text)") }
        return done.text
    }

    /// The files below a folder, without the folders.
    func files(_ path: String) -> [String] {
        let found = (try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []
        return found.filter { name in
            var status = stat()
            return lstat("\(path)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        }.sorted()
    }

    /// Nothing unfinished is left anywhere.
    var leftovers: [String] {
        files(settings.workFolder) + files(store).filter { $0.split(separator: "/").contains { $0.hasPrefix(".") } }
    }

    func end() {
        cluster.stop()
        scratch.remove()
    }
}

/// A source whose bytes something happens to, once so many have passed. The rest is the other source.
struct MeddledSource: SerinBackups.BackupSource {
    let inner: any SerinBackups.BackupSource
    let after: Int
    let meddle: @Sendable () -> Void

    var kind: BackupKind { inner.kind }
    var name: String { inner.name }

    func probe(stop: StopSignal) throws(Failure) -> SourceProbe { try inner.probe(stop: stop) }

    func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        var passed = 0
        var isDone = false
        return try inner.produce(
            to: { (bytes) throws(Failure) in
                passed += bytes.count
                if passed > after, !isDone {
                    isDone = true
                    meddle()
                }
                try sink(bytes)
            }, stop: stop)
    }

    func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        try inner.examination(of: tool, stop: stop)
    }

    func restoration(of product: SourceProduct, into target: RestoreTarget, stop: StopSignal) throws(Failure) -> any PlainConsumer
    {
        try inner.restoration(of: product, into: target, stop: stop)
    }
}

/// A source that gives a text, judged and restored like a dump in text form, and counts the bytes that reach a consumer.
struct TextSource: SerinBackups.BackupSource {
    let text: String
    let inner: any SerinBackups.BackupSource
    let seen = Locked(0)
    var examines = false
    /// What is known of where it comes from.
    var server: SourceFacts?

    var kind: BackupKind { .logical }
    var name: String { "a text" }

    func probe(stop: StopSignal) throws(Failure) -> SourceProbe { SourceProbe(tool: tool) }

    private var tool: ToolFacts { ToolFacts(name: "pg_dump", version: "15.20", format: "plain") }

    func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        try Array(text.utf8).span.withUnsafeBytes { (raw) throws(Failure) in try sink(raw) }
        return SourceProduct(tool: tool, server: server)
    }

    func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        examines ? try inner.examination(of: tool, stop: stop) : Counter(seen)
    }

    func restoration(of product: SourceProduct, into target: RestoreTarget, stop: StopSignal) throws(Failure) -> any PlainConsumer
    {
        try inner.restoration(of: product, into: target, stop: stop)
    }

    final class Counter: PlainConsumer {
        let seen: Locked<Int>
        init(_ seen: Locked<Int>) { self.seen = seen }
        func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) { seen.withLock { $0 += bytes.count } }
        func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
            ConsumerFindings(checks: [BackupCheck("counted", passed: true)])
        }
    }
}
