import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// The controller is gone and nobody takes the rollout up.
    @Suite(.serialized) struct Watchdogs {
        private var policy: PolicyText {
            var policy = PolicyText()
            policy.times["watchdog_after"] = "2s"
            return policy
        }

        @Test func l6TheWatchdogLowersAnAbandonedCanaryAndItsStepIsEnteredAgain() async throws {
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitFirstStep()
                run.signal(SIGKILL)
                #expect(try await scene.end(of: run) == 128 + SIGKILL)
                try await scene.awaitWeight(0, within: .seconds(15))
                let mark = "\(scene.state)/\(scene.service)/watchdog"
                #expect(access(mark, F_OK) == 0, "no mark of the watchdog's lowering")
                let continued = try scene.start(scene.continuation, log: "continued.log")
                #expect(try await scene.end(of: continued) == 0, "\(scene.output("continued.log"))")
                #expect(access(mark, F_OK) != 0, "the mark was not taken")
                let proof = try await JournalProof(of: scene)
                // The step was entered a second time, by a raise of its own.
                #expect(proof.journaledRaises.map(\.basisPoints) == [1000, 1000, 5000], "\(scene.output("continued.log"))")
                let log = try await scene.serin("log", scene.service)
                #expect(log.text.contains("watchdog"), "\(log.text)")
                try await proof.check(scene)
            }
        }

        @Test func theWatchdogLeavesARolloutAloneThatIsTakenUpInTime() async throws {
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                run.signal(SIGKILL)
                #expect(try await scene.end(of: run) == 128 + SIGKILL)
                let continued = try scene.start(scene.continuation, log: "continued.log")
                #expect(try await scene.end(of: continued) == 0, "\(scene.output("continued.log"))")
                let proof = try await JournalProof(of: scene)
                #expect(proof.raises == [1000, 5000])
                try await proof.check(scene)
            }
        }

        @Test func s15ARolloutThatCannotBeTakenOverIsLoweredAllTheSame() async throws {
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                run.signal(SIGKILL)
                #expect(try await scene.end(of: run) == 128 + SIGKILL)
                // As after a restart of the machine: the watchdog is gone as well.
                _ = try await Program(
                    "pkill", ["-9", "-f", "watchdog \(scene.service) --state \(scene.state)"], deadline: .seconds(5)
                ).run()
                _ = try await Program(
                    "sqlite3",
                    ["\(scene.state)/\(scene.service)/journal.sqlite", "UPDATE entry SET body = '{}' WHERE sequence = 3"],
                    deadline: .seconds(5)
                ).run()
                let continued = try scene.start(scene.continuation, log: "continued.log")
                #expect(try await scene.end(of: continued) == 75, "\(scene.output("continued.log"))")
                try await scene.awaitWeight(0, within: .seconds(15))
            }
        }

        @Test func theWatchdogEndsWithItsRollout() async throws {
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.bad))
                #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                try await waitUntil("end of the watchdog") {
                    let found = try await Program(
                        "pgrep", ["-f", "watchdog \(scene.service) --state \(scene.state)"], deadline: .seconds(5)
                    )
                    .run()
                    return found.termination == .exited(1)
                }
            }
        }
    }
}

extension Scene {
    /// Plays with another policy for the first service.
    static func play(_ policy: PolicyText, _ body: (Scene) async throws -> Void) async throws {
        try await play(Stage.services[0], policy, body)
    }
}
