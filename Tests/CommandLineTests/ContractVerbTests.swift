import FakeController
import SerinAPI
import SerinLocks
import SerinMigrationTools
import SerinModel
import SerinPolicies
import SerinRollouts
import Testbed
import Testing

@testable import SerinCommandLine

/// What takes something away waits until everybody agrees.
@Suite struct ContractVerbTests {
    /// Without a promote action the previous version serves everyone until something else promotes.
    @Test func aRolloutThatOnlyPassedIsNoPromotionUnlessTheOldVersionIsAskedFor() throws {
        let service = try #require(ServiceName("checkout"))
        let now = Instant(millisecondsSince1970: 1_790_000_000_000)
        for (state, orPassed, isPassed) in [("promoted", false, true), ("passed", false, false), ("passed", true, true)] {
            var status = RolloutStatus.sample(state: state, isFinal: true, ending: .promoted)
            status.since = now - .hours(1)
            let answer = ContractGates.sincePromotion(.success(status), .zero, now, service, orPassed: orPassed)
            #expect(answer.passed == isPassed, "\(answer)")
            #expect(answer.words.contains(isPassed ? "\(state) at" : "may still serve everyone"), "\(answer)")
        }
    }

    @Test func aContractRevisionWaitsForEveryGate() async throws {
        let scratch = try Scratch("serin-contract")
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer {
            cluster.stop()
            scratch.remove()
        }
        func sql(_ text: String) async throws -> String { try await cluster.primary.sql(text) }
        for (name, text) in [
            ("1_orders.up", "CREATE TABLE orders (id int, amount numeric, cents bigint)"), ("1_orders.down", "DROP TABLE orders"),
            ("2_note.up", "ALTER TABLE orders ADD COLUMN note text"), ("2_note.down", "ALTER TABLE orders DROP COLUMN note"),
            ("3_contract.up", "ALTER TABLE orders DROP COLUMN amount"),
            ("3_contract.down", "ALTER TABLE orders ADD COLUMN amount numeric"),
        ] {
            try scratch.write("\(name).sql", text)
        }
        let program = try TestProgram(environment: ["SHOP": cluster.primary.url()], hasJournal: true)
        program.operations.state.withLock { $0.status = .sample(state: "rolled back", isFinal: true, ending: .failed) }
        program.migrations.withLock { $0 = scratch.path }
        #expect(await program.run("migrate", "up", program.policy(), "--contract") == .usage)
        let gone = ActionPolicy(call: .run(["test", "-e", scratch.file("gone")]), check: nil, deadline: .seconds(10))
        program.contract.withLock {
            $0 = MigrationPolicy.Contract(
                oldVersionGone: .probe(gone), dualWrite: .notNeeded("nothing is written twice"),
                backfill: .query("SELECT count(*) FROM orders WHERE cents IS NULL"))
        }
        // By itself it ends before what takes something away.
        #expect(await program.run("migrate", "up", program.policy()) == .ok)
        #expect(try await sql("SELECT version FROM schema_migrations") == "2")
        #expect(await program.run("migrate", "up", program.policy(), "--to", "3") == .refused)
        _ = try await sql("INSERT INTO orders VALUES (1, 1, NULL)")
        #expect(await program.run("migrate", "up", program.policy(), "--contract") == .refused)
        #expect(program.messages.withLock { $0 }.contains("refused by after, old_version_gone, backfill"))
        #expect(try await sql("SELECT version FROM schema_migrations") == "2")
        let now = try program.session().now
        program.operations.state.withLock {
            $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted)
            $0.status.since = now - .hours(23)
        }
        _ = try await sql("UPDATE orders SET cents = 100")
        try scratch.write("gone", "")
        #expect(await program.run("migrate", "up", program.policy(), "--contract") == .refused)
        #expect(program.messages.withLock { $0 }.contains("refused by after;"))
        program.operations.state.withLock { $0.status.since = now - .hours(25) }
        // All agree; but nothing brings back what is taken away, and nobody has said that nothing need.
        #expect(await program.run("migrate", "up", program.policy(), "--contract") == .refused)
        #expect(program.messages.withLock { $0 }.contains("and the policy has no backup"))
        #expect(try await sql("SELECT version FROM schema_migrations") == "2")
        let willing = ["migrate", "up", program.policy(), "--contract", "--without-backup", "amount is in cents as well"]
        // Those who watch the gates are not alone with what is gone afterwards.
        #expect(await program.run(willing) == .refused)
        #expect(program.messages.withLock { $0 }.contains("approvals needed by other people than you: 2, there are 0"))
        for person in [Principal.uid(4711), .uid(4712)] { _ = try await program.approveMigration(by: person) }
        #expect(await program.run(willing) == .ok)
        #expect(try await sql("SELECT version FROM schema_migrations") == "3")
        // Every answer of every try is recorded.
        #expect(
            try await sql("SELECT string_agg(passed::text, ' ' ORDER BY id) FROM serin.contract_gates")
                == "false false true false false true true true" + String(repeating: " true", count: 12))
        #expect(
            try await sql("SELECT answer FROM serin.contract_gates WHERE gate = 'backfill' ORDER BY id LIMIT 1")
                == "SELECT count(*) FROM orders WHERE cents IS NULL gave 1")
    }
}
