import SerinAPI
import SerinLocks
import SerinModel
import SerinPolicies
import Testbed
import Testing

@testable import SerinCommandLine

/// `serin check --daemon` and `serin plan --daemon`, asked of a daemon that sees other things than whoever asks.
@Suite struct AskedDaemonTests {
    private static let release = ["--version", "1.9.0", "--previous", "1.8.3"]

    /// Runs a daemon that has everything, and somebody else who may read nothing of what the policy names.
    private func withDaemon(_ body: (_ daemon: TestProgram, _ runner: TestProgram) async throws -> Void) async throws {
        let program = try TestProgram()
        let runner = try TestProgram(environment: ["SERIN_STATE": program.state.path])
        program.probes.withLock { $0 = [Probe("traffic", .ok, "haproxy answers: 0%")] }
        runner.probes.withLock { $0 = [Probe("preflight", .failed, "the variable TOKEN is not set")] }
        program.write("version: 1", to: "serin.yaml")
        try await RunningDaemon.run(program) { _ in try await body(program, runner) }
    }

    private func take(_ program: TestProgram) -> (output: String, messages: String) {
        let messages = program.messages.withLock { messages in
            defer { messages = "" }
            return messages
        }
        return (program.takeOutput(), messages)
    }

    @Test func aCheckIsWhatTheDaemonSeesAndNotWhatTheRunnerSees() async throws {
        try await withDaemon { daemon, runner in
            let file = runner.policy()
            #expect(await runner.run(["check", file] + Self.release) == .refused)
            #expect(take(runner).messages.contains("a rollout would be refused: 1 of 1 probes failed"))
            #expect(await runner.run(["check", file, "--daemon"] + Self.release) == .ok)
            var said = take(runner)
            #expect(
                said.output == """
                    PROBE    RESULT  DETAIL
                    traffic  ok      haproxy answers: 0%

                    """)
            #expect(said.messages == "\(file): the policy is valid and everything it names works\n")
            // What the daemon finds wrong refuses here too.
            daemon.probes.withLock { $0.append(Probe("prometheus", .failed, "connection refused")) }
            runner.probes.withLock { $0 = [] }
            #expect(await runner.run(["check", file, "--daemon"] + Self.release) == .refused)
            said = take(runner)
            #expect(said.output.contains("\nprometheus  FAILED  connection refused\n"), "\(said.output)")
            #expect(said.messages == "\(file): the policy is valid, but a rollout would be refused: 1 of 2 probes failed\n")
        }
    }

    @Test func aPlanReadsTheSameFromTheDaemonAsFromHere() async throws {
        try await withDaemon { daemon, runner in
            var policy = Policy.sample()
            policy.timing.warmup = .seconds(100)
            for program in [daemon, runner] { program.tried.withLock { $0 = policy } }
            let file = runner.policy()
            for arguments in [["plan", file], ["plan", file] + Self.release, ["plan", file, "-o", "json"]] {
                #expect(await runner.run(arguments) == .ok)
                let here = take(runner)
                #expect(await runner.run(arguments + ["--daemon"]) == .ok)
                let there = take(runner)
                #expect(there.output == here.output && there.messages == here.messages, "\(there)")
                #expect(there.messages.hasPrefix("warning: thin traffic\n") && !there.output.isEmpty)
            }
        }
    }

    @Test func theDaemonsDocumentIsPassedOn() async throws {
        try await withDaemon { daemon, runner in
            #expect(await runner.run("check", runner.policy(), "--daemon", "-o", "json") == .ok)
            let document = try JSONValue(parsing: Array(take(runner).output.utf8))
            #expect(document["schema"]?.text == "serin.dev/check/v1" && document["ok"] == .bool(true))
            #expect(document.at(pointer: "/probes/0/name")?.text == "traffic")
        }
    }

    @Test func whatIsWrongWithThePolicyIsTheDaemonsWordAndExit2() async throws {
        try await withDaemon { _, runner in
            let file = runner.policy("wrong: 1")
            for verb in ["check", "plan"] {
                #expect(await runner.run(verb, file, "--daemon") == .usage)
                let said = take(runner)
                #expect(said.messages.contains("\(file):1:1: unknown key 'wrong'\n  hint: did you mean bake?"), "\(said)")
                #expect(said.output.isEmpty)
            }
        }
    }

    @Test func whileTheDaemonTriesItIsSaidWhatIsWaitedFor() async throws {
        try await withDaemon { daemon, runner in
            daemon.isHeld.withLock { $0 = true }
            defer { daemon.isHeld.withLock { $0 = false } }
            async let code = runner.run("check", runner.policy(), "--daemon", "--timeout", "40s")
            let words = "asking the daemon at \(daemon.state.daemonSocket), at most 40s\n"
            try await waitUntil("what is waited for", within: .seconds(60)) { runner.messages.withLock { $0 }.contains(words) }
            daemon.isHeld.withLock { $0 = false }
            #expect(await code == .ok, "\(take(runner))")
        }
    }

    @Test func withoutADaemonNobodyIsAskedAndNothingIsTriedHere() async throws {
        let program = try TestProgram()
        for verb in ["check", "plan"] {
            #expect(await program.run(verb, program.policy(), "--daemon") == .unreachable)
            let said = take(program)
            #expect(said.messages.contains("no daemon answers at \(program.state.daemonSocket)\nhint: serin daemon starts one"))
            #expect(said.output.isEmpty)
        }
    }

    @Test func whatTheDaemonIsNotToldOfDoesNotGoTogetherWithIt() async throws {
        let program = try TestProgram()
        let file = program.policy()
        let wrong = [
            ["check", file, "--offline"], ["plan", file, "--offline"], ["check", file, "--migrations"],
            ["check", file, "--override", "bake=40s", "--reason", "a demo"],
            ["plan", file, "--override", "bake=40s", "--reason", "a demo"],
        ]
        for arguments in wrong {
            #expect(await program.run(arguments + ["--daemon"]) == .usage)
            let said = take(program)
            #expect(said.messages.contains("--daemon and \(arguments[2]) do not go together\nhint: "), "\(said)")
            #expect(said.output.isEmpty)
        }
    }
}
