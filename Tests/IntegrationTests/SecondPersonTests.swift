import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// A step that needs somebody else's agreement, with two real users.
    @Suite(.serialized) struct SecondPersons {
        @Test(.enabled("needs root, to act as two users") { geteuid() == 0 })
        func s10AnotherUserApprovesWhatTheAuthorMayNot() async throws {
            // Outside a demonstration a bake this short is an override that another person must agree to.
            var policy = PolicyText()
            policy.environment = "staging"
            let overrides = ["bake=2s", "warmup=0s", "min_evidence=1s", "poll=500ms"].flatMap { ["--override", $0] }
            policy.times = [:]
            try await Scene.play(policy) { scene in
                let run = try scene.start(
                    scene.release(Stage.good) + overrides + ["--reason", "a hurry", "--socket-group", "nogroup"])
                try await scene.awaitOutput("awaiting approval")
                let own = try await scene.serin("approve", scene.service)
                #expect(own.termination == .exited(7), "\(own.text)")
                #expect(await scene.weight() == 0)
                // The second person may not even look into the place where the program was built.
                let copy = scene.file("serin")
                let copied = try await Program("cp", [try Scene.program(), copy], deadline: .seconds(20)).run()
                try #require(copied.termination == .exited(0), "\(copied.text)")
                let second = try await Program(
                    "setpriv",
                    ["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", copy, "approve", scene.service],
                    environment: ["SERIN_STATE": scene.state, "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"],
                    deadline: .seconds(20)
                ).run()
                #expect(second.termination == .exited(0), "\(second.text)")
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                let log = try await scene.serin("log", scene.service)
                #expect(log.text.contains("approve by") && log.text.contains("65534"), "\(log.text)")
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
