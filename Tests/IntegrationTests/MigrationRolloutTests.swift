import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// Releases that move the schema of a real Postgres with a replica, under load, by the program and the tools themselves.
    @Suite(.serialized, .shopServer) struct MigrationRollouts {
        private let column = (up: "ALTER TABLE orders ADD COLUMN note text", down: "ALTER TABLE orders DROP COLUMN note")
        private let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'"

        @Test func theSchemaGoesForwardAndWhatTakesSomethingAwayIsLeft() async throws {
            try await Shop.play { shop, scene in
                try shop.add("0002_note", up: column.up, down: column.down)
                try shop.add("0003_email", up: "ALTER TABLE orders DROP COLUMN email", down: "SELECT 1")
                let check = try await scene.check(0)
                #expect(check.termination == .exited(0), "\(check.text)")
                #expect(check.text.contains("to be migrated before the canary: 0002"), "\(check.text)")
                let run = try await scene.serin(scene.release(Stage.good))
                #expect(run.termination == .exited(0), "\(run.text)")
                #expect(run.text.contains("left for after the promotion, as they take something away: 0003"), "\(run.text)")
                #expect(try await shop.sql("SELECT version FROM schema_migrations") == "2")
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test(arguments: Shop.Tool.allCases) func aFailedCanaryComesBackWithItsSchema(_ tool: Shop.Tool) async throws {
            try await Shop.play(tool) { _ in
                ["schema: downgrade"]
            } _: { shop, scene in
                let before = try await shop.dump()
                try shop.add("0002", up: column.up, down: column.down)
                let run = try await scene.serin(scene.release(Stage.bad))
                #expect(run.termination == .exited(3), "\(run.text)")
                #expect(run.text.contains("migration done: the schema is at 0002"), "\(run.text)")
                #expect(run.text.contains("downgrade of the schema done: the schema is at 0001"), "\(run.text)")
                #expect(run.text.contains("others waited"), "\(run.text)")
                #expect(try await shop.dump() == before)
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// Nothing of it is done, and nobody says that it is.
        @Test func s6s13AWayBackThatLeavesAnotherSchemaCallsAPerson() async throws {
            try await Shop.play { _ in
                ["schema: downgrade"]
            } _: { shop, scene in
                try shop.add("0002_note", up: column.up, down: "ALTER TABLE orders ADD COLUMN other int")
                let run = try scene.start(scene.release(Stage.bad))
                defer { run.stop(signal: SIGKILL) }
                try await scene.awaitOutput("rollback incomplete", within: .minutes(3))
                #expect(scene.output().contains("leaves another schema than there was"), "\(scene.output())")
                #expect(await scene.weight() == 0)
                #expect(try await shop.sql("SELECT version FROM schema_migrations") == "2")
                #expect(try await shop.sql(columns) == "4")
                try await shop.expectEveryOrder()
            }
        }

        /// What env.py does on a server is in no SQL that was judged: nobody knows a way back from it.
        @Test func s6s13RowsThatAreChangedBesideARevisionCallAPerson() async throws {
            try await Shop.play(.alembic) { _ in
                ["schema: downgrade"]
            } _: { shop, scene in
                let path = shop.scratch.file("migrations/env.py")
                let python = try String(contentsOfFile: path, encoding: .utf8)
                let open = "    with engine.connect() as connection:\n"
                let hook = """
                            import sys
                            from sqlalchemy import text
                            if "upgrade" in sys.argv:
                                connection.execute(text("UPDATE orders SET amount = amount WHERE id = (SELECT min(id) FROM orders)"))
                                connection.commit()

                    """
                try python.replacing(open, with: open + hook).write(toFile: path, atomically: true, encoding: .utf8)
                try await waitUntil("an order") { shop.acknowledged > 0 }
                try shop.add("0002", up: column.up, down: column.down)
                let run = try scene.start(scene.release(Stage.good))
                defer { run.stop(signal: SIGKILL) }
                try await scene.awaitOutput("rollback incomplete", within: .minutes(3))
                #expect(scene.output().contains("rows were changed in public.orders (1 changed, 0 deleted)"), "\(scene.output())")
                #expect(await scene.weight() == 0)
                #expect(try await shop.sql("SELECT version_num FROM alembic_version") == "0002")
                try await shop.expectEveryOrder()
            }
        }

        @Test func byDefaultAnAddedColumnStaysAndTheOldVersionGoesOnWriting() async throws {
            try await Shop.play { shop, scene in
                try shop.add("0002_note", up: column.up, down: column.down)
                let run = try await scene.serin(scene.release(Stage.bad))
                #expect(run.termination == .exited(3), "\(run.text)")
                #expect(run.text.contains("keep the schema: the applied revisions only add"), "\(run.text)")
                #expect(try await shop.sql(columns) == "4")
                let taken = shop.acknowledged
                try await waitUntil("orders on the new schema") { shop.acknowledged > taken }
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func killedDuringTheMigrationTheNextControllerTakesEverythingBack() async throws {
            try await Shop.play { _ in
                ["schema: downgrade"]
            } _: { shop, scene in
                let before = try await shop.dump()
                try shop.add(
                    "0002_note", up: column.up + ";\n-- serin: class additive because it only waits\nSELECT pg_sleep(100)",
                    down: column.down)
                let run = try scene.start(scene.release(Stage.good))
                let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                try await waitUntil("a migration in the middle", within: .minutes(3)) { try await shop.sql(asleep) == "1" }
                run.stop(signal: SIGKILL)
                let next = try await scene.serin(scene.continuation, deadline: .seconds(120))
                #expect(next.termination == .exited(3), "\(next.text)")
                #expect(try await shop.sql(asleep) == "0")
                #expect(try await shop.dump() == before)
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func aBackupOfAnotherDatabaseRefusesTheRollout() async throws {
            try await Shop.play { shop, scene in
                try shop.add("0002_note", up: column.up, down: column.down)
                let plan = shop.scratch.file("plan.yaml")
                let other = shop.cluster.primary.url(user: "keeper", database: "postgres")
                let url = try shop.scratch.write("other", other, mode: 0o600)
                let text = FileManager.default.contents(atPath: plan).map { String(decoding: $0, as: UTF8.self) } ?? ""
                try shop.scratch.write("plan.yaml", text.replacing("url_env: SHOP", with: "url_file: \(url)"))
                let check = try await scene.check(7)
                #expect(check.termination == .exited(7), "\(check.text)")
                #expect(check.text.contains("the backup is of postgres in cluster"), "\(check.text)")
                let run = try await scene.serin(scene.release(Stage.good))
                #expect(run.termination == .exited(7), "\(run.text)")
                #expect(run.text.contains("the backup is of postgres in cluster"), "\(run.text)")
                #expect(try await shop.sql(columns) == "3")
            }
        }

        private let deletion = (up: "DELETE FROM orders WHERE id % 2 = 0", down: "UPDATE orders SET amount = amount WHERE false")

        @Test func aTraceBeginsWithTheNewestVerifiedBackupAndLeavesNothing() async throws {
            try await Shop.play { shop, scene in
                let plan = shop.scratch.file("plan.yaml")
                let lint = ["migrate", "lint", scene.policy, "--trace", "--scratch-env", "SHOP", "--from-backup", plan]
                let none = try await scene.serin(lint)
                #expect(none.termination != .exited(0) && none.text.contains("there is no verified dump of shop"), "\(none.text)")
                let made = try await scene.serin("backup", "create", plan)
                #expect(made.termination == .exited(0), "\(made.text)")
                let verified = try await scene.serin("backup", "verify", plan)
                #expect(verified.termination == .exited(0), "\(verified.text)")
                try shop.add(
                    "0002_hidden", up: "DO $$ BEGIN EXECUTE 'UPDATE orders SET amount = 0 WHERE id < 0'; END $$", down: "SELECT 1"
                )
                let databases = "SELECT string_agg(datname, ' ' ORDER BY 1) FROM pg_database"
                let before = try await shop.sql(databases)
                let traced = try await scene.serin(lint)
                #expect(traced.text.contains("public.orders: 0 rows inserted, 100 updated"), "\(traced.text)")
                #expect(try await shop.sql(databases) == before)
                #expect(try await shop.sql("SELECT count(*) FROM orders WHERE amount = 0") == "0")
            }
        }

        /// `serin migrate up` by a policy has around it what a rollout has.
        @Test func s13UpStandsOnABackupAndFencedWritesAndLetsThemInWhateverHappens() async throws {
            try await Shop.play { shop in
                try shop.destructive(approvals: 1)
                    + ["probes: [{run: [test, -e, \(try shop.scratch.write("healthy", ""))]}]"]
            } _: { shop, scene in
                let mayWrite = "SELECT has_table_privilege('app', 'orders', 'INSERT')"
                let up = ["migrate", "up", scene.policy]
                try shop.add("0002_half", up: deletion.up + ";\nSELECT 1/0", down: deletion.down)
                let alone = try await scene.serin(up)
                #expect(alone.termination == .exited(7), "\(alone.text)")
                #expect(alone.text.contains("approvals needed by other people than you: 1, there are 0"), "\(alone.text)")
                #expect(!alone.text.contains("fenced") && !alone.text.contains("verifying a backup"), "\(alone.text)")
                try await shop.agree(scene, by: 4711)
                let failed = try await scene.serin(up)
                #expect(failed.termination == .exited(1), "\(failed.text)")
                #expect(failed.text.contains("division by zero"), "\(failed.text)")
                let places = ["writes are fenced", " is verified", "division by zero", "writes are let in again"].compactMap {
                    failed.text.firstRange(of: $0)?.lowerBound
                }
                #expect(places.count == 4 && places == places.sorted(), "\(failed.text)")
                #expect(try await shop.sql(mayWrite) == "t")
                // Killed with writes fenced: the next one lets them in, also when there is nothing else to do.
                try shop.add("0002_half", up: deletion.up + ";\nSELECT pg_sleep(5)", down: deletion.down)
                let changed = try await scene.serin(up)
                #expect(changed.termination == .exited(7), "it is another one: \(changed.text)")
                try await shop.agree(scene, by: 4711)
                let run = try scene.start(up)
                try await waitUntil("a migration in the middle", within: .minutes(3)) {
                    try await shop.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
                }
                run.stop(signal: SIGKILL)
                #expect(try await shop.sql(mayWrite) == "f")
                let next = try await scene.serin(up)
                #expect(next.termination == .exited(0), "\(next.text)")
                #expect(try await shop.sql(mayWrite) == "t")
                #expect(try await shop.sql("SELECT version FROM schema_migrations") == "2")
                #expect(try await shop.sql("SELECT count(*) FROM serin.maintenance") == "0")
                unlink(shop.scratch.file("healthy"))
                try shop.add("0003_note", up: column.up, down: column.down)
                let ill = try await scene.serin(up)
                #expect(ill.termination == .exited(8) && ill.text.contains("probe 1 failed"), "\(ill.text)")
                // Nothing that adds alone needs a fence; a backup it has.
                #expect(!ill.text.contains("fenced") && ill.text.contains(" is verified"), "\(ill.text)")
                try shop.add(
                    "0004_more", up: "ALTER TABLE orders ADD COLUMN more text", down: "ALTER TABLE orders DROP COLUMN more")
                let plan = try shop.scratch.write("plan.yaml", "version: 1\n")
                let refused = try await scene.serin(up)
                #expect(refused.termination != .exited(0), "\(plan): \(refused.text)")
                #expect(try await shop.sql("SELECT version FROM schema_migrations") == "3")
            }
        }

        @Test func aScriptThatWasOverwrittenSinceItWasJudgedIsNotRun() async throws {
            try await Shop.play {
                try $0.destructive(approvals: 1)
            } _: { shop, scene in
                try shop.add("0002_half", up: deletion.up, down: deletion.down)
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitOutput("awaiting approval")
                try shop.add("0002_half", up: "DROP TABLE orders", down: deletion.down)
                let agreed = try await scene.serin("approve", scene.service, "--plan", try await scene.awaitedPlan())
                #expect(agreed.termination == .exited(0), "\(agreed.text)")
                #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                #expect(scene.output().contains("revision 0002 is not the one that was judged"), "\(scene.output())")
                try await shop.expectEveryOrder()
                #expect(try await shop.sql("SELECT has_table_privilege('app', 'orders', 'INSERT')") == "t")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func nothingIsMigratedThatNobodyAgreesTo() async throws {
            try await Shop.play {
                try $0.destructive(approvals: 2)
            } _: { shop, scene in
                try shop.add("0002_half", up: deletion.up, down: deletion.down)
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitOutput("awaiting approval")
                let plan = try await scene.awaitedPlan()
                let unnamed = try await scene.serin("approve", scene.service)
                #expect(unnamed.termination == .exited(7) && unnamed.text.contains("--plan \(plan)"), "\(unnamed.text)")
                let own = try await scene.serin("approve", scene.service, "--plan", plan)
                #expect(own.termination == .exited(0), "a demonstration lets its author be one of them: \(own.text)")
                let twice = try await scene.serin("approve", scene.service, "--plan", plan)
                #expect(twice.termination == .exited(7) && twice.text.contains("has approved already"), "\(twice.text)")
                let halt = try await scene.serin("halt", scene.service, "--reason", "we do not agree")
                #expect(halt.termination == .exited(0), "\(halt.text)")
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// Each agrees after what the other said is over: together they never did.
        @Test(.enabled("needs root, to act as two users") { geteuid() == 0 })
        func s6s13WhatWasAgreedToTooLongAgoMigratesNothing() async throws {
            try await Shop.play(more: "approval_for: 2s\n") {
                try $0.destructive(approvals: 2)
            } _: { shop, scene in
                try shop.add("0002_half", up: deletion.up, down: deletion.down)
                let run = try scene.start(scene.release(Stage.good) + ["--socket-group", "nogroup"])
                try await scene.awaitOutput("awaiting approval")
                let plan = try await scene.awaitedPlan()
                let over = "what was agreed to 2s ago was not begun and no longer counts"
                for (round, isOther) in [false, true, false].enumerated() {
                    let agreed =
                        try await isOther
                        ? scene.other("approve", scene.service, "--plan", plan)
                        : scene.serin("approve", scene.service, "--plan", plan)
                    // The first one may agree again: what they said before does not count any more.
                    #expect(agreed.termination == .exited(0), "\(round): \(agreed.text)")
                    try await waitUntil("approval \(round + 1) is over", within: .minutes(3)) {
                        scene.output().ranges(of: over).count == round + 1
                    }
                }
                #expect(!scene.output().contains("verifying") && !scene.output().contains("migration done"), "\(scene.output())")
                let halt = try await scene.serin("halt", scene.service, "--reason", "nobody agrees in time")
                #expect(halt.termination == .exited(0), "\(halt.text)")
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                #expect(try await shop.sql("SELECT version FROM schema_migrations") == "1")
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func aStandbyIsRefusedByEverythingThatWouldMigrateIt() async throws {
            try await Shop.play { shop, scene in
                try shop.add("0002_note", up: column.up, down: column.down)
                let replica = try #require(shop.cluster.replica)
                try await waitUntil("the first revision on the replica") {
                    do {
                        return try await replica.sql("SELECT version FROM schema_migrations", database: shop.database) == "1"
                    } catch {
                        return false
                    }
                }
                let url = try shop.scratch.write("standby", replica.url(user: "keeper", database: shop.database), mode: 0o600)
                let text = FileManager.default.contents(atPath: scene.policy).map { String(decoding: $0, as: UTF8.self) } ?? ""
                let policy = try shop.scratch.write("standby.yaml", text.replacing("url_env: SHOP", with: "url_file: \(url)"))
                let versions = ["--version", Stage.good, "--previous", Stage.old]
                for words in [
                    ["migrate", "plan", policy], ["migrate", "up", policy], ["migrate", "down", policy, "--to", "base"],
                    ["check", policy] + versions, ["run", policy] + versions,
                ] {
                    let refused = try await scene.serin(words)
                    #expect(refused.termination == .exited(7), "\(words): \(refused.text)")
                    #expect(refused.text.contains("is a standby: nothing can be migrated there"), "\(words): \(refused.text)")
                }
                #expect(await scene.weight() == 0)
                #expect(try await shop.sql(columns) == "3")
            }
        }

        @Test(.enabled("needs root, to act as two users") { geteuid() == 0 }, arguments: ["approve", "resume"])
        func s6DestroyedRowsComeBackWithApprovalsOrAPersonKeepsTheSchema(_ verb: String) async throws {
            try await Shop.play {
                try $0.destructive(approvals: 2)
            } _: { shop, scene in
                try shop.add("0002_half", up: deletion.up, down: deletion.down)
                let run = try scene.start(scene.release(Stage.bad) + ["--socket-group", "nogroup"])
                try await scene.awaitOutput("awaiting approval")
                let start = try await scene.awaitedPlan()
                for answer in [
                    try await scene.serin("approve", scene.service, "--plan", start),
                    try await scene.other("approve", scene.service, "--plan", start),
                ] {
                    #expect(answer.termination == .exited(0), "\(answer.text)")
                }
                try await scene.awaitOutput("WRITES ARE FENCED; the restore waits for 2 different people", within: .minutes(3))
                #expect(try await shop.sql("SELECT count(*) FROM orders WHERE id < 0") == "50")
                let why = try await scene.serin("why", scene.service)
                #expect(why.text.hasPrefix("WRITES ARE FENCED"), "\(why.text)")
                #expect(why.text.contains("serin resume"), "\(why.text)")
                // The rows that the migration itself deleted are no loss of a salvage.
                #expect(why.text.contains("0 updated and 0 deleted since the migration ended); newer rows stay"), "\(why.text)")
                guard verb == "approve" else {
                    let kept = try await scene.other("resume", scene.service)
                    #expect(kept.termination == .exited(0), "\(kept.text)")
                    #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                    #expect(try await shop.sql("SELECT count(*) FROM orders WHERE id < 0") == "50")
                    let taken = shop.acknowledged
                    try await waitUntil("orders once writes are let in") { shop.acknowledged > taken }
                    return try await JournalProof(of: scene).check(scene)
                }
                try shop.scratch.write("lazy", "")
                for round in ["does nothing", "works"] {
                    let plan = try await scene.awaitedPlan()
                    let own = try await scene.serin("approve", scene.service, "--plan", plan)
                    #expect(own.termination == .exited(0), "\(round): \(own.text)")
                    let twice = try await scene.serin("approve", scene.service, "--plan", plan)
                    #expect(twice.termination == .exited(7), "\(round): \(twice.text)")
                    let second = try await scene.other("approve", scene.service, "--plan", plan)
                    #expect(second.termination == .exited(0), "\(round): \(second.text)")
                    if round == "does nothing" {
                        try await scene.awaitOutput("the restore said that it is done, but the schema is at 0002, not at 0001")
                    }
                }
                #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                let order = FileManager.default.contents(atPath: scene.file("order"))
                #expect(order.map { String(decoding: $0, as: UTF8.self) } == "salvage 0001 orders\n")
                try await shop.expectEveryOrder()
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// How a schema comes to be where it was, and its rows do not.
        enum Loss: String, CaseIterable {
            case movedByHand
            case committedInPart
            case restoreFailed
        }

        @Test(.enabled("needs root, to act as two users") { geteuid() == 0 }, arguments: Loss.allCases)
        func s6ASchemaThatIsWhereItWasBringsNoRowBack(_ loss: Loss) async throws {
            try await Shop.play {
                try $0.destructive(
                    approvals: 2, restoring: loss == .restoreFailed ? $0.failingOnce : nil)
            } _: { shop, scene in
                let up =
                    loss == .committedInPart
                    ? "BEGIN; \(deletion.up) AND id < 0; COMMIT; SELECT 1/0" : deletion.up + " AND id < 0"
                try shop.add("0002_half", up: up, down: deletion.down)
                var run = try scene.start(
                    scene.release(Stage.bad) + ["--socket-group", "nogroup"])
                try await scene.awaitOutput("awaiting approval")
                try await agree(scene)
                if loss == .movedByHand {
                    try await scene.awaitOutput("migration done: the schema is at 0002", within: .minutes(3))
                    try await shop.sql("UPDATE schema_migrations SET version = 1")
                }
                let asked = "WRITES ARE FENCED; the restore waits for 2 different people"
                try await scene.awaitOutput(asked, within: .minutes(3))
                let why = try await scene.serin("why", scene.service)
                #expect(why.text.contains("0002 may have destroyed data"), "\(why.text)")
                #expect(why.text.contains("restore"), "\(why.text)")
                #expect(try await shop.sql("SELECT count(*) FROM orders WHERE id < 0") == "50")
                if loss == .committedInPart {
                    let status = try await scene.serin("migrate", "status", scene.policy)
                    #expect(status.termination == .exited(8), "\(status.text)")
                    #expect(status.text.contains("rows may be gone") && status.text.contains("serin why"), "\(status.text)")
                    #expect(try await shop.sql("SELECT version, dirty FROM schema_migrations") == "2|t")
                }
                try await agree(scene)
                if loss == .restoreFailed {
                    #expect(try await scene.end(of: run, within: .minutes(3)) == 6, "\(scene.output())")
                    #expect(try await shop.sql("SELECT version FROM schema_migrations") == "1")
                    run = try scene.start(scene.continuation + ["--socket-group", "nogroup"], log: "next.log")
                    try await waitUntil("a controller that takes the order", within: .minutes(3)) {
                        try await scene.serin("rollback", scene.service).termination == .exited(0)
                    }
                    try await scene.awaitOutput(asked, log: "next.log", within: .minutes(3))
                    try await agree(scene)
                }
                let ended = try await scene.end(of: run)
                let said = scene.output() + scene.output("next.log")
                #expect(ended == 3, "\(said)")
                #expect(!said.contains("nothing was applied"), "\(said)")
                try await shop.expectEveryOrder()
                #expect(try await shop.sql("SELECT version, dirty FROM schema_migrations") == "1|f")
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// Two people agree to what is asked about.
        private func agree(_ scene: Scene) async throws {
            let plan = try await scene.awaitedPlan()
            for answer in [
                try await scene.serin("approve", scene.service, "--plan", plan),
                try await scene.other("approve", scene.service, "--plan", plan),
            ] {
                #expect(answer.termination == .exited(0), "\(answer.text)")
            }
        }
    }
}
