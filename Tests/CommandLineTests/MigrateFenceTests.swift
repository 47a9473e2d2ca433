import FakeController
import FoundationEssentials
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinRollouts
import Testbed
import Testing

@testable import SerinCommandLine

/// What `serin migrate` does beside a rollout, and where an earlier run has left writes fenced.
@Suite struct MigrateFenceTests {
    private struct Shop {
        let scratch: Scratch
        let cluster: PostgresCluster
        let program: TestProgram
        var said: String { program.messages.withLock { $0 } }
        var isFenced: Bool { FileManager.default.fileExists(atPath: scratch.file("fenced")) }

        init() async throws {
            scratch = try Scratch("serin-left")
            cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
            program = try TestProgram(environment: ["SHOP": cluster.primary.url()], hasJournal: true)
            over(.promoted)
            let folder = scratch.file("sql")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            program.migrations.withLock { $0 = folder }
            try write("1_orders", "CREATE TABLE orders (id int PRIMARY KEY, amount int, old text)", "DROP TABLE orders")
        }

        func over(_ ending: Ending) {
            program.operations.state.withLock {
                $0.status = .sample(state: ending == .promoted ? "promoted" : "rolled back", isFinal: true, ending: ending)
                $0.status.since = Instant(millisecondsSince1970: 0)
            }
        }

        func hasMaintenance() {
            func action(_ words: String...) -> ActionPolicy {
                ActionPolicy(call: .run(words + [scratch.file("fenced")]), check: nil, deadline: .seconds(10))
            }
            let maintenance = MigrationPolicy.Maintenance(on: action("touch"), off: action("rm"))
            program.maintenance.withLock { $0 = maintenance }
        }

        /// As a run is left that was killed between its fence and its end.
        func leave(_ service: String) async throws {
            try scratch.write("fenced", "")
            try await sql(
                """
                CREATE TABLE IF NOT EXISTS serin.maintenance (run text PRIMARY KEY, asked_by text NOT NULL,
                    since timestamptz NOT NULL DEFAULT clock_timestamp(), service text);
                INSERT INTO serin.maintenance (run, asked_by, service) VALUES ('\(service)-7', 'uid:0', '\(service)')
                """)
        }

        func write(_ name: String, _ up: String, _ down: String) throws {
            try scratch.write("sql/\(name).up.sql", up)
            try scratch.write("sql/\(name).down.sql", down)
        }

        func migrate(_ verb: String, _ more: String...) async -> ExitCode {
            await program.run(["migrate", verb, program.policy()] + more)
        }

        @discardableResult func sql(_ text: String) async throws -> String { try await cluster.primary.sql(text) }

        func close() {
            cluster.stop()
            scratch.remove()
        }
    }

    @Test func s6WritesThatAKilledRunFencedAreLetInBeforeAnythingMayRefuse() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        shop.hasMaintenance()
        #expect(await shop.migrate("up") == .ok, "\(shop.said)")
        try await shop.sql("INSERT INTO orders VALUES (1, 1)")
        try await shop.leave("checkout")
        // Whoever only looks is told.
        #expect(await shop.migrate("status") == .verificationFailed)
        #expect(shop.program.takeOutput().contains("FENCED    writes are kept away by checkout-7 of checkout"))
        #expect(await shop.migrate("plan") == .refused)
        #expect(shop.said.contains("WRITES ARE FENCED"), "\(shop.said)")
        #expect(shop.isFenced)
        // This is refused, but not before.
        try shop.write("2_old", "ALTER TABLE orders DROP COLUMN old", "ALTER TABLE orders ADD COLUMN old text")
        #expect(await shop.migrate("up", "--without-backup", "a test") == .refused)
        #expect(shop.said.contains("writes are let in again (fenced by checkout-7 of checkout"), "\(shop.said)")
        #expect(!shop.isFenced)
        #expect(try await shop.sql("SELECT count(*) FROM serin.maintenance") == "0")
        // Where nothing can let them in, it is said and nothing else is done.
        try await shop.leave("checkout")
        shop.program.maintenance.withLock { $0 = nil }
        #expect(await shop.migrate("down", "--to", "base") == .refused)
        #expect(shop.said.contains("put 'maintenance' back into the policy"), "\(shop.said)")
        #expect(shop.isFenced)
    }

    @Test func s6WritesThatAnotherServiceFencedAreItsOwnToLetIn() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        shop.hasMaintenance()
        #expect(await shop.migrate("up") == .ok, "\(shop.said)")
        try await shop.leave("other")
        try shop.write("2_note", "ALTER TABLE orders ADD COLUMN note text", "ALTER TABLE orders DROP COLUMN note")
        #expect(await shop.migrate("up") == .refused)
        #expect(shop.said.contains("WRITES ARE FENCED") && shop.said.contains("other-7 of other since"), "\(shop.said)")
        let alone = ["migrate", "up", "--sql", shop.scratch.file("sql"), "--url-env", "SHOP"]
        #expect(await shop.program.run(alone) == .refused)
        #expect(shop.isFenced)
        #expect(try await shop.sql("SELECT service FROM serin.maintenance") == "other")
        #expect(try await shop.sql("SELECT version FROM schema_migrations") == "1")
    }

    @Test func besideARolloutOfTheServiceNothingIsMigratedByItsPolicy() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        #expect(await shop.migrate("up") == .ok, "\(shop.said)")
        try await shop.sql("INSERT INTO orders VALUES (1, 1)")
        try shop.write("2_note", "ALTER TABLE orders ADD COLUMN note text", "ALTER TABLE orders DROP COLUMN note")
        shop.program.operations.state.withLock { $0.status = .sample() }
        #expect(await shop.migrate("up") == .refused)
        #expect(await shop.migrate("down", "--to", "base", "--without-backup", "a test") == .refused)
        #expect(shop.said.contains("of checkout is under way"), "\(shop.said)")
        #expect(try await shop.sql("SELECT version FROM schema_migrations") == "1")
        // What takes something away from the version before waits until there is none.
        shop.over(.failed)
        try shop.write(
            "3_total", "ALTER TABLE orders RENAME COLUMN amount TO total", "ALTER TABLE orders RENAME COLUMN total TO amount")
        #expect(await shop.migrate("up", "--without-backup", "a test") == .refused)
        #expect(shop.said.contains("was not promoted"), "\(shop.said)")
        #expect(try await shop.sql("SELECT version FROM schema_migrations") == "1")
        shop.over(.promoted)
        #expect(await shop.migrate("up", "--without-backup", "a test") == .ok, "\(shop.said)")
        #expect(try await shop.sql("SELECT version FROM schema_migrations") == "3")
    }

    @Test func whatAPlanSaysIsWhatUpWouldDo() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        #expect(await shop.migrate("up") == .ok, "\(shop.said)")
        try await shop.sql("INSERT INTO orders VALUES (1, 1)")
        try shop.write("2_old", "ALTER TABLE orders DROP COLUMN old", "ALTER TABLE orders ADD COLUMN old text")
        #expect(await shop.migrate("plan") == .refused)
        #expect(shop.program.takeOutput().contains("2 (old): destructive, contract: loses the values of orders.old"))
        #expect(shop.said.contains("the policy refuses what may destroy data"), "\(shop.said)")
        shop.program.destructive.withLock { $0 = .allow }
        #expect(await shop.migrate("plan") == .ok, "\(shop.said)")
        #expect(shop.program.takeOutput().contains("2 other people: serin migrate approve"))
    }

    @Test func s6ABackfillThatMayDestroyDataHasTheGateOfUp() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        #expect(await shop.migrate("up") == .ok, "\(shop.said)")
        try await shop.sql("INSERT INTO orders SELECT n, n, NULL FROM generate_series(1, 20) n")
        func fill(_ statement: String, _ more: String...) async -> ExitCode {
            await shop.program.run(
                ["migrate", "backfill", "fill", "--restart", "--table", "orders", "--key", "id", "--statement", statement] + more)
        }
        let zero = "UPDATE orders SET amount = 0, old = NULL WHERE {{range}}"
        let gone = "DELETE FROM orders WHERE {{range}} AND id > 5"
        for statement in [zero, gone] {
            #expect(await fill(statement, "--url-env", "SHOP") == .refused)
            #expect(await fill(statement, shop.program.policy()) == .refused)
        }
        #expect(shop.said.contains("it may overwrite or delete what is there"), "\(shop.said)")
        #expect(try await shop.sql("SELECT count(*), sum(amount) FROM orders") == "20|210")
        let free = "UPDATE orders SET old = 'x' WHERE {{range}} AND old IS NULL"
        #expect(await fill(free, "--url-env", "SHOP") == .ok, "\(shop.said)")
        #expect(try await shop.sql("SELECT count(*) FROM orders WHERE old = 'x'") == "20")
        shop.program.destructive.withLock { $0 = .allow }
        for person in [Principal.uid(4711), .uid(4712)] {
            #expect(await fill(zero, shop.program.policy(), "--without-backup", "a test") == .refused)
            _ = try await shop.program.approveMigration(by: person)
        }
        #expect(await fill(zero, shop.program.policy(), "--without-backup", "a test") == .ok, "\(shop.said)")
        #expect(try await shop.sql("SELECT sum(amount) FROM orders") == "0")
    }

    @Test func aFolderOfWhichNothingIsReadFailsTheCheck() async throws {
        let scratch = try Scratch("serin-unread")
        defer { scratch.remove() }
        let program = try TestProgram()
        let folder = scratch.path
        program.migrations.withLock { $0 = folder }
        func check() async -> ExitCode { await program.run("check", program.policy(), "--offline", "--migrations") }
        #expect(await check() == .usage)
        #expect(program.messages.withLock { $0 }.contains("holds no migration"))
        try scratch.write("1_a.up.sql", "CREATE TABLE a (id int)")
        try scratch.write("1_a.down.sql", "DROP TABLE a")
        #expect(await check() == .ok, "\(program.messages.withLock { $0 })")
        try scratch.write("002_b.SQL", "DROP TABLE a")
        #expect(await check() == .usage)
        #expect(program.messages.withLock { $0 }.contains("002_b.SQL looks like a migration, and is not read"))
        try FileManager.default.removeItem(atPath: scratch.file("002_b.SQL"))
        try FileManager.default.createDirectory(atPath: scratch.file("later"), withIntermediateDirectories: true)
        try scratch.write("later/3_c.up.sql", "DROP TABLE a")
        #expect(await check() == .usage)
        try FileManager.default.removeItem(atPath: scratch.file("later"))
        try scratch.write("2_b.up.sql", "-- serin: allow D01 because nobody reads it\nDROP TABLE orders;")
        try scratch.write("2_b.down.sql", "CREATE TABLE orders (id int)")
        _ = await check()
        #expect(program.messages.withLock { $0 }.contains("(nobody reads it)"), "\(program.messages.withLock { $0 })")
    }
}
