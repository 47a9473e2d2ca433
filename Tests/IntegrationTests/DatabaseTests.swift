import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// Rollouts whose policy limits a real Postgres primary and its replica.
    @Suite(.serialized) struct Databases {
        private func play(_ body: (Scene, PostgresCluster) async throws -> Void) async throws {
            let scratch = try Scratch("serin-pg")
            defer { scratch.remove() }
            let cluster = try await PostgresCluster.start(in: scratch)
            defer { cluster.stop() }
            let replica = try #require(cluster.replica)
            try await cluster.primary.sql("CREATE TABLE orders(id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
            var policy = PolicyText()
            policy.times["loss_for"] = "2s"
            policy.times["bake"] = "6s"
            policy.more = """
                postgres:
                  url_env: DATABASE_URL
                  replicas: [{url_env: REPLICA_URL}]
                  blocked_sessions: {max: 2, for: 0s}
                  replication_lag: {max: 10s, for: 0s}
                """
            let environment = ["DATABASE_URL": cluster.primary.url(), "REPLICA_URL": replica.url()]
            try await Scene.play(Stage.services[0], policy, environment: environment) { try await body($0, cluster) }
        }

        @Test func aReleaseThatHoldsLocksIsRolledBack() async throws {
            try await play { scene, cluster in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                let lock = "BEGIN; UPDATE orders SET id = 1 WHERE id = 1;"
                let holder = try cluster.primary.session(lock + "\n\\! sleep 30\n")
                defer { holder.stop() }
                var waiting: [ServerProcess] = []
                for _ in 0..<5 { waiting.append(try cluster.primary.session(lock + " COMMIT;")) }
                #expect(try await scene.end(of: run) == 3, "\(scene.output())")
                #expect(scene.output().contains("blocked"), "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
                for session in waiting { session.stop(signal: SIGKILL) }
            }
        }

        @Test func aDatabaseThatIsGoneLetsNothingRise() async throws {
            try await play { scene, cluster in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                cluster.primary.stop()
                try await scene.awaitOutput("is unknown since")
                // Longer than the step would have taken.
                let end = ContinuousClock().now + .seconds(4)
                try await waitUntil("four seconds") {
                    #expect(await scene.weight() == 1000)
                    return ContinuousClock().now >= end
                }
                let halt = try await scene.serin("halt", scene.service, "--reason", "the database is gone")
                #expect(halt.termination == .exited(0), "\(halt.text)")
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                let proof = try await JournalProof(of: scene)
                #expect(proof.raises == [1000])
                try await proof.check(scene)
            }
        }
    }
}
