import FoundationEssentials
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
                #expect(proof.journaledRaises.map(\.basisPoints) == [1000, 1000, 1200], "\(scene.output("continued.log"))")
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
                #expect(proof.raises == [1000, 1200])
                try await proof.check(scene)
            }
        }

        @Test func l6AControllerThatStandsStillIsLoweredAndEntersItsStepAgainWhenItWakesUp() async throws {
            var policy = policy
            policy.times["bake"] = "6s"
            policy.times["raise_deadline"] = "20s"
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                run.signal(SIGSTOP)
                let stopped = Instant.wall
                try await scene.awaitWeight(0, within: .seconds(15))
                // 2 s of patience, a second between looks, and a balancer that answers at once.
                #expect(Instant.wall - stopped < .seconds(6))
                let mark = "\(scene.state)/\(scene.service)/watchdog"
                #expect(access(mark, F_OK) == 0, "no mark of the watchdog's lowering")
                let watch = WeightWatch(scene)
                run.signal(SIGCONT)
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                let proof = try await JournalProof(of: scene)
                // Nothing rose but by raises journaled after the awakening, first of them the same step's.
                #expect(proof.journaledRaises.map(\.basisPoints) == [1000, 1000, 1200], "\(scene.output())")
                let again = try #require(proof.journaledRaises.dropFirst().first)
                #expect(watch.changes.allSatisfy { $0.basisPoints == 0 || $0.at >= again.at }, "\(watch.changes)")
                #expect(access(mark, F_OK) != 0, "the mark was not taken")
                #expect(scene.output().contains("watchdog"), "\(scene.output())")
                watch.check(proof)
                try await proof.check(scene)
            }
        }

        @Test func l6ControllersThatEndBeforeTheirFirstPollHaveOnePatienceAmongThem() async throws {
            var policy = policy
            // Half of a poll is what Prometheus has for an answer, so no poll ends while it is frozen.
            policy.times.merge(
                ["watchdog_after": "5s", "poll": "6s", "bake": "12s", "watch": "12s", "loss_for": "12s", "raise_deadline": "20s"]
            ) { $1 }
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                scene.stage.prometheus.freeze()
                defer { scene.stage.prometheus.thaw() }
                run.signal(SIGKILL)
                let ended = Instant.wall
                var lives = 0
                while await scene.weight() != 0, Instant.wall - ended < .seconds(20) {
                    lives += 1
                    let continued = try scene.start(scene.continuation, log: "continued.\(lives).log")
                    try await waitUntil("a watchdog of controller \(lives)") {
                        try scene.handover().contains("\"controller\":\(continued.pid),")
                    }
                    continued.signal(SIGKILL)
                    _ = try await scene.end(of: continued)
                }
                let passed = Instant.wall - ended
                #expect(lives > 3)
                #expect(passed < .seconds(9), "lowered after \(passed) and \(lives) controllers")
                scene.stage.prometheus.thaw()
                // One of those that were killed may have recorded the lowering, so the journal says it and the last one need not.
                let last = try scene.start(scene.continuation, log: "last.log")
                try await waitUntil("the watchdog's lowering in the log") {
                    try await scene.serin("log", scene.service).text.contains("the watchdog had lowered the weight")
                }
                last.signal(SIGTERM)
                #expect(try await scene.end(of: last) == 4, "\(scene.output("last.log"))")
            }
        }

        @Test func l6AWatchdogThatWasKilledIsReplaced() async throws {
            var policy = policy
            policy.times["bake"] = "60s"
            policy.times["max_bake"] = "120s"
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                // It may not have become the program yet that it is to be.
                try await waitUntil("the watchdog", within: .seconds(20)) { try await watchdog(scene) != nil }
                let first = try #require(try await watchdog(scene))
                kill(first, SIGKILL)
                try await waitUntil("another watchdog", within: .seconds(20)) {
                    let found = try await watchdog(scene)
                    return found != nil && found != first
                }
                run.signal(SIGKILL)
                #expect(try await scene.end(of: run) == 128 + SIGKILL)
                try await scene.awaitWeight(0, within: .seconds(15))
            }
        }

        /// The process of a scene's watchdog.
        private func watchdog(_ scene: Scene) async throws -> pid_t? {
            let found = try await Program(
                "pgrep", ["-f", "watchdog \(scene.service) --state \(scene.state)"], deadline: .seconds(5)
            ).run()
            return pid_t(found.text.trimmingPrefix(while: \.isWhitespace).prefix { $0.isNumber })
        }

        /// Starts a rollout, then ends it and its watchdog, as a restart of the machine does.
        private func killAll(of scene: Scene) async throws {
            let run = try scene.start(scene.release(Stage.good))
            try await scene.awaitWeight(1000)
            try await waitUntil("the watchdog", within: .seconds(20)) { try await watchdog(scene) != nil }
            run.signal(SIGKILL)
            #expect(try await scene.end(of: run) == 128 + SIGKILL)
            _ = try await Program(
                "pkill", ["-9", "-f", "watchdog \(scene.service) --state \(scene.state)"], deadline: .seconds(5)
            ).run()
        }

        @Test func l6AfterARestartOfTheMachineAControllerThatEndsAtOnceIsLowered() async throws {
            try await Scene.play(policy) { scene in
                try await killAll(of: scene)
                #expect(await scene.weight() == 1000)
                // The machine was off for an hour, and what is started then ends on its journal: here, where it is opened.
                let folder = "\(scene.state)/\(scene.service)"
                var times = [timespec](repeating: timespec(tv_sec: time(nil) - 3600, tv_nsec: 0), count: 2)
                #expect(utimensat(AT_FDCWD, "\(folder)/sign", &times, 0) == 0)
                let continued = try scene.start(
                    scene.continuation,
                    by: [
                        "strace", "-f", "-o", "/dev/null", "-e", "trace=pread64", "-P", scene.journal, "-e",
                        "inject=pread64:signal=KILL",
                    ],
                    log: "continued.log")
                #expect(try await scene.end(of: continued) != 0)
                try await scene.awaitWeight(0, within: .seconds(15))
            }
        }

        @Test func s15ARolloutThatCannotBeTakenOverIsLoweredAllTheSame() async throws {
            try await Scene.play(policy) { scene in
                try await killAll(of: scene)
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
    /// What the watchdog was told.
    fileprivate func handover() throws -> String {
        try String(contentsOfFile: "\(state)/\(service)/handover.json", encoding: .utf8)
    }

    /// Plays with another policy for the first service.
    static func play(_ policy: PolicyText, _ body: (Scene) async throws -> Void) async throws {
        try await play(Stage.services[0], policy, body)
    }
}
