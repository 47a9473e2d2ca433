import FakeController
import Glibc
import SerinAPI
import SerinCatalogue
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testbed
import Testing

@testable import SerinCommandLine

/// Nobody destroys data alone with `serin migrate up`.
@Suite struct MigrateApprovalTests {
    private let ann = Principal.uid(4711)
    private let bob = Principal.uid(4712)

    /// A server, a folder of SQL, and a program whose policy names them.
    private struct Shop {
        let scratch: Scratch
        let cluster: PostgresCluster
        let program: TestProgram
        var said: String { program.messages.withLock { $0 } }

        init() async throws {
            scratch = try Scratch("serin-agreed")
            cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
            program = try TestProgram(environment: ["SHOP": cluster.primary.url()], hasJournal: true)
            program.operations.state.withLock { $0.status = .sample(isFinal: true, ending: .promoted) }
            let folder = scratch.path
            program.migrations.withLock { $0 = folder }
            try write("1_orders", "CREATE TABLE orders (id int, amount numeric, old text)", "DROP TABLE orders")
        }

        func write(_ name: String, _ up: String, _ down: String = "SELECT 1") throws {
            try scratch.write("\(name).up.sql", up)
            try scratch.write("\(name).down.sql", down)
        }

        func up(_ more: String...) async -> ExitCode {
            await program.run(["migrate", "up", program.policy(), "--without-backup", "a test"] + more)
        }

        func version() async throws -> String { try await cluster.primary.sql("SELECT version FROM schema_migrations") }

        func close() {
            cluster.stop()
            scratch.remove()
        }
    }

    @Test func s6WhatMayDestroyDataIsAppliedOnlyAsOtherPeopleAgreedToIt() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        // Where no table has a row there is nothing to agree to.
        try shop.write("2_old", "ALTER TABLE orders DROP COLUMN old", "ALTER TABLE orders ADD COLUMN old text")
        #expect(await shop.up() == .ok, "\(shop.said)")
        #expect(shop.said.contains("nobody is asked: no table has a row yet"))
        try await shop.cluster.primary.sql("INSERT INTO orders VALUES (1, 1), (2, 2)")
        let deletion = "DELETE FROM orders WHERE id = 2"
        try shop.write("3_half", deletion)
        #expect(await shop.up() == .refused)
        #expect(shop.said.contains("3 (half): destructive") && shop.said.contains("the policy refuses"), "\(shop.said)")
        shop.program.destructive.withLock { $0 = .allow }
        #expect(await shop.up() == .refused)
        #expect(shop.said.contains("approvals needed by other people than you: 2, there are 0"), "\(shop.said)")
        #expect(shop.said.contains("WITHOUT A BACKUP: a test"), "\(shop.said)")
        let first = try await shop.program.approveMigration(by: ann)
        #expect(shop.said.contains("serin migrate approve checkout --plan \(first.code)"), "\(shop.said)")
        // The same person twice, and who asked, are nobody else.
        await #expect(throws: OperationError.self) { try await shop.program.approveMigration(by: ann) }
        let own = ["migrate", "approve", "checkout", "--reason", "mine", "--plan"]
        #expect(await shop.program.run(own + [first.code]) == .refused)
        #expect(shop.said.contains("somebody else must approve"), "\(shop.said)")
        #expect(await shop.program.run(own + ["000000000000"]) == .refused)
        #expect(shop.said.contains("nothing with the code 000000000000 was asked for"), "\(shop.said)")
        // One that was given for longer than a day is over.
        let store = shop.program.backups.catalogue
        try await store.note(
            AuditNote(
                at: SystemClock().now() - .hours(25), by: bob, topic: ChangeApproval.givenTopic, target: "checkout",
                text: "\(first.code) long ago"))
        #expect(await shop.up() == .refused)
        #expect(shop.said.contains("2, there are 1"), "\(shop.said)")
        // What is in the file is what was agreed to, and nothing else.
        try shop.write("3_half", "DELETE FROM orders")
        _ = try await ChangeApprovals.approve(
            ChangeSubject(schemaOf: "checkout"), code: first.code, reason: "", by: bob, in: store, at: SystemClock().now())
        #expect(await shop.up() == .refused)
        #expect(shop.said.contains("2, there are 0"), "\(shop.said)")
        #expect(try await shop.version() == "2")
        try shop.write("3_half", deletion)
        #expect(await shop.up() == .ok, "\(shop.said)")
        #expect(shop.said.contains("agreed to by uid:4711, uid:4712"), "\(shop.said)")
        #expect(try await shop.version() == "3")
        #expect(try await shop.cluster.primary.sql("SELECT count(*) FROM orders") == "1")
        // It counts once.
        try await shop.cluster.primary.sql(
            "UPDATE schema_migrations SET version = 2; DELETE FROM serin.migration_steps WHERE revision = '3'")
        #expect(await shop.up() == .refused)
        #expect(shop.said.contains("2, there are 0"), "\(shop.said)")
    }

    @Test func s6AWayBackThatMayDestroyDataHasTheSameGate() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        try shop.write("2_note", "ALTER TABLE orders ADD COLUMN note text", "ALTER TABLE orders DROP COLUMN note")
        #expect(await shop.up() == .ok, "\(shop.said)")
        try await shop.cluster.primary.sql("INSERT INTO orders VALUES (1, 1, '', 'kept')")
        func down(_ more: String...) async -> ExitCode {
            await shop.program.run(["migrate", "down", shop.program.policy(), "--to", "1"] + more)
        }
        #expect(await down("--may-destroy", "mine") == .usage)
        #expect(await down() == .refused)
        #expect(shop.said.contains("the policy has no backup"), "\(shop.said)")
        #expect(await down("--without-backup", "a test") == .refused)
        #expect(shop.said.contains("taken back: loses") && shop.said.contains("the policy refuses"), "\(shop.said)")
        shop.program.destructive.withLock { $0 = .allow }
        for person in [ann, bob] {
            #expect(await down("--without-backup", "a test") == .refused)
            _ = try await shop.program.approveMigration(by: person)
        }
        #expect(try await shop.version() == "2")
        #expect(await down("--without-backup", "a test") == .ok, "\(shop.said)")
        #expect(try await shop.version() == "1")
        // Options in the place of the policy are no way around its people; nor is a restore that nobody agreed to.
        let options = ["migrate", "down", "--sql", shop.scratch.path, "--url-env", "SHOP", "--to", "base"]
        #expect(await shop.program.run(options + ["--may-destroy", "mine", "--database", "postgres"]) == .refused)
        #expect(shop.said.contains("this database is migrated by the policy of checkout "), "\(shop.said)")
        #expect(await shop.program.run(options + ["--restore-of", "checkout"]) == .refused)
        #expect(shop.said.contains("refused: the last rollout of checkout is not restoring"), "\(shop.said)")
        // Whatever a status says in words.
        shop.program.operations.state.withLock { $0.status.next = "data is brought back from the backup" }
        #expect(await shop.program.run(options + ["--restore-of", "checkout"]) == .refused)
        #expect(await down("--restore-of", "checkout") == .usage)
        #expect(try await shop.cluster.primary.sql("SELECT count(*) FROM orders") == "1")
        shop.program.operations.state.withLock { $0.status.isRestoring = true }
        #expect(await shop.program.run(options + ["--restore-of", "checkout"]) == .ok, "\(shop.said)")
        #expect(try await shop.cluster.primary.sql("SELECT to_regclass('orders')") == "")
    }

    @Test func whatIsAppliedTellsWhatAChangeLoses() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        #expect(await shop.up() == .ok, "\(shop.said)")
        try await shop.cluster.primary.sql("INSERT INTO orders VALUES (1, 1.75)")
        try shop.write("2_whole", "ALTER TABLE orders ALTER COLUMN amount TYPE bigint")
        #expect(await shop.up() == .refused)
        #expect(shop.said.contains("2 (whole): destructive"), "\(shop.said)")
        #expect(try await shop.cluster.primary.sql("SELECT sum(amount) FROM orders") == "1.75")
    }

    @Test func withoutAPolicyNothingThatMayDestroyDataIsAppliedInPassing() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        let up = ["migrate", "up", "--sql", shop.scratch.path, "--url-env", "SHOP"]
        #expect(await shop.program.run(up) == .ok, "\(shop.said)")
        try await shop.cluster.primary.sql("INSERT INTO orders VALUES (1, 1)")
        try shop.write("2_old", "ALTER TABLE orders DROP COLUMN old")
        #expect(await shop.program.run(up) == .refused)
        #expect(shop.said.contains("there is no policy that says who must agree"), "\(shop.said)")
        #expect(try await shop.version() == "1")
        #expect(await shop.program.run(up + ["--may-destroy", "my own database"]) == .usage)
        let alone = up + ["--may-destroy", "my own database", "--database"]
        #expect(await shop.program.run(alone + ["shop"]) == .refused)
        #expect(shop.said.contains("the database is called postgres, not shop"), "\(shop.said)")
        #expect(try await shop.version() == "1")
        #expect(await shop.program.run(alone + ["postgres"]) == .ok, "\(shop.said)")
        #expect(try await shop.version() == "2")
        let notes = try await shop.program.backups.catalogue.notes(LoneConsent.topic, of: "postgres")
        #expect(notes.count == 1 && notes[0].text.contains("2 (old): destructive"), "\(notes)")
        #expect(notes[0].text.hasSuffix("my own database"), "\(notes)")
        let policy = ["migrate", "up", shop.program.policy()]
        #expect(await shop.program.run(policy + ["--may-destroy", "mine", "--database", "postgres"]) == .usage)
    }
}
