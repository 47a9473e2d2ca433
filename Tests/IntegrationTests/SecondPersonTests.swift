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
                let second = try await scene.other("approve", scene.service, "--plan", plan)
                #expect(second.termination == .exited(0), "\(second.text)")
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                let log = try await scene.serin("log", scene.service)
                #expect(log.text.contains("approve by") && log.text.contains("65534"), "\(log.text)")
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// Somebody agrees while the daemon is down: not refused, but to be tried again, and then it counts.
        @Test(.enabled("needs root, to act as two users") { geteuid() == 0 })
        func anApprovalThatNobodyHearsIsToBeTriedAgain() async throws {
            var policy = PolicyText()
            policy.environment = "staging"
            let overrides = ["bake=2s", "warmup=0s", "min_evidence=1s", "poll=500ms"].flatMap { ["--override", $0] }
            policy.times = [:]
            try await Scene.play(policy) { scene in
                let daemon = ["daemon", "--socket-group", "nogroup"]
                let first = try scene.start(daemon)
                try await waitUntil("the daemon") { scene.output().contains("listening at") }
                let start = ["start"] + scene.release(Stage.good).dropFirst() + overrides + ["--reason", "a hurry"]
                #expect(try await scene.serin(start).termination == .exited(0))
                let plan = try await scene.awaitedPlan()
                first.signal(SIGKILL)
                _ = try await scene.end(of: first)
                let unheard = try await scene.other("approve", scene.service, "--plan", plan)
                #expect(unheard.termination == .exited(75), "\(unheard.text)")
                #expect(unheard.text.contains("daemon.sock"), "\(unheard.text)")
                let next = try scene.start(daemon, log: "next.log")
                try await waitUntil("the next daemon") { scene.output("next.log").contains("listening at") }
                let heard = try await scene.other("approve", scene.service, "--plan", plan)
                #expect(heard.termination == .exited(0), "\(heard.text)")
                #expect(try await scene.serin("wait", scene.service).termination == .exited(0), "\(scene.output("next.log"))")
                next.signal(SIGTERM)
                #expect(try await scene.end(of: next) == 0)
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
                for path in [scene.state, "\(scene.state)/\(scene.service)"] {
                    var status = stat()
                    #expect(stat(path, &status) == 0)
                    #expect(status.st_mode & 0o777 == 0o710, "\(path)")
                }
                let stranger = try await scene.other("halt", scene.service, group: "users")
                #expect(stranger.termination != .exited(0), "\(stranger.text)")
                #expect(await scene.weight() == 1000)
                let member = try await scene.other("halt", scene.service)
                #expect(member.termination == .exited(0), "\(member.text)")
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                #expect(scene.output().contains("halt by uid:65534"), "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
