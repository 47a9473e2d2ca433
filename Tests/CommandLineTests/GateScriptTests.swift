import FoundationEssentials
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// The gate with curl and jq, against a server that answers as a daemon and as GitHub's issuer of identity tokens.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/jq"))) struct GateScriptTests {
    private func gate(_ environment: [String: String]) async throws -> Completion {
        try await Program(
            "/bin/sh", ["\(RequirementsTests.root)/examples/ci/gate.sh", "checkout", "2.4.0"],
            environment: ["PATH": "/usr/bin:/bin"].merging(environment) { $1 }, deadline: .seconds(60)
        ).run()
    }

    @Test func anIdentityTokenIsFetchedForEachCall() async throws {
        let server = try ScriptedServer { request in
            if request.target.hasPrefix("/token?") {
                let isAsked =
                    request.target == "/token?v=1&audience=serin" && request.header("authorization") == "Bearer of-the-run"
                return [.http(isAsked ? 200 : 400, #"{"value":"identity-\#(request.connection)"}"#)]
            }
            let isLast = request.header("authorization") == "Bearer identity-2"
            return [.http(isLast ? 200 : 202, Self.word(isLast ? "promote" : "undecided"))]
        }
        defer { server.stop() }
        let done = try await gate([
            "SERIN_URL": server.url, "ACTIONS_ID_TOKEN_REQUEST_URL": "\(server.url)/token?v=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-run",
        ])
        #expect(done.termination == .exited(0) && done.text.contains("go on: promoted"), "\(done.text)")
        #expect(server.requests.count == 4)
    }

    @Test(arguments: [(401, 7), (403, 7), (404, 2), (400, 2)]) func whatIsRefusedStopsAtOnceAndSaysWhy(status: Int, exit: Int32)
        async throws
    {
        let server = try ScriptedServer { _ in [.http(status, #"{"detail":"the token has expired"}"#)] }
        defer { server.stop() }
        let done = try await gate(["SERIN_URL": server.url, "SERIN_TOKEN": "x", "GITHUB_ACTIONS": "true"])
        #expect(done.termination == .exited(exit) && done.text.contains("(\(status)): the token has expired"), "\(done.text)")
        #expect(done.text.contains("::error title=Serin::") && server.requests.count == 1)
    }

    /// What a gate says.
    private static func word(_ decision: String, version: String = "2.4.0") -> String {
        #"{"schema":"serin.dev/gate/v1","decision":"\#(decision)","rollout":{"version":"\#(version)","state":"promoted"}}"#
    }

    @Test(arguments: [
        "<html>please sign in</html>", "[]", "", #"{"decision":"promote"}"#, word("stop"), word("promote", version: "2.3.9"),
        word("promote") + word("promote"), "[1]" + word("promote"), word("promote") + "<p>",
    ]) func onlyAGatesOwnWordOpensTheGate(body: String) async throws {
        let server = try ScriptedServer { _ in [.http(200, body)] }
        defer { server.stop() }
        let done = try await gate(["SERIN_URL": server.url, "SERIN_TOKEN": "x", "GATE_AWAY": "1s"])
        #expect(done.termination == .exited(75) && done.text.contains("no answer of a gate (200)"), "\(done.text)")
        #expect(!done.text.contains("go on") && !done.text.contains("jq:"), "\(done.text)")
    }

    @Test func whatAProxyRefusesStopsWithoutAReason() async throws {
        let server = try ScriptedServer { _ in [.http(409, "<html>conflict</html>")] }
        defer { server.stop() }
        let done = try await gate(["SERIN_URL": server.url, "SERIN_TOKEN": "x"])
        #expect(done.termination == .exited(1) && done.text.contains("refused (409): no reason was given"), "\(done.text)")
    }

    @Test(arguments: ["1", "1s"]) func itWaitsAsLongAsItIsTold(limit: String) async throws {
        let server = try ScriptedServer { _ in [.http(202, Self.word("undecided"))] }
        defer { server.stop() }
        // A slash at the end of the address does no harm.
        let done = try await gate(["SERIN_URL": server.url + "/", "SERIN_TOKEN": "x", "GATE_TIMEOUT": limit])
        #expect(done.termination == .exited(124), "\(done.text)")
        #expect(server.requests.first?.target.hasPrefix("/v1/rollouts/checkout/gate?") == true)
    }

    @Test func theLastWaitAndCallEndWithTheTimeThatIsLeft() async throws {
        let server = try ScriptedServer { _ in [.hang] }
        defer { server.stop() }
        let start = ContinuousClock.now
        let done = try await gate(["SERIN_URL": server.url, "SERIN_TOKEN": "x", "GATE_TIMEOUT": "2s"])
        #expect(done.termination == .exited(124), "\(done.text)")
        // A call alone had a minute, and the wait in it half of one.
        #expect(start.duration(to: .now) < .seconds(20))
        let target = server.requests.first?.target ?? ""
        #expect(target.contains("wait=2s&") || target.contains("wait=1s&"), "\(target)")
    }

    @Test func anIdentityTokenIsWaitedForNoLongerThanIsLeft() async throws {
        let server = try ScriptedServer { _ in [.hang] }
        defer { server.stop() }
        let start = ContinuousClock.now
        let done = try await gate([
            "SERIN_URL": server.url, "ACTIONS_ID_TOKEN_REQUEST_URL": "\(server.url)/token?v=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-run", "GATE_TIMEOUT": "2s",
        ])
        #expect(done.termination == .exited(124), "\(done.text)")
        #expect(start.duration(to: .now) < .seconds(20))
    }

    @Test func aLengthOfTimeThatIsNoneIsAWrongQuestion() async throws {
        let done = try await gate(["SERIN_URL": "http://127.0.0.1:1", "SERIN_TOKEN": "x", "GATE_TIMEOUT": "soon"])
        #expect(done.termination == .exited(2) && done.text.contains("GATE_TIMEOUT, found 'soon'"), "\(done.text)")
    }

    @Test func withoutAnyCredentialsItSaysWhatItNeeds() async throws {
        let done = try await gate(["SERIN_URL": "http://127.0.0.1:1"])
        #expect(done.termination == .exited(2) && done.text.contains("id-token: write"), "\(done.text)")
    }
}
