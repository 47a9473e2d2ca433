import Glibc
import SerinDatabase
import SerinLocks
import SerinModel
import SerinProcesses
import Testbed
import Testing

@testable import SerinMigrationTools

@Suite(.serialized, .serverWithStandby) struct BackfillTests {
    private func scene(_ rows: Int) async throws -> MigrationScene {
        let scene = try await #require(MigrationServer.current).scene(.pairs)
        try await scene.sql(
            """
            CREATE TABLE orders (id uuid PRIMARY KEY, amount numeric(12, 2) NOT NULL, cents bigint);
            INSERT INTO orders SELECT gen_random_uuid(), n, NULL FROM generate_series(1, \(rows)) n; ANALYZE orders
            """)
        return scene
    }

    private func backfill(_ name: String = "cents") throws -> Backfill {
        try Backfill(
            name: name, table: "orders", key: "id",
            statement: "UPDATE orders SET cents = amount * 100 WHERE {{range}} AND cents IS NULL;")
    }

    private func database(_ scene: MigrationScene) -> DatabaseBackfill {
        let url = scene.url
        return DatabaseBackfill { () throws(Failure) in url }
    }

    @Test func everyRowIsFilledInOnceInSmallTransactions() async throws {
        let scene = try await scene(20_000)
        let seen = Locked<[BackfillProgress]>([])
        let report = try await database(scene).run(backfill(), progress: { progress in seen.withLock { $0.append(progress) } })
        #expect(report.stopped == nil)
        #expect(report.walked == 20_000 && report.changed == 20_000)
        #expect(report.batches > 3)
        #expect(try await scene.sql("SELECT count(*) FROM orders WHERE cents = amount * 100") == "20000")
        #expect(try await database(scene).whatIsLeft("SELECT count(*) FROM public.orders WHERE cents IS NULL") == nil)
        let progress = try #require(seen.withLock { $0 }.first { $0.walked > 0 })
        #expect(progress.total == 20_000 && progress.rate > 0 && progress.timeLeft != nil)
        // A second time there is nothing to do, also when rows came since.
        try await scene.sql("INSERT INTO orders VALUES ('ffffffff-ffff-ffff-ffff-ffffffffffff', 1, NULL)")
        #expect(try await database(scene).run(backfill()).batches == 0)
        #expect(try await database(scene).whatIsLeft("SELECT count(*) FROM public.orders WHERE cents IS NULL") == "1")
        var again = try backfill()
        again.restarts = true
        #expect(try await database(scene).run(again).changed == 1)
    }

    @Test func aStatementThatDoesNotKeepToItsRangeIsTakenBack() async throws {
        let scene = try await scene(2000)
        let loose = try Backfill(
            name: "loose", table: "orders", key: "id", statement: "UPDATE orders SET cents = 1 WHERE {{range}} OR true")
        await #expect(throws: Failure.self) { try await database(scene).run(loose) }
        #expect(try await scene.sql("SELECT count(*) FROM orders WHERE cents IS NOT NULL") == "0")
        // Keys that stand several times are no such case.
        try await scene.sql(
            "CREATE TABLE lines (orders int NOT NULL, done boolean); CREATE INDEX ON lines (orders); "
                + "INSERT INTO lines SELECT n / 9 FROM generate_series(1, 900) n")
        var several = try Backfill(
            name: "several", table: "lines", key: "orders", statement: "UPDATE lines SET done = true WHERE {{range}}")
        several.firstBatch = 4
        #expect(try await database(scene).run(several).changed == 900)
    }

    @Test func numbersAreWalkedAsNumbers() async throws {
        let scene = try await scene(1)
        try await scene.sql(
            "CREATE TABLE items (id bigint PRIMARY KEY, done boolean); INSERT INTO items SELECT generate_series(-5, 1200)")
        var backfill = try Backfill(
            name: "items", table: "public.items", key: "id", statement: "UPDATE items SET done = true WHERE {{range}}")
        backfill.firstBatch = 7
        #expect(try await database(scene).run(backfill).changed == 1206)
        #expect(try await scene.sql("SELECT count(*) FROM items WHERE done") == "1206")
    }

    @Test func itGoesOnWhereItWasAndStopsWhenAsked() async throws {
        let scene = try await scene(5000)
        var slow = try backfill()
        slow.firstBatch = 10
        slow.batchTime = .milliseconds(1)
        let stopAfter = Locked(5)
        let first = try await database(scene).run(
            slow,
            stopWanted: {
                stopAfter.withLock { count in
                    count -= 1
                    return count < 0 ? "halted" : nil
                }
            })
        #expect(first.stopped == "halted")
        #expect(first.walked > 0 && first.walked < 5000)
        let filled = try await scene.sql("SELECT count(*) FROM orders WHERE cents IS NOT NULL")
        #expect(filled == "\(first.walked)")
        let rest = try await database(scene).run(backfill())
        #expect(rest.stopped == nil)
        #expect(rest.walked == 5000 && rest.changed == 5000)
    }

    @Test func anotherProcessCanAskItToStopAndNoneCanRunItTwice() async throws {
        let scene = try await scene(3000)
        var slow = try Backfill(
            name: "cents", table: "orders", key: "id",
            statement: "UPDATE orders SET cents = amount * 100 WHERE {{range}} AND pg_sleep(0.01)::text = ''")
        slow.firstBatch = 1
        let (mine, work) = (slow, database(scene))
        async let running = work.run(mine)
        try await waitUntil("it runs") { try await scene.sql("SELECT count(*) FROM orders WHERE cents IS NOT NULL") != "0" }
        do {
            _ = try await work.run(mine)
            Issue.record("two processes walk the same table")
        } catch { #expect(error.message.contains("another process")) }
        #expect(try await work.stop("cents"))
        #expect(try await running.stopped == "someone asked it to stop")
        #expect(try await work.stop("unknown") == false)
        let other = try Backfill(
            name: "cents", table: "orders", key: "id", statement: "UPDATE orders SET cents = 0 WHERE {{range}}")
        do {
            _ = try await work.run(other)
            Issue.record("another statement went on where the first one was")
        } catch { #expect(error.kind == .conflict) }
    }

    @Test func itWaitsForStandbysThatAreBehind() async throws {
        let server = try #require(MigrationServer.current)
        let scene = try await scene(3000)
        let replica = try #require(server.cluster.replica)
        try await replica.setReplayPaused(true)
        try await scene.sql("CREATE TABLE ballast AS SELECT repeat('x', 900) FROM generate_series(1, 3000)")
        var backfill = try backfill()
        backfill.mostLagBytes = 1 << 20
        let phases = Locked<[String]>([])
        let (mine, work) = (backfill, database(scene))
        async let running = work.run(mine, progress: { progress in phases.withLock { $0.append(progress.phase) } })
        try await waitUntil("it waits") { phases.withLock { $0.contains { $0.contains("behind") } } }
        #expect(try await scene.sql("SELECT count(*) FROM orders WHERE cents IS NOT NULL") == "0")
        try await replica.setReplayPaused(false)
        let report = try await running
        #expect(report.changed == 3000)
        #expect(report.waited > .zero)
    }

    @Test func itWaitsWhileOthersWaitForLocksAndTriesAgainWhatItCannotLock() async throws {
        let scene = try await scene(2000)
        let writer = try scene.server.session(
            "BEGIN; UPDATE orders SET amount = amount; \\! sleep 600\n", database: scene.database)
        defer { writer.stop(signal: SIGKILL) }
        try await waitUntil("the writer holds its rows") {
            try await scene.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = '\(scene.database)'")
                == "1"
        }
        var backfill = try backfill()
        backfill.lockTimeout = .milliseconds(100)
        let phases = Locked<[String]>([])
        let (mine, work) = (backfill, database(scene))
        async let running = work.run(mine, progress: { progress in phases.withLock { $0.append(progress.phase) } })
        try await waitUntil("it tries again") { phases.withLock { $0.contains { $0.contains("another try") } } }
        writer.stop(signal: SIGKILL)
        #expect(try await running.changed == 2000)
    }

    @Test func whatWouldLoseRowsOrReadEverythingIsRefused() async throws {
        let scene = try await scene(10)
        try await scene.sql("ALTER TABLE orders ADD COLUMN batch int, ADD COLUMN number int NOT NULL DEFAULT 0")
        for (key, words) in [("batch", "may be null"), ("number", "no index"), ("nothing", "no column")] {
            let backfill = try Backfill(name: "x", table: "orders", key: key, statement: "DELETE FROM orders WHERE {{range}}")
            do {
                _ = try await database(scene).run(backfill)
                Issue.record("\(key) was accepted")
            } catch { #expect(error.message.contains(words), "\(error)") }
        }
        for statement in ["UPDATE orders SET cents = 0", "SELECT {{range}}", "DELETE FROM a WHERE {{range}}; DELETE FROM b"] {
            #expect(throws: Failure.self) { try Backfill(name: "x", table: "orders", key: "id", statement: statement) }
        }
    }
}
