import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// Signals in every phase of a rollout. The phases are tried side by side, each by a service of its own.
    @Suite(.serialized) struct Signals {
        /// A phase by the words that announce it.
        enum Phase: String, CaseIterable, Sendable {
            case preflight = "created → preflight"
            case raise = "→ raising to step 1"
            case warmup = "→ warming up step 1"
            case bake = "→ baking step 1"
            case promotion = "→ promoting"
            case rollback = "→ rolling back"
        }

        @Test(arguments: [SIGINT, SIGTERM]) func interruptedInAnyPhaseItEndsAtZero(signal: Int32) async throws {
            try await eachPhase { phase, scene in
                let run = try await start(scene, phase)
                run.signal(signal)
                let status = try await scene.end(of: run)
                switch phase {
                case .preflight, .raise, .warmup, .bake, .promotion: #expect(status == 4, "\(phase): \(scene.output())")
                // The canary had failed before anyone interrupted.
                case .rollback: #expect(status == 3, "\(phase): \(scene.output())")
                }
                let proof = try await JournalProof(of: scene)
                #expect(proof.status?.isFinal == true, "\(phase): \(scene.output())")
                try await proof.check(scene)
                let mark = scene.stage.promotionMark(of: scene.service)
                #expect(phase != .promotion || access(mark, F_OK) != 0, "the promotion went on after the halt")
            }
        }

        @Test func killedInAnyPhaseItIsTakenUpAndEnds() async throws {
            try await eachPhase { phase, scene in
                let run = try await start(scene, phase)
                run.signal(SIGKILL)
                #expect(try await scene.end(of: run) == 128 + SIGKILL)
                let continued = try scene.start(scene.continuation, log: "continued.log")
                let status = try await scene.end(of: continued)
                let output = scene.output("continued.log")
                switch phase {
                case .preflight, .raise, .warmup, .bake: #expect(status == 0, "\(phase): \(output)")
                // The action was cut off, and its check says that nothing was promoted.
                case .promotion: #expect(status == 3, "\(phase): \(output)")
                case .rollback: #expect(status == 3, "\(phase): \(output)")
                }
                let proof = try await JournalProof(of: scene)
                #expect(proof.status?.isFinal == true, "\(phase): \(output)")
                try await proof.check(scene)
            }
        }

        @Test func aSecondSignalEndsItWithWordsAndAnInheritedNohupHolds() async throws {
            var policy = PolicyText()
            policy.more = "rollback: {run: [sleep, \"20\"], check: {run: [\"true\"]}}"
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good), by: ["/usr/bin/nohup"])
                try await scene.awaitFirstStep()
                run.signal(SIGHUP)
                run.signal(SIGTERM)
                try await scene.awaitOutput("interrupted by SIGTERM")
                #expect(!scene.output().contains("SIGHUP"))
                run.signal(SIGINT)
                #expect(try await scene.end(of: run) == 6)
                #expect(scene.output().contains("ended by a second signal, SIGINT"), "\(scene.output())")
                let continued = try scene.start(scene.continuation, log: "continued.log")
                _ = try await scene.end(of: continued)
            }
        }

        @Test func s19AHaltOfAControllerThatStandsStillIsFoundWhenItWakesUp() async throws {
            var policy = PolicyText()
            policy.times["watchdog_after"] = "2s"
            policy.times["bake"] = "10s"
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitFirstStep()
                run.freeze()
                try await scene.awaitWeight(0)
                let halt = try await scene.serin("halt", scene.service, "--timeout", "5s", "--reason", "payments fail")
                #expect(halt.termination == .exited(75), "\(halt.text)")
                let file = "\(scene.state)/\(scene.service)/halt"
                #expect(access(file, F_OK) == 0, "\(halt.text)")
                run.signal(SIGCONT)
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                #expect(access(file, F_OK) != 0)
                let proof = try await JournalProof(of: scene)
                #expect(proof.raises == [1000], "\(scene.output())")
                try await proof.check(scene)
            }
        }

        private func start(_ scene: Scene, _ phase: Phase) async throws -> ServerProcess {
            let run = try scene.start(scene.release(phase == .rollback ? Stage.bad : Stage.good))
            try await scene.awaitOutput(phase.rawValue)
            return run
        }

        private func eachPhase(_ body: @escaping @Sendable (Phase, Scene) async throws -> Void) async throws {
            let stage = try #require(Stage.current)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (phase, service) in zip(Phase.allCases, Stage.services) {
                    group.addTask {
                        let state = try Scratch()
                        defer { state.remove() }
                        let mark = stage.promotionMark(of: service)
                        defer { unlink(mark) }
                        var policy = PolicyText()
                        policy.times["warmup"] = "1s"
                        // Six programs at a time: Prometheus gets more time to answer.
                        policy.times["poll"] = "1s"
                        policy.times["loss_for"] = "20s"
                        policy.more = """
                            promote:
                              run: [sh, -c, "sleep 2; touch \(mark)"]
                              check: {run: [test, -e, \(mark)]}
                            rollback:
                              run: [sleep, "1"]
                              check: {run: ["true"]}
                            """
                        try await Scene.play(service, policy, state: state) { try await body(phase, $0) }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
