import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// One controller of two services, asked over its sockets.
    @Suite(.serialized) struct Daemons {
        @Test func oneDaemonReleasesTwoServicesAndAnswersForBoth() async throws {
            let state = try Scratch()
            defer { state.remove() }
            try await Scene.play(Stage.services[0], state: state) { scene in
                try await Scene.play(Stage.services[1], state: state) { other in
                    let daemon = try scene.start(["daemon"])
                    defer { daemon.stop() }
                    try await waitUntil("the daemon") { scene.output().contains("listening at") }
                    let started = try await scene.serin(
                        "start", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                    #expect(started.termination == .exited(0), "\(started.text)")
                    let second = try await other.serin("run", other.policy, "--version", Stage.bad, "--previous", Stage.old)
                    #expect(second.termination == .exited(3), "\(second.text)")
                    let waited = try await scene.serin("wait", scene.service)
                    #expect(waited.termination == .exited(0), "\(waited.text)")
                    let status = try await scene.serin("status")
                    #expect(status.text.contains("passed") && status.text.contains("rolled back"), "\(status.text)")
                    for verb in ["status", "log", "why"] {
                        let answer = try await other.serin(verb, other.service)
                        #expect(answer.termination == .exited(0), "\(verb): \(answer.text)")
                        #expect(!answer.output.isEmpty, "\(verb)")
                    }
                    daemon.signal(SIGTERM)
                    #expect(try await scene.end(of: daemon) == 0, "\(scene.output())")
                    try await JournalProof(of: scene).check(scene)
                    try await JournalProof(of: other).check(other)
                }
            }
        }

        @Test func aDaemonOfFinishedRolloutsRestsAnswersAndStartsOthers() async throws {
            let state = try Scratch()
            defer { state.remove() }
            try await Scene.play(Stage.services[0], state: state) { scene in
                try await Scene.play(Stage.services[1], state: state) { other in
                    // Once with the rollouts that it drove itself, once with those of the daemon before it.
                    for log in ["first.log", "next.log"] {
                        let daemon = try scene.start(["daemon"], log: log)
                        defer { daemon.stop() }
                        try await waitUntil("the daemon") { scene.output(log).contains("listening at") }
                        try await expectRest(of: daemon)
                        for one in [scene, other] {
                            let started = try await one.serin(
                                "start", one.policy, "--version", Stage.good, "--previous", Stage.old)
                            #expect(started.termination == .exited(0), "\(started.text)")
                            #expect(try await one.serin("halt", one.service).termination == .exited(0))
                            #expect(try await one.serin("wait", one.service).termination == .exited(4))
                        }
                        try await expectRest(of: daemon)
                        #expect(try await scene.serin("status").termination == .exited(0))
                        for one in [scene, other] {
                            #expect(access("\(one.state)/\(one.service)/handover.json", F_OK) != 0)
                        }
                        daemon.signal(SIGTERM)
                        #expect(try await scene.end(of: daemon, within: .seconds(10)) == 0, "\(scene.output(log))")
                    }
                }
            }
        }

        /// Expects that a process uses less than a tenth of a processor, once what it had to do is done.
        private func expectRest(of process: ServerProcess) async throws {
            try await waitUntil("rest of the daemon") {
                let before = try processorTicks(process.pid)
                // sleeps: it is measured what happens in this time
                try await Task.sleep(for: .seconds(1))
                return try processorTicks(process.pid) - before < 10
            }
        }

        /// The processor time of a process, in hundredths of a second.
        private func processorTicks(_ pid: Int32) throws -> Int {
            let bytes = try #require(FileManager.default.contents(atPath: "/proc/\(pid)/stat"))
            // The name, in parentheses, may contain anything; user and system time are the 12th and 13th field after it.
            let text = String(decoding: bytes, as: UTF8.self)
            let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
            return try #require(Int(fields[12])) + #require(Int(fields[13]))
        }

        @Test func aDaemonThatEndsLeavesItsRolloutsToTheNextOne() async throws {
            let state = try Scratch()
            defer { state.remove() }
            try await Scene.play(Stage.services[0], state: state) { scene in
                try await Scene.play(Stage.services[1], state: state) { other in
                    let first = try scene.start(["daemon"], log: "first.log")
                    defer { first.stop() }
                    try await waitUntil("the daemon") { scene.output("first.log").contains("listening at") }
                    for one in [scene, other] {
                        let started = try await one.serin("start", one.policy, "--version", Stage.good, "--previous", Stage.old)
                        #expect(started.termination == .exited(0), "\(started.text)")
                    }
                    try await scene.awaitWeight(1000)
                    try await other.awaitWeight(1000)
                    first.signal(SIGTERM)
                    #expect(try await scene.end(of: first) == 0, "\(scene.output("first.log"))")
                    #expect(await scene.weight() == 1000, "a stop is no rollback")
                    let next = try scene.start(["daemon"], log: "next.log")
                    defer { next.stop() }
                    try await waitUntil("the next daemon") { scene.output("next.log").contains("listening at") }
                    let halted = try await other.serin("halt", other.service, "--reason", "not this one")
                    #expect(halted.termination == .exited(0), "\(halted.text)")
                    #expect(try await other.serin("wait", other.service).termination == .exited(4))
                    let waited = try await scene.serin("wait", scene.service)
                    #expect(waited.termination == .exited(0), "\(waited.text)")
                    next.signal(SIGTERM)
                    #expect(try await scene.end(of: next) == 0, "\(scene.output("next.log"))")
                    try await JournalProof(of: scene).check(scene)
                    try await JournalProof(of: other).check(other)
                }
            }
        }

        @Test func aDaemonThatIsKilledLeavesItsRolloutsToTheNextOne() async throws {
            try await Scene.play { scene in
                let first = try scene.start(["daemon"], log: "first.log")
                try await waitUntil("the daemon") { scene.output("first.log").contains("listening at") }
                let client = try scene.start(scene.release(Stage.good), log: "client.log")
                try await scene.awaitWeight(1000)
                first.signal(SIGKILL)
                #expect(try await scene.end(of: first) == 128 + SIGKILL)
                let next = try scene.start(["daemon"], log: "next.log")
                defer { next.stop() }
                // The client goes on waiting, at the next daemon.
                #expect(try await scene.end(of: client) == 0, "\(scene.output("client.log"))\n\(scene.output("next.log"))")
                next.signal(SIGTERM)
                #expect(try await scene.end(of: next) == 0, "\(scene.output("next.log"))")
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
