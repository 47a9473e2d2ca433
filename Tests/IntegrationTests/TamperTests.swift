import FoundationEssentials
import SerinModel
import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// What `serin verify` says about the journal of a real rollout that someone edited with the sqlite3 shell.
    @Suite(.serialized) struct Tampering {
        @Test func aJournalInUseIsVerifiedWhileTheRolloutGoesOn() async throws {
            var text = PolicyText()
            text.times["bake"] = "20s"
            try await Scene.play(Stage.services[0], text) { scene in
                let run = try scene.start(scene.release(Stage.good))
                defer { run.stop() }
                try await scene.awaitWeight(1000)
                let verified = try await scene.serin("verify", scene.service, "-o", "json")
                #expect(verified.termination == .exited(0), "\(verified.text)")
                guard case .array(let journals)? = try JSONValue(parsing: verified.output)["journals"],
                    let head = journals.first?["head"]?.text, let size = journals.first?["entries"]?.integer
                else { throw Failure(.invalid, "no head: \(verified.text)") }
                async let again = scene.serin("verify", scene.service, "--head", head)
                let halted = try await scene.serin("halt", scene.service)
                #expect(halted.termination == .exited(0), "\(halted.text)")
                #expect(try await again.termination == .exited(0))
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                let later = try await scene.serin("verify", scene.service, "--head", head)
                #expect(later.termination == .exited(0), "\(later.text)")
                let longer = "\(size + 100_000)" + head.drop { $0 != ":" }
                let cut = try await scene.serin("verify", scene.service, "--head", longer)
                #expect(cut.termination == .exited(8), "\(cut.text)")
            }
        }

        @Test func anEditDeletionSwapOrTruncationIsFound() async throws {
            try await Scene.play { scene in
                let run = try scene.start(scene.release(Stage.bad))
                #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                let clean = try await scene.serin("verify", scene.service, "-o", "json")
                #expect(clean.termination == .exited(0), "\(clean.text)")
                let document = try JSONValue(parsing: clean.output)
                guard case .array(let journals)? = document["journals"], let head = journals.first?["head"]?.text,
                    let entries = journals.first?["entries"]?.integer
                else { throw Failure(.invalid, "no head: \(clean.text)") }
                #expect(entries > 30)
                let original = try Data(contentsOf: URL(filePath: scene.journal))
                let crimes: [(what: String, statement: String, arguments: [String])] = [
                    ("an edit", "UPDATE entry SET body = replace(body, 'e', 'E') WHERE sequence = 12", []),
                    ("a time", "UPDATE entry SET at = at + 1 WHERE sequence = 12", []),
                    ("a deletion", "DELETE FROM entry WHERE sequence = 12", []),
                    (
                        "a swap",
                        """
                        UPDATE entry SET sequence = 100000 WHERE sequence = 12; UPDATE entry SET sequence = 12 WHERE sequence = 14;
                        UPDATE entry SET sequence = 14 WHERE sequence = 100000;
                        """, []
                    ),
                    ("a truncation", "DELETE FROM entry WHERE sequence > \(entries - 5)", ["--head", head]),
                ]
                for crime in crimes {
                    try original.write(to: URL(filePath: scene.journal))
                    let edited = try await Program(
                        "sqlite3", ["-bail", scene.journal, crime.statement], environment: ["PATH": "/usr/bin:/bin"],
                        deadline: .seconds(10)
                    ).run()
                    try #require(edited.termination == .exited(0), "\(edited.text)")
                    let found = try await scene.serin(["verify", scene.service] + crime.arguments)
                    #expect(found.termination == .exited(8), "\(crime.what): \(found.text)")
                    #expect(found.text.contains("FAILED"), "\(crime.what): \(found.text)")
                }
                try original.write(to: URL(filePath: scene.journal))
                let again = try await scene.serin("verify", scene.service, "--head", head)
                #expect(again.termination == .exited(0), "\(again.text)")
            }
        }
    }
}
