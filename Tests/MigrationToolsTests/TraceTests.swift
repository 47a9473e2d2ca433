import FoundationEssentials
import SerinDatabase
import SerinMigrations
import SerinModel
import SerinPolicies
import SerinProcesses
import Testbed
import Testing

@testable import SerinMigrationTools

/// Revisions are run on a copy, and what the server did is read from the server.
@Suite(.serialized, .server) struct TraceTests {
    private func scene(_ kind: ToolKind, count: Int = 3) async throws -> MigrationScene {
        try await #require(MigrationServer.current).scene(kind, count: count)
    }

    private func revision(_ up: String, _ down: String, id: String = "0002") -> ToolKind.Revision {
        ToolKind.Revision(id: id, name: "next", up: up, down: down)
    }

    private func trace(
        _ scene: MigrationScene, _ beginning: MigrationTrace.Beginning = .nothing, previous: String? = nil,
        tool: MigrationPolicy.Tool? = nil
    ) async throws -> MigrationTrace.Report {
        let url = scene.server.url()
        let policy = MigrationPolicy(
            tool: try tool ?? scene.kind.tool(scene.folder, scene.server, scene.database), database: .environment("LIVE"),
            statementTimeout: .seconds(60))
        let trace = MigrationTrace(
            policy, environment: ["HOME": "/tmp", "LIVE": scene.url], beginning: beginning, previous: previous
        ) { () throws(Failure) in url }
        return try await trace.run(after: nil, deadline: .minutes(3))
    }

    private func live(_ scene: MigrationScene) -> MigrationTrace.Beginning {
        let url = scene.url
        return .schema { () throws(Failure) in url }
    }

    private func leftovers(_ scene: MigrationScene) async throws -> String {
        try await scene.server.sql("SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE 'serin_trace_%'")
    }

    @Test(arguments: [ToolKind.pairs, .marked]) func locksRewritesAndTheWayBackAreRead(kind: ToolKind) async throws {
        let scene = try await scene(kind)
        try kind.add(
            revision(
                "ALTER TABLE public.orders ADD COLUMN ref uuid NOT NULL DEFAULT gen_random_uuid()",
                "ALTER TABLE public.orders DROP COLUMN ref", id: "0004"), to: scene.folder)
        let report = try await trace(scene)
        #expect(report.stopped == nil)
        #expect(report.measurements.flatMap(\.revisions) == ["0001", "0002", "0003", "0004"])
        let orders = RelationName(schema: "public", "orders")
        #expect(
            report.measurements.map(\.up.strongest) == [
                [], [RelationLock(orders, .accessExclusive)], [RelationLock(orders, .shareUpdateExclusive)],
                [RelationLock(orders, .accessExclusive)],
            ])
        #expect(report.measurements.map(\.up.rewrites) == [[], [], [], [orders]])
        #expect(report.measurements.allSatisfy { $0.comesBack && $0.up.isWhole })
        #expect(report.measurements[1].up.changes == ["+ column public.orders.note text"])
        #expect(report.measurements[1].down?.losses == ["column public.orders.note"])
        #expect(try await leftovers(scene) == "")
        // Nothing was done to the database itself.
        #expect(try await scene.place() == "base")
    }

    @Test func whatIsAppliedTellsWhoeverHasNoDatabaseWhatTheSchemaIs() async throws {
        let scene = try await scene(.alembic, count: 2)
        try ToolKind.alembic.add(
            revision(
                "ALTER TABLE public.orders ALTER COLUMN amount TYPE numeric(14, 2)",
                "ALTER TABLE public.orders ALTER COLUMN amount TYPE numeric(12, 2)", id: "0003"), to: scene.folder)
        let policy = MigrationPolicy(
            tool: try scene.kind.tool(scene.folder, scene.server, scene.database), database: .environment("LIVE"))
        let found = try await OfflineScripts.read(
            policy, after: "0002", environment: ["HOME": "/tmp", "LIVE": scene.url], deadline: .minutes(2))
        #expect(found.scripts.map(\.revision) == ["0001", "0002", "0003"])
        #expect(found.scripts[0].up == .missing)
        guard case .text(let text) = found.scripts[1].up else {
            Issue.record("\(found.scripts[1].up)")
            return
        }
        let sql = String(decoding: text.sql, as: UTF8.self)
        #expect(sql.contains("CREATE TABLE ") && sql.contains(" note "), "\(sql)")
        guard case .text = found.scripts[2].up, case .text = found.scripts[2].down else {
            Issue.record("\(found.scripts[2])")
            return
        }
    }

    @Test func whatAlembicCannotGenerateIsMeasuredOnACopyOfTheLiveSchema() async throws {
        let scene = try await scene(.alembic, count: 1)
        try await scene.place(1)
        let before = try await scene.dump()
        let program = """
            from alembic import op
            import sqlalchemy as sa
            revision = "0002"
            down_revision = "0001"

            def upgrade():
                names = op.get_bind().execute(sa.text("SELECT relname FROM pg_class WHERE relname = 'orders'")).fetchall()
                for name in names:
                    op.add_column(name[0], sa.Column("note", sa.Text()), schema="public")

            def downgrade():
                op.drop_column("orders", "note", schema="public")
            """
        try program.write(toFile: scene.folder + "/versions/0002_python.py", atomically: true, encoding: .utf8)
        let report = try await trace(scene, live(scene))
        let measured = try #require(report.measurements.first)
        #expect(measured.revisions == ["0002"])
        #expect(measured.up.locks.contains(RelationLock(RelationName(schema: "public", "orders"), .accessExclusive)))
        #expect(measured.up.isWhole && measured.comesBack, "\(measured)")
        #expect(measured.classified.kind == .additive, "\(measured)")
        #expect(try await scene.dump() == before)
        #expect(try await scene.place() == "0001")
    }

    @Test func rowsDecideOnlyWhereTheCopyHasSome() async throws {
        let scene = try await scene(.pairs, count: 1)
        try await scene.up()
        try await scene.sql("INSERT INTO orders SELECT n, 'a', 1 FROM generate_series(1, 5) n")
        try ToolKind.pairs.add(
            revision("DO $$ BEGIN EXECUTE 'DELETE FROM public.orders WHERE id < 3'; END $$", "SELECT 1"), to: scene.folder)
        let schema = try #require(try await trace(scene, live(scene)).measurements.first)
        #expect(schema.classified.kind == .unclassified)
        #expect(schema.classified.reason.contains("rows of public.orders"), "\(schema.classified.reason)")
        let rows = try #require(try await trace(scene, .template(scene.database)).measurements.first)
        #expect(rows.up.activity == [TableActivity(table: "public.orders", inserted: 0, updated: 0, deleted: 2)])
        #expect(rows.classified.kind == .destructive)
        #expect(try await scene.sql("SELECT count(*) FROM orders") == "5")
    }

    @Test func aWayBackThatLeavesSomethingOrFailsIsNamed() async throws {
        let scene = try await scene(.pairs, count: 1)
        try ToolKind.pairs.add(
            revision(
                "ALTER TABLE public.orders ADD COLUMN a int; CREATE TABLE IF NOT EXISTS public.extra (n int)",
                "ALTER TABLE public.orders DROP COLUMN a"), to: scene.folder)
        try ToolKind.pairs.add(revision("ALTER TABLE public.orders ADD COLUMN b int", "SELECT 1/0", id: "0003"), to: scene.folder)
        try ToolKind.pairs.add(revision("SELECT 1/0", "", id: "0004"), to: scene.folder)
        let report = try await trace(scene)
        #expect(report.measurements.count == 4)
        #expect(report.measurements[1].remains == ["+ column public.extra.n integer", "+ table public.extra r p"])
        #expect(!report.measurements[1].comesBack)
        #expect(report.measurements[2].down?.failure?.contains("division by zero") == true)
        #expect(report.measurements[3].up.failure?.contains("division by zero") == true)
        #expect(report.stopped == "0004 fails on the copy")
        #expect(try await leftovers(scene) == "")
    }

    @Test func aRevisionThatCannotBeAppliedAgainIsMeasuredAndNamed() async throws {
        let scene = try await scene(.pairs, count: 1)
        try ToolKind.pairs.add(
            revision(
                "ALTER TABLE public.orders ADD COLUMN a int, ADD COLUMN b int", "ALTER TABLE public.orders DROP COLUMN a"),
            to: scene.folder)
        try ToolKind.pairs.add(revision("SELECT 1", "SELECT 1", id: "0003"), to: scene.folder)
        let traced = try await trace(scene)
        #expect(traced.stopped?.contains("0002 cannot be applied again") == true, "\(String(describing: traced.stopped))")
        #expect(traced.measurements.count == 2)
        let text = MigrationText(file: "db/0002.sql", sql: [], wrapping: .oneQuery)
        let script = MigrationScript(revision: "0002", name: "next", up: .text(text), down: .text(text))
        var report = Lint().report([ReadRevision(script: script, up: StatementList(statements: []), down: nil)])
        report.take(traced.measurements)
        #expect(
            report.allFindings.contains { $0.rule == .noWayBack && $0.failsGate && $0.message.contains("already exists") },
            "\(report.allFindings)")
    }

    @Test func aToolThatWouldWorkOnAnotherDatabaseIsNotRun() async throws {
        let scene = try await scene(.commands, count: 2)
        let hard = ["/bin/sh", "-c", "PGDATABASE=\(scene.database) exec /bin/sh \(scene.folder)/tool.sh \"$@\"", "tool"]
        _ = try scene.kind.tool(scene.folder, scene.server, scene.database)
        let elsewhere = MigrationPolicy.Commands(
            current: hard + ["current"], heads: hard + ["heads"], up: hard + ["up", "{{revision}}"],
            down: hard + ["down", "{{revision}}"], sql: nil)
        let failed = await #expect(throws: Failure.self) { try await trace(scene, tool: .commands(elsewhere)) }
        #expect(failed?.message.contains("did not look at the copy") == true, "\(String(describing: failed))")
        #expect(try await scene.sql("SELECT to_regclass('orders')") == "")
        // The same tool that takes what it is told is run, all that is pending at once.
        let measured = try #require(try await trace(scene).measurements.first)
        #expect(measured.revisions == ["0002"] && measured.comesBack, "\(measured)")
        #expect(try await leftovers(scene) == "")
    }

    @Test func whatAKilledTraceLeftIsDroppedAndWhatIsInUseIsNot() async throws {
        let scene = try await scene(.pairs, count: 1)
        for name in ["serin_trace_left", "serin_trace_used"] { try await scene.server.sql("CREATE DATABASE \(name)") }
        let user = try scene.server.session(
            "SELECT pg_advisory_lock(x'53657274'::int, hashtext('serin_trace_used')); \\! sleep 600\n")
        defer { user.stop() }
        try await waitUntil("it is in use") {
            try await scene.server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "1"
        }
        #expect(try await trace(scene).measurements.count == 1)
        #expect(try await leftovers(scene) == "serin_trace_used")
        user.stop()
        try await scene.server.sql("DROP DATABASE serin_trace_used")
    }

    @Test func thePreviousVersionIsTriedOnTheNewSchema() async throws {
        let scene = try await scene(.pairs, count: 2)
        let check = scene.folder + "/check.sh"
        try "#!/bin/sh\npsql -X -q -v ON_ERROR_STOP=1 -c 'SELECT note FROM public.orders'\n".write(
            toFile: check, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: check)
        let found = try await trace(scene, previous: check).measurements
        #expect(found.first?.previous?.contains("note") == true, "\(String(describing: found.first?.previous))")
        #expect(found.last?.previous == "")
    }
}
