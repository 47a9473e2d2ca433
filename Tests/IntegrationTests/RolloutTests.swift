import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// Whole rollouts by `serin run`, with no daemon.
    @Suite(.serialized) struct WholeRollouts {
        @Test func aGoodReleaseIsPromoted() async throws {
            try await Scene.play { scene in
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                #expect(completion.termination == .exited(0), "\(completion.text)")
                #expect(await scene.weight() == 0)
                let proof = try await JournalProof(of: scene)
                #expect(proof.raises == [1000, 5000], "\(completion.text)")
                try await proof.check(scene)
            }
        }

        @Test func aReleaseOfWhichFourPerCentFailIsRolledBack() async throws {
            try await Scene.play { scene in
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.bad, "--previous", Stage.old)
                #expect(completion.termination == .exited(3), "\(completion.text)")
                #expect(await scene.weight() == 0)
                #expect(completion.text.contains("FAIL errors"), "\(completion.text)")
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
