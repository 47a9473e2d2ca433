import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// The program is killed (signal 9) at its journal's writes while it migrates and while it takes a migration back.
    @Suite(.serialized, .shopServer) struct MigrationCrashes {
        /// 1 kills at every write, more at every so many; without it one write of the migration is.
        private static let stride = number("SERIN_KILL_STRIDE")
        /// The one write at which to kill, to look at another.
        private static let place = number("SERIN_KILL_AT")

        private static func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

        @Test(.timeLimit(.minutes(stride == nil ? 8 : 90))) func s3s6s13l2AnAdditionIsTakenBackWhereverTheProgramIsKilled()
            async throws
        {
            try await Shop.play { shop in
                ["schema: downgrade", try shop.probe(failingAt: 2)]
            } _: { shop, scene in
                try shop.add(
                    "0002_note", up: "ALTER TABLE orders ADD COLUMN note text", down: "ALTER TABLE orders DROP COLUMN note")
                let before = try await shop.dump()
                try await killEverywhere(scene, usually: 26) { comment in
                    let next = try await scene.serin(scene.continuation, deadline: .seconds(120))
                    #expect(next.termination == .exited(3), "\(comment): \(next.text)")
                } check: { comment in
                    let (dump, place) = try await (shop.dump(), shop.sql("SELECT version, dirty FROM schema_migrations"))
                    #expect(dump == before, comment)
                    #expect(place == "1|f", comment)
                }
                try await shop.expectEveryOrder()
            }
        }

        @Test(.timeLimit(.minutes(stride == nil ? 8 : 90))) func s3s6s13l2WritesAreFencedAndLetInWhereverTheProgramIsKilled()
            async throws
        {
            try await Shop.play { shop in
                try shop.destructive(approvals: 1) + [shop.probe(failingAt: 2)]
            } _: { shop, scene in
                try shop.add("0002_half", up: "DELETE FROM orders WHERE id = -2", down: "SELECT 1")
                try await killEverywhere(scene, usually: 27) { comment in
                    let next = try scene.start(scene.continuation, log: "next.log")
                    try await agree(scene, until: next)
                    #expect(next.exitStatus == 3, "\(comment): \(scene.output("next.log"))")
                } check: { comment in
                    let mayWrite = try await shop.sql("SELECT has_table_privilege('app', 'orders', 'INSERT')")
                    #expect(mayWrite == "t", comment)
                    // A person has kept the schema as it was.
                    let alone = try await scene.serin(
                        "migrate", "down", "--sql", shop.scratch.file("migrations"), "--url-env", "SHOP", "--to", "0001",
                        "--may-destroy", "the next round begins here", "--database", shop.database)
                    #expect(
                        alone.termination == .exited(7) && alone.text.contains("by the policy of"), "\(comment): \(alone.text)")
                    // The next round begins here.
                    try await shop.sql(
                        "UPDATE schema_migrations SET version = 1; DELETE FROM serin.migration_steps WHERE revision = '0002'")
                }
            }
        }

        /// A person who agrees to the migration, and keeps the schema when asked for a restore.
        private func agree(_ scene: Scene, until process: ServerProcess) async throws {
            do {
                try await waitUntil("the end of the program", within: .seconds(60)) {
                    guard process.isRunning else { return true }
                    // Refused where nobody asks for a restore.
                    _ = try await scene.serin("resume", scene.service)
                    let status = try await scene.serin("status", scene.service, "-o", "json")
                    // None while nothing can be asked, or nothing has begun.
                    guard let document = try? JSONValue(parsing: status.output.prefix { $0 != 0x0A }) else { return false }
                    let rollout = document["rollouts"]?.items?.first ?? document
                    if let plan = rollout["approval_plan"]?.text {
                        _ = try await scene.serin("approve", scene.service, "--plan", plan)
                    }
                    return false
                }
            } catch {
                throw Failure(.transient, "\(error); the program said:\n\(process.logTail(8000))")
            }
        }

        /// Starts rollouts whose probe fails after the migration, each killed at another write of the journal, and takes each up.
        private func killEverywhere(
            _ scene: Scene, usually usual: Int, takeUp: (Comment) async throws -> Void,
            check: (Comment) async throws -> Void
        ) async throws {
            // Before that nothing is begun: the journal is made and opened. What comes later is killed in the migration or on its way back.
            var place = Self.stride.map { 5 + Int.random(in: 1...$0) } ?? Self.place ?? usual
            print("seed \(place)")
            var states: [String: Int] = [:]
            while true {
                let known = try await JournalProof(of: scene).status?.id
                let strace = [
                    "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
                    "inject=fdatasync:signal=SIGKILL:when=\(place)",
                ]
                let run = try scene.start(scene.release(Stage.good), by: strace, log: "run-\(place).log")
                try await agree(scene, until: run)
                let proof = try await JournalProof(of: scene)
                let comment: Comment = "killed at \(place), \(proof.status?.state ?? "-"): \(scene.output("run-\(place).log"))"
                let isOver = run.exitStatus != 128 + SIGKILL
                if let status = proof.status, status.id != known, !status.isFinal {
                    states[status.state, default: 0] += 1
                    try await takeUp(comment)
                }
                try await check(comment)
                let last = try await JournalProof(of: scene)
                // Killed before the first entry there is nothing to prove.
                if last.last > 0 {
                    #expect(last.status?.isFinal ?? true, comment)
                    try await last.check(scene)
                }
                guard let stride = Self.stride, !isOver else { break }
                place += stride
            }
            print("killed \(states)")
            if Self.stride == nil, Self.place == nil { #expect(!states.isEmpty, "nothing was killed at \(place)") }
            if Self.stride == 1 { for state in ["migrating", "rolling back"] { #expect(states[state] != nil, "\(states)") } }
        }
    }
}
