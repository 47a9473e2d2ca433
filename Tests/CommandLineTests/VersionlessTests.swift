import SerinAPI
import SerinLocks
import SerinModel
import Testbed
import Testing

@testable import SerinCommandLine

/// A policy that names its cohorts by versions, asked about without them: by the real parts, against servers that answer.
@Suite struct VersionlessTests {
    /// Runs verbs with a policy whose balancer shows this weight and whose Prometheus has no series of anyone.
    private func withPolicy(
        _ weight: Int = 0, _ body: (String, (String...) async -> (code: ExitCode, said: String)) async throws -> Void
    ) async throws {
        let scratch = try Scratch("serin-versionless")
        defer { scratch.remove() }
        let prometheus = try ScriptedServer { _ in
            [.http(200, #"{"status":"success","data":{"resultType":"vector","result":[]}}"#)]
        }
        defer { prometheus.stop() }
        let balancer = try ScriptedServer { _ in [.http(200, #"{"canary":\#(weight)}"#)] }
        defer { balancer.stop() }
        let policy = try scratch.write(
            "policy.yaml",
            """
            version: 1
            service: checkout
            traffic:
              http: {read_url: "\(balancer.url)/w", canary_pointer: /canary, scale: 100, write_body: "{{canary_scaled}}"}
              steps: [5, 25, 50]
            prometheus:
              url: \(prometheus.url)
              canary: {version: "{{version}}"}
              control: {version: "{{previous}}"}
            signals:
              errors: {counter: http_requests_total, bad: {code: "5.."}}

            """)
        let said = Locked("")
        let console = Console(
            writeData: { text in said.withLock { $0 += text } }, writeMessage: { text in said.withLock { $0 += text } },
            isDataTerminal: false, isMessageTerminal: false, width: { 200 })
        let program = CommandLineProgram(
            assembly: .production(environment: [:], output: Output()), console: console,
            environment: ["SERIN_STATE": scratch.file("state")], interruptions: AsyncStream { _ in }, endNow: { _ in })
        try await body(policy) { (arguments: String...) in
            said.withLock { $0 = "" }
            let code = await program.run(arguments)
            return (code, said.withLock { $0 })
        }
        #expect(balancer.requests.allSatisfy { $0.method == "GET" }, "something was written")
    }

    @Test func aCheckSaysWhatItDidNotTryAndIsJudgedByTheRest() async throws {
        try await withPolicy { policy, run in
            let (code, said) = await run("check", policy)
            #expect(code == .ok, "\(said)")
            #expect(said.contains("whether the control has series was not tried: give --version and --previous"), "\(said)")
            // With them it is tried.
            let (tried, words) = await run("check", policy, "--version", "1.9.0", "--previous", "1.8.3")
            #expect(tried == .refused && words.contains("no series of the control"), "\(words)")
        }
        // What can be tried without them still refuses.
        try await withPolicy(25) { policy, run in
            let (code, said) = await run("check", policy)
            #expect(code == .refused && said.contains("must be 0%"), "\(said)")
        }
    }

    @Test func whatReleasesIsRefusedWithoutThem() async throws {
        try await withPolicy { policy, run in
            let (code, said) = await run("run", policy, "--version", "1.9.0")
            #expect(code == .usage && said.contains("no previous version was given"), "\(said)")
            let (bare, words) = await run("run", policy)
            #expect(bare == .usage && words.contains("missing --version"), "\(words)")
            let (started, answer) = await run("start", policy)
            #expect(started == .usage && answer.contains("missing --version"), "\(answer)")
        }
    }
}
