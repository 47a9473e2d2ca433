import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// The migration tool, or the server's process that works for it, is killed (signal 9) in the middle of a revision, within a
    /// rollout and around `serin migrate up`. The program itself goes on.
    @Suite(.serialized, .shopServer) struct MigrationParties {
        /// Who is killed. A folder has no tool but the program itself.
        enum Party: String, CaseIterable, CustomTestStringConvertible {
            case tool
            case backend

            var testDescription: String { rawValue }
            var tool: Shop.Tool { self == .tool ? .alembic : .folder }

            /// Kills it, once the server sleeps in the middle of a revision. A program that ends before that is not waited for.
            func kill(_ shop: Shop, under run: ServerProcess) async throws {
                let asleep = "SELECT min(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                try await waitUntil("a revision in the middle", within: .minutes(5)) {
                    if try await !shop.sql(asleep).isEmpty { return true }
                    guard run.isRunning else {
                        throw Failure(.conflict, "the program ended before the revision's middle:\n\(run.logTail(8000))")
                    }
                    return false
                }
                switch self {
                case .tool:
                    let found = shop.programs()
                    try #require(!found.isEmpty)
                    for pid in found { Glibc.kill(pid, SIGKILL) }
                case .backend:
                    Glibc.kill(try #require(Int32(try await shop.sql(asleep))), SIGKILL)
                    // The whole server restarts.
                    try await waitUntil("the server is back", within: .minutes(3)) {
                        do { return try await shop.sql("SELECT 1") == "1" } catch { return false }
                    }
                }
            }
        }

        private let up = "ALTER TABLE orders ADD COLUMN note text"
        private let down = "ALTER TABLE orders DROP COLUMN note"
        private let comment = ";\n-- serin: class additive because it only waits"
        private let pause = "\nSELECT pg_sleep((SELECT seconds FROM serin.pause))"

        /// Lets the next revision sleep: longer than it takes to notice it, shorter than an orphan is waited for.
        private func pause(_ shop: Shop, seconds: Int) async throws {
            try await shop.sql(
                "DROP TABLE IF EXISTS serin.pause; CREATE TABLE serin.pause AS SELECT \(seconds) AS seconds; "
                    + "GRANT SELECT ON serin.pause TO PUBLIC")
        }

        @Test(arguments: Party.allCases) func s3s6s13l2AMigrationWhosePartyIsKilledIsTakenBackBeforeTheCanary(_ party: Party)
            async throws
        {
            try await Shop.play(party.tool) { _ in
                ["schema: downgrade"]
            } _: { shop, scene in
                let before = try await shop.dump()
                try shop.add("0002", up: up + comment + pause, down: down)
                try await pause(shop, seconds: 12)
                let run = try scene.start(scene.release(Stage.good))
                try await party.kill(shop, under: run)
                #expect(try await scene.end(of: run, within: .minutes(4)) == 3, "\(scene.output())")
                #expect(scene.output().contains("nothing was applied: the schema is at 0001, where it was"), "\(scene.output())")
                #expect(await scene.weight() == 0)
                #expect(try await shop.dump() == before)
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test(arguments: Party.allCases) func s3s6s13l2AWayBackWhosePartyIsKilledIsBegunAgainByAPerson(_ party: Party)
            async throws
        {
            try await Shop.play(party.tool) { _ in
                ["schema: downgrade"]
            } _: { shop, scene in
                let before = try await shop.dump()
                try shop.add("0002", up: up, down: down + comment + pause)
                try await pause(shop, seconds: 12)
                let run = try scene.start(scene.release(Stage.bad))
                try await party.kill(shop, under: run)
                // It failed in the middle: a person is called, which the journal proves.
                #expect(try await scene.end(of: run, within: .minutes(4)) == 6, "\(scene.output())")
                #expect(await scene.weight() == 0)
                let left = try await scene.serin("verify", scene.service)
                #expect(left.termination == .exited(0), "\(left.text)")
                try await pause(shop, seconds: 0)
                let next = try scene.start(scene.continuation, log: "next.log")
                try await waitUntil("a controller that takes the order", within: .minutes(3)) {
                    try await scene.serin("rollback", scene.service).termination == .exited(0)
                }
                #expect(try await scene.end(of: next, within: .minutes(4)) == 3, "\(scene.output("next.log"))")
                #expect(try await shop.dump() == before)
                #expect(await scene.weight() == 0)
                let taken = shop.acknowledged
                try await waitUntil("orders of the previous version") { shop.acknowledged > taken }
                let verified = try await scene.serin("verify", scene.service)
                #expect(verified.termination == .exited(0), "\(verified.text)")
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// After a promotion, by `serin migrate up --contract`: nobody has let writes in before it was over, and it is repeated.
        @Test(arguments: Party.allCases) func s13AContractWhosePartyIsKilledIsRepeatedByTheSameCommand(_ party: Party)
            async throws
        {
            try await Shop.play(party.tool) { shop in
                try shop.destructive(approvals: 2) + [
                    "contract: {after: 0s, old_version_gone: {run: [/bin/true]}, dual_write: {not_needed: a test}, "
                        + "backfill: {query: SELECT count(*) FROM orders WHERE amount IS NULL}}"
                ]
            } _: { shop, scene in
                let run = try await scene.serin(scene.release(Stage.good))
                #expect(run.termination == .exited(0), "\(run.text)")
                try shop.add("0002", up: "ALTER TABLE orders DROP COLUMN email;" + pause, down: "SELECT 1")
                let contract = ["migrate", "up", scene.policy, "--contract"]
                let alone = try await scene.serin(contract)
                #expect(alone.termination == .exited(7), "\(alone.text)")
                #expect(alone.text.contains("serin migrate approve shop --plan "), "\(alone.text)")
                try await shop.agree(scene, by: 4711, 4712)
                try await pause(shop, seconds: 12)
                let killed = try scene.start(contract, log: "contract.log")
                try await party.kill(shop, under: killed)
                _ = try await scene.end(of: killed, within: .minutes(4))
                let mayWrite = "SELECT has_table_privilege('app', 'orders', 'INSERT')"
                if killed.exitStatus != 0 {
                    #expect(
                        try await shop.sql("SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'") == "3")
                    try await pause(shop, seconds: 0)
                    let again = try await scene.serin(contract)
                    #expect(again.termination == .exited(0), "\(scene.output("contract.log"))\n\(again.text)")
                }
                #expect(try await shop.sql("SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'") == "2")
                #expect(try await shop.sql(mayWrite) == "t", "\(scene.output("contract.log"))")
                #expect(try await shop.sql("SELECT count(*) FROM serin.maintenance") == "0")
                let verified = try await scene.serin("verify")
                #expect(verified.termination == .exited(0), "\(verified.text)")
            }
        }
    }
}
