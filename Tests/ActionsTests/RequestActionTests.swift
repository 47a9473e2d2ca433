import SerinActions
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import SerinTransport
import Testbed
import Testing

/// Actions that send HTTP requests, against a real server.
@Suite struct RequestActionTests {
    /// Answers with the status in the path; `/echo` tells what it was sent, `/hang` never answers.
    private static let script = """
        import http.server, sys, time
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
                if self.path.startswith('/hang'): time.sleep(60)
                status = int(self.path[1:4]) if self.path[1:4].isdigit() else 200
                said = '\\n'.join([self.command + ' ' + self.path] + sorted(
                    k + ': ' + v for k, v in self.headers.items()
                    if k in ('Idempotency-Key', 'Authorization', 'Content-Type')) + [body]).encode()
                self.send_response(status); self.send_header('Content-Length', str(len(said))); self.end_headers()
                self.wfile.write(said)
            do_GET = do_POST = do_PUT = answer
            def log_message(self, *arguments): pass
        server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
        server.daemon_threads = True
        server.serve_forever()
        """

    private func withServer(_ body: (CommandActions, String) async throws -> Void) async throws {
        let scratch = try Scratch("serin-action")
        let port = try freePort()
        let server = try ServerProcess("python3", ["-c", RequestActionTests.script, "\(port)"], log: scratch.file("log"))
        let transport = try Transport()
        defer {
            transport.shutdown()
            server.stop()
            scratch.remove()
        }
        let url = "http://127.0.0.1:\(port)"
        try await waitUntil("start of the server: \(server.logTail())") {
            // Refused until it listens.
            (try? await transport.send(HTTPRequest(url: url, timeout: .seconds(2)))) != nil
        }
        try await body(
            CommandActions(transport: transport, environment: [:]) { reference throws(Failure) in
                switch reference {
                case .environment(let name): return name == "GOOD" ? "tok-12345" : "two\nlines"
                case .file, .credential: throw Failure(.invalid, "no such secret")
                }
            }, url)
    }

    private func policy(
        _ url: String, method: String = "POST", body: String? = nil, authentication: HTTPAuthentication? = nil,
        check: String? = nil, deadline: Duration = .seconds(10)
    ) -> ActionPolicy {
        ActionPolicy(
            call: .http(method: method, endpoint: HTTPEndpoint(url: url, authentication: authentication), body: body),
            check: check.map { .http(method: "GET", endpoint: HTTPEndpoint(url: $0), body: nil) }, deadline: deadline)
    }

    @Test func theRequestCarriesTheKeyTheCredentialsAndTheVersion() async throws {
        try await withServer { actions, url in
            let policy = policy(
                url + "/echo/{{previous}}/{{version}}", body: " {\"version\": \"{{version}}\"}",
                authentication: .bearer(.environment("GOOD")))
            #expect(
                await actions.run(policy, context: .sample)
                    == .done(
                        output: """
                            POST /echo/v1/v2%20%22%24%28id%29%22
                            Authorization: Bearer [redacted]
                            Content-Type: application/json
                            Idempotency-Key: key-1
                             {"version": "v2 \\"$(id)\\""}
                            """))
        }
    }

    @Test func eachStatusHasItsMeaning() async throws {
        try await withServer { actions, url in
            for status in [200, 201, 202, 204] {
                let outcome = await actions.run(policy("\(url)/\(status)"), context: .sample)
                guard case .done = outcome else { throw Failure(.invalid, "\(status): \(outcome)") }
            }
            let kinds: [(Int, FailureClass)] = [
                (302, .invalid), (400, .invalid), (401, .denied), (403, .denied), (404, .invalid), (409, .conflict),
                (429, .throttled), (500, .transient), (503, .transient),
            ]
            for (status, kind) in kinds {
                let outcome = await actions.run(policy("\(url)/\(status)"), context: .sample)
                guard case .failed(let failure, _) = outcome else { throw Failure(.invalid, "\(status): \(outcome)") }
                #expect(failure.kind == kind, "\(status)")
                #expect(failure.message == "cannot POST \(url)/\(status): status \(status), expected 2xx")
            }
            for status in [408, 502, 504] {
                let outcome = await actions.run(policy("\(url)/\(status)"), context: .sample)
                guard case .unknown = outcome else { throw Failure(.invalid, "\(status): \(outcome)") }
            }
        }
    }

    @Test func aRequestWithoutAnswerIsUnknownUnlessTheCheckKnows() async throws {
        try await withServer { actions, url in
            let short = Duration.milliseconds(400)
            let lost = await actions.run(policy(url + "/hang", deadline: short), context: .sample)
            guard case .unknown = lost else { throw Failure(.invalid, "\(lost)") }
            let seen = await actions.run(policy(url + "/hang", check: url + "/200", deadline: short), context: .sample)
            guard case .done = seen else { throw Failure(.invalid, "\(seen)") }
            let notSeen = await actions.run(policy(url + "/hang", check: url + "/404", deadline: short), context: .sample)
            guard case .failed = notSeen else { throw Failure(.invalid, "\(notSeen)") }
            for path in ["/500", "/503", "/401", "/429", "/hang"] {
                let unclear = await actions.run(policy(url + "/hang", check: url + path, deadline: short), context: .sample)
                guard case .unknown = unclear else { throw Failure(.invalid, "\(path): \(unclear)") }
            }
        }
    }

    @Test func aServerThatIsNotThereWasNotAsked() async throws {
        try await withServer { actions, _ in
            let outcome = await actions.run(policy("http://127.0.0.1:\(try freePort())/"), context: .sample)
            guard case .failed(let failure, _) = outcome else { throw Failure(.invalid, "\(outcome)") }
            #expect(failure.kind == .transient)
        }
    }

    @Test func aTokenWithALineBreakIsRefusedAndNotShown() async throws {
        try await withServer { actions, url in
            let outcome = await actions.run(
                policy(url + "/200", authentication: .bearer(.environment("BAD"))), context: .sample)
            guard case .failed(let failure, _) = outcome else { throw Failure(.invalid, "\(outcome)") }
            #expect(failure.kind == .invalid)
            #expect(!failure.description.contains("lines"))
        }
    }
}
