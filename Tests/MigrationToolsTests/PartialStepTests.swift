import Foundation
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testbed
import Testing

@testable import SerinMigrationTools

/// A revision that may destroy data, is not one transaction, and fails: nobody knows what of it is committed.
@Suite(.serialized, .server) struct PartialStepTests {
    private static let deletion = "DELETE FROM public.orders WHERE id < 3"

    /// Three orders, and a revision behind them.
    private func scene(_ kind: ToolKind, up: String, down: String = "SELECT 1", isAlone: Bool = false) async throws
        -> MigrationScene
    {
        let scene = try await #require(MigrationServer.current).scene(kind, count: 1)
        try await scene.up()
        try await scene.sql("INSERT INTO orders SELECT n, 'a', n FROM generate_series(1, 3) n")
        try scene.kind.add(
            ToolKind.Revision(id: "0002", name: "gone", up: up, down: down, isAlone: isAlone), to: scene.folder)
        return scene
    }

    private func release(_ scene: MigrationScene, _ kind: MigrationClass = .destructive) throws -> ReleaseMigrations {
        ReleaseMigrations(try scene.migrations(), by: .serin) { found in
            found.pending.map { ClassifiedRevision(planned: PlannedRevision(id: $0.id, kind: kind, tables: ["orders"])) }
        }
    }

    private func request() throws -> MigrationRequest {
        MigrationRequest(key: "rollout", service: try #require(ServiceName("shop")), version: "2")
    }

    /// What a rollout's migration comes to, and what is then read.
    private func run(_ scene: MigrationScene, _ kind: MigrationClass = .destructive) async throws -> (
        MigrationOutcome, SchemaReport
    ) {
        let release = try release(scene, kind)
        let plan = try await release.plan(deadline: .minutes(1))
        let outcome = await release.up(
            try request(), from: RevisionID("0001"), to: try #require(RevisionID("0002")), judged: plan.pending,
            deadline: .minutes(1))
        return (outcome, try await release.settle(try request(), deadline: .minutes(1)))
    }

    private static let failing: [(ToolKind, String, Bool)] = [
        (.pairs, "BEGIN;\n\(deletion);\nCOMMIT;\nSELECT 1/0", false), (.marked, "\(deletion);\nSELECT 1/0", true),
        (.alembic, deletion + "\"\"\")\n        op.execute(\"\"\"SELECT 1/0", true),
        (.commands, "\(deletion);\nSELECT 1/0", false),
    ]

    @Test(arguments: failing) func whatMayBeCommittedIsToldAndNotRunAgainUntilItIsAccepted(
        kind: ToolKind, up: String, isAlone: Bool
    ) async throws {
        var scene = try await scene(kind, up: up, isAlone: isAlone)
        let (outcome, report) = try await run(scene)
        guard case .failed(let failure, let state) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(failure.message.contains("a part of it may be committed, and rows may be gone"), "\(failure)")
        #expect(state?.place == "0001" && report.state.place == "0001")
        let steps = try #require(report.steps)
        #expect(steps.applied == [] && steps.partial == ["0002"].compactMap(RevisionID.init) && steps.difference == [])
        if kind == .pairs { #expect(try await scene.sql("SELECT version, dirty FROM schema_migrations") == "2|t") }
        // A look says so, and neither way is gone.
        let found = try await scene.migrations().inspect(withScripts: false, deadline: .minutes(1))
        #expect(found.unfinished == RevisionID("0002") && found.state.place == "0001")
        #expect(found.problems.contains { $0.message.contains("rows may be gone") }, "\(found.problems)")
        let again = try await scene.failure { try await scene.up() }
        #expect(again.stage == .preflight && again.failure.message.contains("rows may be gone"), "\(again)")
        try scene.kind.add(
            ToolKind.Revision(id: "0002", name: "gone", up: Self.deletion, down: "SELECT 1"), to: scene.folder)
        scene.options.acceptsSchema = true
        #expect(try await scene.up().after.place == "0002")
        scene.options.acceptsSchema = false
        #expect(try await scene.migrations().inspect(withScripts: false, deadline: .minutes(1)).problems.isEmpty)
    }

    @Test func aReleaseWithoutWhatWasHalfDoneGoesOnOnceThatIsAccepted() async throws {
        var scene = try await scene(.pairs, up: "BEGIN;\n\(Self.deletion);\nCOMMIT;\nSELECT 1/0")
        _ = try await run(scene)
        #expect(try await scene.sql("SELECT version, dirty FROM schema_migrations") == "2|t")
        for file in try FileManager.default.contentsOfDirectory(atPath: scene.folder) where file.hasPrefix("0002") {
            try FileManager.default.removeItem(atPath: "\(scene.folder)/\(file)")
        }
        // Nothing is to be done, so nothing is in the way.
        #expect(try await scene.up().after.place == "0001")
        #expect(try await scene.sql("SELECT version, dirty FROM schema_migrations") == "2|t")
        scene.options.acceptsSchema = true
        #expect(try await scene.up().after.place == "0001")
        scene.options.acceptsSchema = false
        #expect(try await scene.sql("SELECT version, dirty FROM schema_migrations") == "1|f")
        #expect(try await scene.up().after.place == "0001")
    }

    @Test(arguments: [ToolKind.pairs, .alembic]) func whatIsOneTransactionOrDestroysNothingIsTriedAgain(kind: ToolKind)
        async throws
    {
        let scene = try await scene(kind, up: "\(Self.deletion); SELECT 1/0")
        let (outcome, report) = try await run(scene)
        guard case .failed(let failure, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(!failure.message.contains("may be committed"), "\(failure)")
        #expect(report.steps == NotedSteps(applied: [], difference: []))
        #expect(try await scene.sql("SELECT count(*) FROM orders") == "3")
        try scene.kind.add(
            ToolKind.Revision(
                id: "0002", name: "gone", up: "CREATE INDEX CONCURRENTLY i ON public.orders (email)", down: "SELECT 1",
                isAlone: true), to: scene.folder)
        let (_, done) = try await run(scene, .additive)
        #expect(done.steps == NotedSteps(applied: ["0002"].compactMap(RevisionID.init), difference: []))
    }

    /// Its first transaction would be run twice.
    @Test func whatMayBeCommittedIsNotTriedAgainForALock() async throws {
        var scene = try await scene(
            .pairs, up: "BEGIN; UPDATE public.orders SET amount = amount * 10; COMMIT; LOCK TABLE public.other")
        try await scene.sql("CREATE TABLE other (id int)")
        scene.options.acceptsSchema = true
        let holder = try scene.server.session("BEGIN; LOCK TABLE other; \\! sleep 600\n", database: scene.database)
        defer { holder.stop() }
        try await waitUntil("the table is locked", within: .seconds(60)) {
            try await scene.sql("SELECT count(*) FROM pg_locks WHERE relation = 'other'::regclass AND granted") == "1"
        }
        let release = try release(scene)
        let plan = try await release.plan(deadline: .minutes(1))
        let outcome = await release.up(
            try request(), from: RevisionID("0001"), to: try #require(RevisionID("0002")), judged: plan.pending,
            deadline: .minutes(1))
        guard case .failed(let failure, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(failure.message.contains("rows may be gone"), "\(failure)")
        #expect(try await scene.sql("SELECT sum(amount) FROM orders") == "60.00")
    }

    @Test func aSchemaThatOthersMovedIsComparedWithWhatWasNotedThere() async throws {
        let scene = try await scene(
            .pairs, up: "ALTER TABLE public.orders ADD COLUMN note text", down: "ALTER TABLE public.orders DROP COLUMN note")
        let (_, applied) = try await run(scene, .additive)
        #expect(applied.steps?.applied == ["0002"].compactMap(RevisionID.init) && applied.steps?.difference == [])
        try await scene.sql("UPDATE schema_migrations SET version = 1")
        let release = try release(scene, .additive)
        let moved = try #require(try await release.settle(try request(), deadline: .minutes(1)).steps)
        #expect(moved.difference == ["+ column public.orders.note text"], "\(moved)")
        #expect(moved.takenBack.isEmpty)
        let found = try await scene.migrations().inspect(withScripts: false, deadline: .minutes(1))
        #expect(found.moved == "0002" && found.drift == ["+ column public.orders.note text"], "\(found)")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.failure.message.contains("is not what 0001 left"), "\(failed)")
        var accepting = scene
        accepting.options.acceptsSchema = true
        try await accepting.up(to: "0001")
        #expect(try await scene.migrations().inspect(withScripts: false, deadline: .minutes(1)).moved == nil)
        try await scene.sql("DELETE FROM serin.migration_steps WHERE id = (SELECT max(id) FROM serin.migration_steps)")
        try await scene.sql("UPDATE schema_migrations SET version = 2")
        try await scene.down(to: "0001", key: "another")
        let back = try #require(try await release.settle(try request(), deadline: .minutes(1)).steps)
        #expect(back.applied == back.takenBack && back.applied?.count == 1 && back.difference == [])
    }
}
