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
            return [.http(isLast ? 200 : 202, #"{"rollout":{"state":"promoted"}}"#)]
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

    @Test func withoutAnyCredentialsItSaysWhatItNeeds() async throws {
        let done = try await gate(["SERIN_URL": "http://127.0.0.1:1"])
        #expect(done.termination == .exited(2) && done.text.contains("id-token: write"), "\(done.text)")
    }
}
