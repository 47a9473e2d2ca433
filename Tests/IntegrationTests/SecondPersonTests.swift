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
                let plan = try await scene.awaitedPlan()
                let own = try await scene.serin("approve", scene.service, "--plan", plan)
                #expect(own.termination == .exited(7), "\(own.text)")
                #expect(await scene.weight() == 0)
                // The second person may not even look into the place where the program was built.
                let copy = scene.file("serin")
                let copied = try await Program("cp", [try Scene.program(), copy], deadline: .seconds(20)).run()
                try #require(copied.termination == .exited(0), "\(copied.text)")
                let second = try await Program(
                    "setpriv",
                    [
                        "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", copy, "approve", scene.service, "--plan",
                        plan,
                    ],
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

        @Test(.enabled("needs root, to act as two users") { geteuid() == 0 })
        func s19AMemberOfTheSocketsGroupHaltsTheRolloutAndNobodyElse() async throws {
            var policy = PolicyText()
            policy.times["bake"] = "60s"
            policy.times["max_bake"] = "120s"
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good) + ["--socket-group", "nogroup"])
                try await scene.awaitWeight(1000)
                let copy = scene.file("serin")
                let copied = try await Program("cp", [try Scene.program(), copy], deadline: .seconds(20)).run()
                try #require(copied.termination == .exited(0), "\(copied.text)")
                func halt(group: String) async throws -> Completion {
                    try await Program(
                        "setpriv",
                        ["--reuid=nobody", "--regid=\(group)", "--clear-groups", "--", copy, "halt", scene.service],
                        environment: ["SERIN_STATE": scene.state, "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"],
                        deadline: .seconds(20)
                    ).run()
                }
                for path in [scene.state, "\(scene.state)/\(scene.service)"] {
                    var status = stat()
                    #expect(stat(path, &status) == 0)
                    #expect(status.st_mode & 0o777 == 0o710, "\(path)")
                }
                let stranger = try await halt(group: "users")
                #expect(stranger.termination != .exited(0), "\(stranger.text)")
                #expect(await scene.weight() == 1000)
                let member = try await halt(group: "nogroup")
                #expect(member.termination == .exited(0), "\(member.text)")
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                #expect(scene.output().contains("halt by uid:65534"), "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
