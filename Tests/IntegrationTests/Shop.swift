import FoundationEssentials
import Glibc
import SerinLocks
import SerinModel
import SerinPorts
import SerinProcesses
import SerinSQLite
import Testbed
import Testing

@testable import SerinCommandLine

/// A primary with a replica that the rollouts of a suite share, each in a database of its own.
struct ShopServer: SuiteTrait, TestScoping {
    @TaskLocal static var current: PostgresCluster?

    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let scratch = try Scratch("serin-shop")
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch)
        defer { cluster.stop() }
        try await ShopServer.with(cluster) { try await body() }
    }

    /// Makes a server the one of the shops that the body plays.
    static func with(_ cluster: PostgresCluster, _ body: () async throws -> Void) async throws {
        // Who migrates and backs up is no superuser; who writes may only that.
        try await cluster.primary.sql(
            "CREATE ROLE keeper LOGIN CREATEDB; GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO keeper; "
                + "CREATE ROLE app LOGIN")
        try await ShopServer.$current.withValue(cluster) { try await body() }
    }
}

extension Trait where Self == ShopServer {
    /// Postgres around the suite.
    static var shopServer: ShopServer { ShopServer() }
}

/// A database under load whose schema a release moves.
struct Shop: Sendable {
    /// What knows the revisions.
    enum Tool: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case folder
        case alembic

        var testDescription: String { rawValue }
    }

    let scratch: Scratch
    let cluster: PostgresCluster
    let database: String
    let tool: Tool
    private let writer = Locked<(next: Int, acknowledged: [Int], isOver: Bool)>((1, [], false))

    /// Opens it, plays a scene with its policy, and takes it down.
    ///
    /// - Parameter rules: Further lines of `migrations:`, from what stands around.
    static func play(
        _ tool: Tool = .folder, more: String = "", _ rules: (Shop) throws -> [String] = { _ in [] },
        _ body: (Shop, Scene) async throws -> Void
    ) async throws {
        let cluster = try #require(ShopServer.current)
        let scratch = try Scratch("serin-shop-of")
        defer { scratch.remove() }
        let database = "shop_\(UInt64.random(in: 0 ... .max))"
        try await cluster.primary.sql("CREATE DATABASE \(database) OWNER keeper")
        let shop = Shop(scratch: scratch, cluster: cluster, database: database, tool: tool)
        try shop.prepare()
        var policy = PolicyText()
        policy.times["rollback_deadline"] = "60s"
        // A tool in Python is asked several times, also while the machine has other things to do.
        policy.times["preflight_deadline"] = "120s"
        // Nothing here is about samples or a balancer that come late, which they do on a machine that has much to do.
        policy.staleAfter = "60s"
        policy.times.merge(["loss_for": "60s", "raise_deadline": "60s", "halt_deadline": "60s"]) { $1 }
        policy.more = try shop.policy(try rules(shop)) + more
        let environment = ["SHOP": shop.url, "SERIN_PROGRAM": try Scene.program()]
        try await Scene.play(Stage.services[0], policy, environment: environment, state: scratch) { scene in
            let begun = try await scene.serin("migrate", "up", scene.policy, "--without-backup", "an empty database")
            #expect(begun.termination == .exited(0), "\(begun.text)")
            try await shop.sql(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app; "
                    + "INSERT INTO orders SELECT -n, 'old', n FROM generate_series(1, 100) n", user: "keeper")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await shop.write() }
                defer { shop.writer.withLock { $0.isOver = true } }
                try await body(shop, scene)
            }
        }
    }

    var url: String { cluster.primary.url(user: "keeper", database: database) }
    /// How many orders were taken so far.
    var acknowledged: Int { taken.count }
    /// The orders that were taken so far.
    var taken: [Int] { writer.withLock { $0.acknowledged } }

    @discardableResult func sql(_ text: String, user: String = "postgres") async throws -> String {
        try await cluster.primary.sql(text, user: user, database: database)
    }

    /// Takes orders one after another, as any version of the application does. One that is refused is not taken.
    private func write() async {
        while let number = writer.withLock({ $0.isOver ? nil : $0.next }) {
            writer.withLock { $0.next += 1 }
            // While writes are fenced, or the table is locked for long, an order is refused.
            let taken = try? await sql("INSERT INTO orders (id, email, amount) VALUES (\(number), 'new', 1)", user: "app")
            if taken != nil { writer.withLock { $0.acknowledged.append(number) } }
            // sleeps: the pause between two orders of a slow shop
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Adds a revision behind all others.
    func add(_ id: String, up: String, down: String) throws {
        switch tool {
        case .folder:
            try scratch.write("migrations/\(id).up.sql", up)
            try scratch.write("migrations/\(id).down.sql", down)
        case .alembic:
            let text = """
                from alembic import op

                revision = "\(id)"
                down_revision = "0001"


                def upgrade():
                    op.execute(\"""\(up)\""")


                def downgrade():
                    op.execute(\"""\(down)\""")

                """
            try scratch.write("migrations/versions/\(id).py", text)
        }
    }

    /// Others agree to the migration that was asked for last.
    func agree(_ scene: Scene, by people: UInt32...) async throws {
        let store = try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: scene.state))
        let (subject, now) = (ChangeSubject(schemaOf: "shop"), SystemClock().now())
        let request = try await ChangeApprovals(of: subject, in: store, at: now).open.last?.request
        for person in people {
            _ = try await ChangeApprovals.approve(
                subject, code: try #require(request).code, reason: "release 41", by: .uid(person), in: store, at: now)
        }
        await store.close()
    }

    /// The processes that a migration of this database started, by the mark in their environment.
    func programs() -> [Int32] {
        let mark = "SERIN_MIGRATION=127.0.0.1:\(cluster.primary.port)/\(database)"
        // Processes end while they are looked at.
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.filter { pid in
            let variables = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
            return String(decoding: variables, as: UTF8.self).split(separator: "\0").contains { $0 == mark }
        }
    }

    /// The schema as pg_dump writes it, without Serin's own.
    func dump() async throws -> String {
        try await cluster.primary.dump(database: database, ["--schema-only", "-N", "serin"]).split(separator: "\n")
            .filter { !$0.hasPrefix("\\restrict") && !$0.hasPrefix("\\unrestrict") }.joined(separator: "\n")
    }

    /// Expects every order that was taken, and the old ones, in both servers.
    func expectEveryOrder(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        writer.withLock { $0.isOver = true }
        let wanted = writer.withLock { $0.acknowledged }
        let count = "SELECT count(*) FROM orders"
        // Others may have been taken without our hearing of it: the statement waited for longer than its client.
        let list = wanted.map { "\($0)" }.joined(separator: ",")
        let found = try await sql(count + " WHERE id IN (\(list))")
        #expect(!wanted.isEmpty && found == "\(wanted.count)", sourceLocation: sourceLocation)
        #expect(try await sql(count + " WHERE id < 0") == "100", sourceLocation: sourceLocation)
        let replica = try #require(cluster.replica)
        try await waitUntil("the same orders on the replica") {
            try await replica.sql(count, database: database) == (try await sql(count))
        }
    }

    private func prepare() throws {
        let orders = "CREATE TABLE orders (id bigint PRIMARY KEY, email text NOT NULL, amount numeric(12, 2) NOT NULL)"
        let files = FileManager.default
        switch tool {
        case .folder:
            try files.createDirectory(atPath: scratch.file("migrations"), withIntermediateDirectories: true)
            try add("0001_orders", up: orders, down: "DROP TABLE orders")
        case .alembic:
            let fixture = #filePath.replacing("IntegrationTests/Shop.swift", with: "MigrationToolsTests/Fixtures/alembic")
            try files.copyItem(atPath: fixture, toPath: scratch.file("migrations"))
            for file in ["0002_note.py", "0003_email.py"] {
                try files.removeItem(atPath: scratch.file("migrations/versions/\(file)"))
            }
        }
        let key = try scratch.write("key", "0123456789 a passphrase of a team\n", mode: 0o600)
        try scratch.write(
            "plan.yaml",
            """
            version: 1
            target: shop
            source: {postgres: {url_env: SHOP}}
            destinations: {local: {folder: {path: \(scratch.file("store"))}}}
            encryption: {key_file: \(key)}

            """)
    }

    /// The tool's path is relative: it begins at the policy's folder.
    private func policy(_ rules: [String]) throws -> String {
        let tool =
            switch tool {
            case .folder: "sql: {folder: migrations}"
            case .alembic: "alembic: {config: migrations/alembic.ini, program: \(try toolPath("alembic"))}"
            }
        let lines = ["url_env: SHOP", tool] + rules
        return """
            deploy: {run: [/bin/true]}
            rollback: {run: [/bin/true]}
            backup: {before: migrations, plan: \(scratch.file("plan.yaml"))}
            migrations:
              \(lines.joined(separator: "\n  "))

            """
    }

    /// A probe that fails while the schema is at a revision.
    func probe(failingAt revision: Int) throws -> String {
        let script = try scratch.write(
            "probe.sh",
            """
            #!/bin/sh
            [ "$(psql -X -q -A -t '\(url)' -c 'SELECT version FROM schema_migrations')" != \(revision) ]

            """, mode: 0o755)
        return "probes: [{run: [\(script)]}]"
    }

    /// Which of some orders are in the database.
    func found(_ orders: [Int]) async throws -> Set<Int> {
        let list = orders.map { "\($0)" }.joined(separator: ",")
        return Set(try await sql("SELECT id FROM orders WHERE id IN (\(list))").split(separator: "\n").compactMap { Int($0) })
    }

    /// Lets writes be fenced by taking the right to write, and data be fetched from the backup beside the live database.
    ///
    /// - Parameter restoring: How it is restored; nil: as a salvage.
    func destructive(approvals: Int, restoring: String? = nil) throws -> [String] {
        let fence = try scratch.write(
            "fence.sh",
            """
            #!/bin/sh
            ask() { psql -X -q -A -t '\(url)' -c "$1"; }
            mayWrite="SELECT has_table_privilege('app', 'orders', 'INSERT')"
            case $1 in
            close) ask 'REVOKE INSERT, UPDATE, DELETE ON orders FROM app' ;;
            open) ask 'GRANT INSERT, UPDATE, DELETE ON orders TO app' ;;
            isClosed) [ "$(ask "$mayWrite")" = f ] ;;
            isOpen) [ "$(ask "$mayWrite")" = t ] ;;
            esac

            """, mode: 0o755)
        let restore = try scratch.write(
            "restore.sh",
            """
            #!/bin/sh
            set -eu
            echo "$SERIN_RESTORE $SERIN_REVISION $SERIN_TABLES" >'\(scratch.file("order"))'
            \(try restoring ?? salvage)

            """, mode: 0o755)
        return [
            "destructive: allow", "approvals: \(approvals)",
            "maintenance: {on: {run: [\(fence), close], check: {run: [\(fence), isClosed]}}, "
                + "off: {run: [\(fence), open], check: {run: [\(fence), isOpen]}}}",
            "restore: {run: [\(restore)], check: {run: [/usr/bin/true]}}",
        ]
    }

    /// A salvage that takes the schema back and then fails, the first time.
    var failingOnce: String {
        get throws {
            try salvage.replacing(
                "side=$(", with: "[ -e '\(scratch.file("tried"))' ] || { touch '\(scratch.file("tried"))'; exit 3; }\nside=$(")
        }
    }

    private var salvage: String {
        get throws {
            """
            [ ! -e '\(scratch.file("lazy"))' ] || { rm '\(scratch.file("lazy"))'; exit 0; }
            export SHOP='\(url)' SERIN_STATE='\(scratch.file("state"))'
            serin='\(try Scene.program())'
            "$serin" migrate down --sql '\(scratch.file("migrations"))' --url-env SHOP --to "$SERIN_REVISION" \\
                --restore-of "$SERIN_SERVICE"
            side=$("$serin" backup restore '\(scratch.file("plan.yaml"))' "$SERIN_BACKUP" -o json |
                sed -n 's/.*"database":"\\([^"]*\\)".*/\\1/p')
            psql -X -q '\(cluster.primary.url(user: "keeper", database: ""))'"$side" -c 'COPY orders TO STDOUT' |
                psql -X -q -1 "$SHOP" -c 'CREATE TEMP TABLE saved (LIKE orders)' -c 'COPY saved FROM STDIN' \\
                    -c 'INSERT INTO orders SELECT * FROM saved ON CONFLICT DO NOTHING'
            """
        }
    }
}
