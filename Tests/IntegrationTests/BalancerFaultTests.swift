import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import SerinTransport
import Testbed
import Testing

extension Integration {
    /// What can happen to the load balancer while a canary has weight.
    @Suite(.serialized) struct BalancerFaults {
        private func policy(onDrift: String) -> PolicyText {
            var policy = PolicyText()
            policy.more = "on_drift: \(onDrift)"
            return policy
        }

        /// A restart brings the map file's 0 back, which looks as if someone else had lowered the weight.
        @Test(arguments: [false, true]) func aRestartedBalancerIsDriftThatRollsBack(isNoticed: Bool) async throws {
            try await Scene.play(policy(onDrift: "rollback")) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitFirstStep()
                try await restart(scene, isNoticed: isNoticed)
                #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                #expect(scene.output().contains("someone else lowered the weight"), "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func aRestartedBalancerGetsTheWeightAgainWhenThePolicyReapplies() async throws {
            try await Scene.play(policy(onDrift: "reapply")) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitFirstStep()
                try await restart(scene, isNoticed: false)
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                let proof = try await JournalProof(of: scene)
                #expect(proof.journaledRaises.map(\.basisPoints) == [1000, 1000, 5000], "\(scene.output())")
                try await proof.check(scene)
            }
        }

        @Test(arguments: [false, true]) func aRestartedBalancerIsHeldUntilAPersonResumes(isNoticed: Bool) async throws {
            try await Scene.play(policy(onDrift: "hold")) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitFirstStep()
                try await restart(scene, isNoticed: isNoticed)
                try await scene.awaitOutput("someone else lowered the weight")
                #expect(await scene.weight() == 0)
                let resumed = try await scene.serin("resume", scene.service)
                #expect(resumed.termination == .exited(0), "\(resumed.text)")
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// With `isNoticed` the balancer is away for longer than a poll.
        private func restart(_ scene: Scene, isNoticed: Bool) async throws {
            guard isNoticed else { return try await scene.stage.balancer.restart() }
            scene.stage.balancer.stop()
            try await scene.awaitOutput("the weight cannot be read")
            try await scene.stage.balancer.start()
        }

        @Test func aWeightRaisedBySomeoneElseIsLoweredAtOnce() async throws {
            try await Scene.play { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitFirstStep()
                await scene.stage.move(scene.service, to: 9000)
                try await waitUntil("lowering") { await scene.weight() ?? 0 <= 5000 }
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// Nobody can lower anything while the socket is gone; the watchdog does so as soon as it is back.
        @Test func l2ARollbackThatCannotReachTheBalancerCallsAPersonAndTheWatchdogGoesOn() async throws {
            var policy = PolicyText()
            policy.times.merge(["loss_for": "1s", "rollback_deadline": "2s", "halt_deadline": "1s", "watchdog_after": "2s"]) {
                $1
            }
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                let socket = scene.stage.balancer.socket
                rename(socket, socket + ".away")
                let status = try await scene.end(of: run)
                rename(socket + ".away", socket)
                #expect(status == 6, "\(scene.output())")
                #expect(scene.output().contains("ROLLBACK INCOMPLETE"), "\(scene.output())")
                #expect(scene.output().contains("ACT NOW"), "\(scene.output())")
                try await scene.awaitWeight(0)
                let continued = try scene.start(scene.continuation, log: "continued.log")
                #expect(try await scene.end(of: continued) == 5, "\(scene.output("continued.log"))")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test(arguments: ["never", "always"]) func s12AShareThatDoesNotFitTheWeightIsTakenBack(cohort: String) async throws {
            var policy = PolicyText()
            policy.times["loss_for"] = "1s"
            policy.times["bake"] = "20s"
            policy.steps = "[50]"
            try await Scene.play(policy) { scene in
                let transport = try Transport()
                defer { transport.shutdown() }
                var load = LoadGenerator(
                    transport: transport, url: "http://127.0.0.1:\(scene.stage.balancer.port)/", runners: 4, rate: 300)
                load.headers = [HTTPHeader("X-Canary", cohort)]
                let run = try scene.start(scene.release(Stage.good))
                let generator = load
                async let report = generator.run(for: .seconds(30), limit: 9000) { run.isRunning }
                #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                #expect(scene.output().contains("requests at weight 50%"), "\(scene.output())")
                #expect(await report.answers.count > 100)
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// HAProxy answers for a backend without servers itself, with errors that no instance counts.
        @Test func s12ADeadCanaryIsTakenBack() async throws {
            var policy = PolicyText()
            policy.times["loss_for"] = "1s"
            policy.times["bake"] = "20s"
            policy.steps = "[50]"
            try await Scene.play(policy) { scene in
                let transport = try Transport()
                defer { transport.shutdown() }
                let load = LoadGenerator(
                    transport: transport, url: "http://127.0.0.1:\(scene.stage.balancer.port)/", runners: 4, rate: 300)
                let run = try scene.start(scene.release(Stage.good))
                async let report = load.run(for: .seconds(30), limit: 9000) { run.isRunning }
                try await scene.awaitWeight(5000)
                scene.stage.canary.stop()
                let status = try await scene.end(of: run)
                try scene.stage.canary.start()
                #expect(status == 3, "\(scene.output())")
                #expect(scene.output().contains("requests at weight 50%"), "\(scene.output())")
                _ = await report
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
