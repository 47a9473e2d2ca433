import FoundationEssentials
import SerinDatabase
import SerinMigrations
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testbed
import Testing

@testable import SerinMigrationTools

/// What surrounds an Alembic revision may change rows on a server, of which the SQL that is judged says nothing.
@Suite(.serialized, .server)
struct UnannouncedRowsTests {
    private func scene(hook: String) async throws -> MigrationScene {
        let server = try #require(MigrationServer.current)
        let scene = try await server.scene(.alembic, count: 2)
        try await scene.place(1)
        try await scene.sql("INSERT INTO orders SELECT n, 'a@example.net', 1 FROM generate_series(1, 3) n")
        try await scene.sql(
            "CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'one'), (2, 'two')")
        let path = scene.folder + "/env.py"
        let python = try String(contentsOfFile: path, encoding: .utf8)
        let open = "    with engine.connect() as connection:\n"
        try #require(python.contains(open))
        try python.replacing(open, with: open + hook).write(toFile: path, atomically: true, encoding: .utf8)
        return scene
    }

    /// Whenever Alembic is connected, not only for `upgrade`.
    private static let hook = """
                from sqlalchemy import text
                if "upgrade" in __import__("sys").argv:
                    connection.execute(text("UPDATE customers SET name = 'nobody'"))
                    connection.commit()

        """

    @Test func whatEnvPyChangesBesideARevisionEndsTheRunAndEveryNextOne() async throws {
        var scene = try await scene(hook: UnannouncedRowsTests.hook)
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .check && failed.failure.kind == .conflict, "\(failed)")
        #expect(failed.failure.message.contains("public.customers (2 changed, 0 deleted)"), "\(failed)")
        #expect(failed.report?.after.place == "0002")
        // A look says so, a run of its own, and one that finds what a controller did not live to note.
        let found = try await scene.migrations().inspect(withScripts: false, deadline: .minutes(1))
        #expect(found.unfinished == RevisionID("0002"))
        #expect(found.problems.contains { $0.message.contains("public.customers") }, "\(found.problems)")
        #expect(try await scene.failure { try await scene.up() }.failure.message.contains("public.customers"))
        try await scene.sql("UPDATE serin.migration_steps SET state = 'running', error = NULL")
        #expect(try await scene.failure { try await scene.up() }.failure.message.contains("public.customers"))
        #expect(try await scene.failure { try await scene.down(to: "0001") }.failure.message.contains("public.customers"))
        scene.options.acceptsSchema = true
        #expect(try await scene.up().after.place == "0002")
        scene.options.acceptsSchema = false
        #expect(try await scene.migrations().inspect(withScripts: false, deadline: .minutes(1)).problems.isEmpty)
    }

    @Test func inARolloutNobodyKnowsTheWayBackThen() async throws {
        let scene = try await scene(hook: UnannouncedRowsTests.hook)
        let release = ReleaseMigrations(try scene.migrations(), by: .serin) { found in
            found.pending.map { ClassifiedRevision(planned: PlannedRevision(id: $0.id, kind: .additive)) }
        }
        let service = try #require(ServiceName("shop"))
        let request = MigrationRequest(key: "rollout", service: service, version: "2")
        let plan = try await release.plan(deadline: .minutes(1))
        let target = try #require(RevisionID("0002"))
        let outcome = await release.up(
            request, from: RevisionID("0001"), to: target, judged: plan.pending, deadline: .minutes(1))
        guard case .failed(let failure, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(failure.message.contains("public.customers"))
        await #expect(throws: Failure.self) { try await release.settle(request, deadline: .minutes(1)) }
    }

    @Test func whatTheRevisionSaysAndWhatIsOnlyAddedIsCounted() async throws {
        let hook = UnannouncedRowsTests.hook.replacing(
            "UPDATE customers SET name = 'nobody'", with: "INSERT INTO customers VALUES (3, 'three') ON CONFLICT DO NOTHING")
        let scene = try await scene(hook: hook)
        try ToolKind.alembic.add(
            ToolKind.Revision(
                id: "0003", name: "cents", up: "UPDATE public.orders SET note = 'none' WHERE id < 3", down: "SELECT 1"),
            to: scene.folder)
        let report = try await scene.up()
        #expect(report.after.place == "0003" && report.notes.isEmpty, "\(report.notes)")
        let changed = try await scene.sql("SELECT changed FROM serin.migration_steps ORDER BY id DESC LIMIT 1")
        #expect(changed == "0 2 0 public.orders", "\(changed)")
    }

    @Test func aStepThatChangesNothingElseIsNotDoubted() async throws {
        let session = try MigrationDatabase(url: #require(MigrationServer.current).cluster.primary.url(database: "postgres"))
            .connect()
        _ = try session.rows(
            "CREATE TABLE public.parent (a int) PARTITION BY LIST (a); CREATE TABLE public.child PARTITION OF public.parent FOR VALUES IN (1)"
        )
        func objects(_ sql: String, to table: String) throws -> Bool {
            let step = RevisionStep(direction: .up, revision: try #require(RevisionID("1")), from: nil, to: RevisionID("1"))
            let text = MigrationText(file: "a.py", sql: Array(sql.utf8), wrapping: .separate, isGenerated: true)
            return try UnannouncedRows.objection(
                step, .text(text), counted: [TableActivity(table: table, inserted: 0, updated: 1, deleted: 0)], session,
                without: ["alembic_version"]) != nil
        }
        #expect(
            try objects("ALTER TABLE orders ADD COLUMN a int; UPDATE alembic_version SET version_num = '2'", to: "public.orders"))
        #expect(try objects("UPDATE orders SET a = 1", to: "public.customers"))
        #expect(try !objects("UPDATE public.\"Orders\" SET a = 1", to: "public.Orders"))
        #expect(try !objects("DELETE FROM old; ALTER TABLE old RENAME TO orders", to: "public.orders"))
        #expect(try !objects("UPDATE parent SET a = 1", to: "public.child"))
        #expect(try !objects("SELECT mend()", to: "public.orders"))
        #expect(try !objects("SELECT \"Mend\"()", to: "public.orders"))
        #expect(try objects("SELECT 1; SELECT count(*) FROM orders WHERE a IN (1, 2)", to: "public.orders"))
        #expect(try objects("INSERT INTO currencies SELECT code FROM orders", to: "public.orders"))
        #expect(try objects("INSERT INTO orders VALUES (1)", to: "public.orders"))
        #expect(try !objects("INSERT INTO public.orders VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", to: "public.orders"))
        #expect(try objects("UPDATE customers SET a = o.a FROM orders o", to: "public.orders"))
        #expect(try !objects("WITH x AS (DELETE FROM ONLY public.orders RETURNING a) SELECT a FROM x", to: "public.orders"))
        #expect(try !objects("MERGE INTO orders USING b ON true WHEN MATCHED THEN DELETE", to: "public.orders"))
        #expect(try !objects("CREATE TRIGGER t AFTER INSERT ON a EXECUTE FUNCTION f(); INSERT INTO a VALUES (1)", to: "public.b"))
    }
}
