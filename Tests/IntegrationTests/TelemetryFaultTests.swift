import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// What can happen to Prometheus. Each fault has a service of its own, so that they run side by side.
    @Suite(.serialized) struct TelemetryFaults {
        private static let losses: [FickleRelay.Mode] = [.garbage, .half, .silence, .unavailable]

        private func eachLoss(_ body: @escaping @Sendable (FickleRelay.Mode, Scene, FickleRelay) async throws -> Void)
            async throws
        {
            let stage = try #require(Stage.current)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (mode, service) in zip(Self.losses, Stage.services) {
                    group.addTask {
                        let relay = try FickleRelay(to: stage.prometheus.port)
                        defer { relay.stop() }
                        var policy = PolicyText()
                        policy.prometheus = relay.url
                        policy.times["loss_for"] = "2s"
                        try await Scene.play(service, policy) { try await body(mode, $0, relay) }
                    }
                }
                try await group.waitForAll()
            }
        }

        @Test func s4LostTelemetryIsHeldThenTakenBack() async throws {
            try await eachLoss { mode, scene, relay in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                relay.set(mode)
                #expect(try await scene.end(of: run) == 5, "\(mode): \(scene.output())")
                // The failure itself is named, not only that there is one.
                #expect(scene.output().contains(#/telemetry is lost \(.*\): .*prometheus/#), "\(mode): \(scene.output())")
                let proof = try await JournalProof(of: scene)
                #expect(proof.raises == [1000], "\(mode)")
                try await proof.check(scene)
            }
        }

        @Test func telemetryThatComesBackInTimeLetsTheRolloutGoOn() async throws {
            try await eachLoss { mode, scene, relay in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                relay.set(mode)
                try await waitUntil("a hold") { scene.output().contains("telemetry is lost") }
                relay.set(.faithful)
                #expect(try await scene.end(of: run) == 0, "\(mode): \(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func aPrometheusThatIsDownRefusesTheRollout() async throws {
            try await eachLoss { mode, scene, relay in
                relay.set(mode)
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                #expect(completion.termination == .exited(7), "\(mode): \(completion.text)")
                #expect(await scene.weight() == 0)
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func s4AnswersWithWarningsPromoteNothing() async throws {
            let stage = try #require(Stage.current)
            let relay = try FickleRelay(to: stage.prometheus.port)
            defer { relay.stop() }
            var policy = PolicyText()
            policy.prometheus = relay.url
            policy.times["max_bake"] = "6s"
            policy.more = "on_inconclusive: rollback"
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                relay.set(.warnings)
                #expect(try await scene.end(of: run) == 5, "\(scene.output())")
                #expect(scene.output().contains("prometheus' evidence is doubtful: "), "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func s4AControlWithoutSeriesIsALoss() async throws {
            var policy = PolicyText()
            policy.times["loss_for"] = "1s"
            try await Scene.play(policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                for instance in scene.stage.controlInstances { instance.mute(true) }
                let status = try await scene.end(of: run)
                for instance in scene.stage.controlInstances { instance.mute(false) }
                #expect(status == 5, "\(scene.output())")
                try await scene.stage.awaitControl()
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
