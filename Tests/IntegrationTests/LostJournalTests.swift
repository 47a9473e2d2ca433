import FoundationEssentials
import Glibc
import SerinCrypto
import SerinModel
import SerinProcesses
import SerinRollouts
import SerinTransport
import Testbed
import Testing

extension Integration {
    /// A halt when the journal is damaged, when another process has its lock, and by the file that halts everything.
    @Suite(.serialized) struct HaltsWithoutAJournal {
        private static let token = "not-a-real-token"

        private func configuration(_ scene: Scene) throws -> String {
            let file = scene.file("serin.yaml")
            try """
            version: 1
            listen: [{address: "127.0.0.1:0"}]
            hooks: {alerts: {kind: alertmanager, secret_env: HOOK_TOKEN}}
            """.write(toFile: file, atomically: true, encoding: .utf8)
            return file
        }

        private func alert(_ scene: Scene, log: String) async throws -> HTTPResponse {
            let address = try #require(scene.output(log).firstMatch(of: /listening at (http:[^\s]*)/)?.1)
            let body =
                #"{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Errors","serin_action":"halt","service":"\#(scene.service)"}}]}"#
            return try await Transport().send(
                HTTPRequest(
                    method: "POST", url: "\(address)/hooks/alertmanager/alerts",
                    headers: [HTTPHeader("Authorization", "Bearer \(Self.token)")], body: Array(body.utf8), timeout: .seconds(20))
            )
        }

        private var policy: PolicyText {
            var policy = PolicyText()
            policy.times["bake"] = "2m"
            policy.times["max_bake"] = "10m"
            // Longer than the test: what lowers the weight is not the patience.
            policy.times["watchdog_after"] = "5m"
            return policy
        }

        @Test func s15ADamagedJournalLowersTheCanaryAtOnceAndEveryHaltSaysThatItIsNotRecorded() async throws {
            try await Scene.play(Stage.services[0], policy, environment: ["HOOK_TOKEN": Self.token]) { scene in
                let arguments = ["daemon", "--config", try configuration(scene)]
                let first = try scene.start(arguments, log: "first.log")
                defer { first.stop() }
                try await waitUntil("the daemon") { scene.output("first.log").contains("listening at http") }
                // Nothing is live, and nobody has such a service: the sender learns it.
                #expect(try await alert(scene, log: "first.log").status == 422)
                let started = try await scene.serin("start", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                #expect(started.termination == .exited(0), "\(started.text)")
                try await scene.awaitWeight(1000)
                first.signal(SIGKILL)
                _ = try await scene.end(of: first)
                let folder = "\(scene.state)/\(scene.service)"
                for name in ["journal.sqlite-wal", "journal.sqlite-shm"] { unlink("\(folder)/\(name)") }
                try Data(repeating: 0x5A, count: 8192).write(to: URL(fileURLWithPath: "\(folder)/journal.sqlite"))

                let next = try scene.start(arguments, log: "next.log")
                defer { next.stop() }
                try await waitUntil("the next daemon") { scene.output("next.log").contains("listening at http") }
                try await scene.awaitWeight(0, within: .seconds(20))
                #expect(scene.output("next.log").contains("is lowered to 0 now"), "\(scene.output("next.log"))")
                #expect(try await alert(scene, log: "next.log").status == 503)
                let file = "\(folder)/halt"
                #expect(access(file, F_OK) == 0, "no halt file")
                unlink(file)
                let halted = try await scene.serin("halt", scene.service, "--reason", "payments fail")
                #expect(halted.termination == .exited(75), "\(halted.text)")
                #expect(access(file, F_OK) == 0, "no halt file: \(halted.text)")
                let status = try await scene.serin("status")
                #expect(status.text.contains("journal of \(scene.service)"), "\(status.text)")
                let address = try #require(scene.output("next.log").firstMatch(of: /listening at (http:[^\s]*)/)?.1)
                let ready = try await Transport().send(HTTPRequest(url: "\(address)/readyz", timeout: .seconds(20)))
                #expect(ready.status == 503)
            }
        }

        @Test func s19AFileInTheStateFolderHaltsEverythingAndLetsNothingBeginUntilItIsGone() async throws {
            let state = try Scratch()
            defer { state.remove() }
            try await Scene.play(Stage.services[0], policy, state: state) { scene in
                try await Scene.play(Stage.services[1], policy, state: state) { other in
                    let daemon = try scene.start(["daemon"])
                    defer { daemon.stop() }
                    try await waitUntil("the daemon") { scene.output().contains("listening at") }
                    let start = ["--version", Stage.good, "--previous", Stage.old]
                    for one in [scene, other] {
                        let started = try await one.serin(["start", one.policy] + start)
                        #expect(started.termination == .exited(0), "\(started.text)")
                    }
                    try await scene.awaitWeight(1000)
                    try await other.awaitWeight(1000)
                    let path = "\(scene.state)/halt"
                    try "payments fail".write(toFile: path, atomically: true, encoding: .utf8)
                    for one in [scene, other] {
                        try await one.awaitWeight(0)
                        #expect(try await one.serin("wait", one.service).termination == .exited(4))
                        let log = try await one.serin("log", one.service)
                        #expect(log.text.contains("halt by uid:\(geteuid()): payments fail"), "\(log.text)")
                        let again = try await one.serin(["start", one.policy] + start)
                        #expect(again.termination == .exited(7) && again.text.contains(path), "\(again.text)")
                    }
                    #expect(access(path, F_OK) == 0, "the file is for people to take away")
                    let status = try await scene.serin("status")
                    #expect(status.text.contains("\(path) halts every rollout"), "\(status.text)")
                    unlink(path)
                    let started = try await scene.serin(["start", scene.policy] + start)
                    #expect(started.termination == .exited(0), "\(started.text)")
                    #expect(try await scene.serin("halt", scene.service).termination == .exited(0))
                    #expect(try await scene.serin("wait", scene.service).termination == .exited(4))
                    daemon.signal(SIGTERM)
                    #expect(try await scene.end(of: daemon) == 0, "\(scene.output())")
                    let proof = try await JournalProof(of: other)
                    #expect(proof.halts.count == 1)
                    try await proof.check(other)
                }
            }
        }

        @Test func l3AServiceWhoseLockWasHeldAtTheStartIsTakenOverWhenItIsFree() async throws {
            try await Scene.play(Stage.services[0], policy) { scene in
                let first = try scene.start(["daemon"], log: "first.log")
                defer { first.stop() }
                try await waitUntil("the daemon") { scene.output("first.log").contains("listening at") }
                let started = try await scene.serin("start", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                #expect(started.termination == .exited(0), "\(started.text)")
                try await scene.awaitWeight(1000)
                first.signal(SIGKILL)
                _ = try await scene.end(of: first)
                let folder = "\(scene.state)/\(scene.service)"
                let lock = open("\(folder)/lock", O_RDWR | O_CLOEXEC)
                try #require(flock(lock, LOCK_EX | LOCK_NB) == 0)
                let next = try scene.start(["daemon"], log: "next.log")
                defer { next.stop() }
                try await waitUntil("the next daemon") { scene.output("next.log").contains("listening at") }
                // Whoever has the lock is told by the file, and the sender that nothing is recorded.
                let early = try await scene.serin("halt", scene.service)
                #expect(early.termination == .exited(75), "\(early.text)")
                #expect(access("\(folder)/halt", F_OK) == 0)
                close(lock)
                try await waitUntil("the halt is taken", within: .seconds(40)) { access("\(folder)/halt", F_OK) != 0 }
                #expect(try await scene.serin("wait", scene.service).termination == .exited(4))
                #expect(await scene.weight() == 0)
            }
        }
    }
}
