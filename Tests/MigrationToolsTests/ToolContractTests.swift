import Glibc
import SerinLocks
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

@testable import SerinMigrationTools

extension Trait where Self == WithMigrationServer {
    /// A server around the suite.
    static var server: WithMigrationServer { WithMigrationServer() }
    /// A server with a standby around the suite.
    static var serverWithStandby: WithMigrationServer { WithMigrationServer(withReplica: true) }
}

/// What every tool must keep, against a real server.
@Suite(.serialized, .server) struct ToolContractTests {
    private func scene(_ kind: ToolKind, count: Int = 3) async throws -> MigrationScene {
        try await #require(MigrationServer.current).scene(kind, count: count)
    }

    /// Orders, so that there is something to lose.
    private func fill(_ scene: MigrationScene, _ count: Int = 1000) async throws {
        try await scene.sql("INSERT INTO orders SELECT n, 'a' || n || '@example.org', n FROM generate_series(1, \(count)) n")
    }

    @Test(arguments: ToolKind.allCases) func aSchemaGoesForwardAndComesBackToWhatItWas(kind: ToolKind) async throws {
        let scene = try await scene(kind)
        #expect(try await scene.place() == "base")
        let first = try await scene.up(to: kind == .commands ? nil : "0001")
        let before = try await scene.dump()
        if kind != .commands {
            #expect(first.after.place == "0001")
            try await fill(scene)
            let report = try await scene.up()
            #expect(report.steps.map(\.revision.description) == ["0002", "0003"])
            #expect(report.steps.map { $0.from?.description } == ["0001", "0002"])
            #expect(report.schemaBefore == first.schemaAfter)
        }
        #expect(try await scene.place() == "0003")
        #expect(try await scene.up().words == "nothing to do")
        #expect(
            try await scene.sql("SELECT count(*) FROM serin.migration_steps WHERE state = 'done'")
                == (kind == .commands ? "1" : "3"))
        if kind != .commands {
            let back = try await scene.down(to: "0001")
            #expect(back.after.place == "0001")
            #expect(back.schemaAfter == first.schemaAfter)
            #expect(try await scene.dump() == before)
            #expect(try await scene.sql("SELECT count(*) FROM orders") == "1000")
        }
        #expect(try await scene.down(to: nil).after.place == "base")
        #expect(try await scene.sql("SELECT to_regclass('orders')") == "")
    }

    @Test(arguments: ToolKind.some(.pairs, .commands)) func readersNeverQueueLongerThanTheTimeoutBehindAStatementThatWaits(
        kind: ToolKind
    )
        async throws
    {
        var tuned = try await scene(kind, count: 1)
        tuned.lockTimeout = .milliseconds(400)
        let phases = Locked<[String]>([])
        tuned.options.progress = { progress in phases.withLock { $0.append(progress.phase) } }
        let scene = tuned
        try await scene.up()
        try await fill(scene)
        try kind.add(ToolKind.revisions[1], to: scene.folder)
        let holder = try scene.server.session("BEGIN; SELECT count(*) FROM orders; \\! sleep 600\n", database: scene.database)
        defer { holder.stop(signal: SIGKILL) }
        try await waitUntil("the reader holds the table", within: .seconds(90)) {
            try await scene.sql("SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND granted") != "0"
        }
        // Readers that come by all the time, timed by the server. Their table is where no comparison of schemas looks.
        try await scene.sql("CREATE TABLE serin.waits AS SELECT interval '0' AS longest")
        let reader = try scene.server.session(
            """
            DO $$ DECLARE start timestamptz; BEGIN FOR n IN 1..100000 LOOP
                start := clock_timestamp(); PERFORM count(*) FROM orders;
                UPDATE serin.waits SET longest = greatest(longest, clock_timestamp() - start); COMMIT; PERFORM pg_sleep(0.02); COMMIT;
            END LOOP; END $$;

            """, database: scene.database)
        defer { reader.stop(signal: SIGKILL) }
        async let migrated = scene.up()
        try await waitUntil("it waits for another try", within: .seconds(180)) {
            phases.withLock { $0.contains { $0.hasPrefix("waiting") } }
        }
        holder.stop(signal: SIGKILL)
        reader.stop(signal: SIGKILL)
        let report = try await migrated
        #expect(report.steps.last?.tries ?? 0 > 1)
        #expect(report.blocking.longest > .milliseconds(50), "\(report.words)")
        #expect(try await scene.sql("SELECT longest < interval '1.2 s' FROM serin.waits") == "t", "\(report.words)")
        try await scene.sql("DROP TABLE serin.waits")
        #expect(try await scene.place() == "0002")
    }

    @Test(arguments: ToolKind.some(.pairs)) func duplicatesThatBreakAUniqueIndexLeaveNothingBehindAndCanBeRepaired(kind: ToolKind)
        async throws
    {
        let scene = try await scene(kind, count: 2)
        try await scene.up()
        try await fill(scene)
        try await scene.sql("UPDATE orders SET email = 'twice@example.org' WHERE id IN (7, 8)")
        try kind.add(ToolKind.revisions[2], to: scene.folder)
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .revision)
        #expect(failed.failure.message.contains("orders_email_key"), "\(failed)")
        #expect(failed.report?.after.place == "0002")
        #expect(try await scene.invalidIndexes() == "0")
        try await scene.sql("UPDATE orders SET email = 'once@example.org' WHERE id = 8")
        #expect(try await scene.up().after.place == "0003")
    }

    @Test(arguments: ToolKind.some(.pairs, .marked)) func aRevisionThatFailsChangesNothing(kind: ToolKind) async throws {
        let scene = try await scene(kind, count: 2)
        try await scene.up()
        let before = try await scene.dump()
        try kind.add(
            ToolKind.Revision(
                id: "0003", name: "bad", up: "ALTER TABLE public.orders ADD COLUMN x int; SELECT 1/0", down: "SELECT 1"),
            to: scene.folder)
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .revision)
        #expect(failed.failure.message.contains("division by zero"), "\(failed)")
        #expect(try await scene.dump() == before)
        #expect(try await scene.place() == "0002")
        #expect(try await scene.sql("SELECT state FROM serin.migration_steps ORDER BY id DESC LIMIT 1") == "failed")
        try kind.remove("0003", from: scene.folder)
        try kind.add(ToolKind.revisions[2], to: scene.folder)
        #expect(try await scene.up().after.place == "0003")
    }

    @Test(arguments: ToolKind.some(.pairs, .alembic)) func aWayBackThatRaisesLeavesAClearState(kind: ToolKind) async throws {
        let scene = try await scene(kind, count: 2)
        try await scene.place(2)
        try kind.add(
            ToolKind.Revision(
                id: "0003", name: "oneway", up: "ALTER TABLE public.orders ADD COLUMN x int",
                down: kind == .alembic
                    ? "raise NotImplementedError('there is no way back')"
                    : "DO $$ BEGIN RAISE EXCEPTION 'there is no way back'; END $$"), to: scene.folder)
        try await scene.up()
        let before = try await scene.dump()
        let failed = try await scene.failure { try await scene.down(to: "0002") }
        #expect(failed.stage == .revision)
        #expect(failed.failure.message.contains("there is no way back"), "\(failed)")
        #expect(failed.report?.after.place == "0003")
        #expect(try await scene.dump() == before)
        #expect(try await scene.sessions() == 0)
        #expect(try await scene.up().words == "nothing to do")
    }

    @Test(arguments: ToolKind.some(.marked, .alembic, of: [.alembic, .pairs, .marked]))
    func aRevisionThatTheReleaseDoesNotKnowIsRefused(kind: ToolKind)
        async throws
    {
        let scene = try await scene(kind)
        try await scene.place(3)
        try kind.remove("0003", from: scene.folder)
        for failed in [
            try await scene.failure { try await scene.up() }, try await scene.failure { try await scene.down(to: "0001") },
        ] {
            #expect(failed.stage == .preflight)
            #expect(failed.failure.message.contains("the release does not know"), "\(failed)")
        }
        #expect(try await scene.sql("SELECT to_regclass('orders_email_key')") == "orders_email_key")
    }

    @Test(arguments: ToolKind.some(.marked, .alembic, of: [.alembic, .pairs, .marked])) func severalHeadsAreRefused(
        kind: ToolKind
    ) async throws {
        let scene = try await scene(kind)
        try await scene.place(3)
        let before = try await scene.dump()
        let sql = "ALTER TABLE public.orders ADD COLUMN x int"
        try kind.add(
            ToolKind.Revision(
                id: kind == .alembic ? "0004" : "0003", name: "branch", up: sql, down: "SELECT 1", parent: "0002"),
            to: scene.folder)
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .preflight)
        #expect(failed.failure.message.contains(kind == .alembic ? "2 heads" : "two versions"), "\(failed)")
        #expect(try await scene.dump() == before)
    }

    @Test(arguments: ToolKind.some(.pairs)) func ofTwoControllersOneIsRefused(kind: ToolKind) async throws {
        let scene = try await scene(kind, count: 1)
        try await scene.up()
        try kind.add(
            ToolKind.Revision(
                id: "0002", name: "slow", up: "ALTER TABLE public.orders ADD COLUMN note text; SELECT pg_sleep(6)",
                down: "ALTER TABLE public.orders DROP COLUMN note"), to: scene.folder)
        // The second one has a lease of its own, as on another machine.
        let other = MigrationScene(kind: kind, server: scene.server, database: scene.database, folder: scene.folder)
        async let first = scene.up(key: "first")
        try await waitUntil("the first is at work", within: .seconds(90)) { try await scene.sessions() > 0 }
        let failed = try await scene.failure { try await other.up(key: "second") }
        #expect(failed.failure.kind == .conflict)
        #expect(failed.failure.message.contains("another controller"), "\(failed)")
        let leased = try await scene.failure { try await scene.up(key: "third") }
        #expect(leased.failure.kind == .conflict)
        #expect(leased.failure.message.contains("is held by"), "\(leased)")
        #expect(try await first.after.place == "0002")
    }

    @Test(arguments: ToolKind.some(.pairs, .commands)) func whatIsGivenUpEndsInTheDatabaseToo(kind: ToolKind) async throws {
        let scene = try await scene(kind, count: 1)
        try await scene.up()
        try kind.add(
            ToolKind.Revision(
                id: "0002", name: "slow", up: "ALTER TABLE public.orders ADD COLUMN note text; SELECT pg_sleep(600)",
                down: "ALTER TABLE public.orders DROP COLUMN note"), to: scene.folder)
        let run = Task { try await scene.failure { try await scene.up() } }
        try await waitUntil("it sleeps", within: .seconds(90)) {
            try await scene.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = '\(scene.database)'") == "1"
        }
        run.cancel()
        let failed = try await run.value
        #expect(failed.stage == .revision)
        #expect(try await scene.sessions() == 0)
        #expect(try await scene.place() == "0001")
    }

    @Test(arguments: ToolKind.some(.pairs)) func tooManyWaitingSessionsCancelAStatementUntilTheyAreGone(kind: ToolKind)
        async throws
    {
        var tuned = try await scene(kind, count: 1)
        tuned.options.mostQueued = 2
        tuned.lockTimeout = .seconds(20)
        let scene = tuned
        try await scene.up()
        try await fill(scene)
        try kind.add(
            ToolKind.Revision(
                id: "0002", name: "slow", up: "LOCK TABLE public.orders; SELECT pg_sleep(2)", down: "SELECT 1"), to: scene.folder)
        async let migrated = scene.up()
        try await waitUntil("it holds the table", within: .seconds(90)) {
            try await scene.sql(
                "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'AccessExclusiveLock' AND granted")
                == "1"
        }
        let readers = try (0..<4).map { _ in
            try scene.server.session("SELECT count(*) FROM orders;\n", database: scene.database)
        }
        try await waitUntil("the readers are through", within: .seconds(90)) { readers.allSatisfy { !$0.isRunning } }
        let report = try await migrated
        #expect(report.steps.first?.tries ?? 0 > 1, "\(report.words)")
        #expect(report.blocking.mostQueued > 2)
        #expect(report.blocking.longest < .milliseconds(1500), "\(report.words)")
    }
}
