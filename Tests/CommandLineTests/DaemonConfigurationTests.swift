import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts
import SerinServer
import SerinTransport
import SerinVerdicts
import Testbed
import Testing

@testable import SerinCommandLine

/// `serin daemon --config` in this process, asked over its socket.
@Suite struct DaemonConfigurationTests {
    private static let hooks = """
        version: 1
        hooks:
          alerts: {kind: alertmanager, secret_env: TOKEN, services: [checkout]}
          chat: {kind: slack, secret_env: TOKEN, services: [checkout], people: {T0/U1: anna}}
          mine: {kind: hmac, secret_env: TOKEN}
        """

    /// Runs the daemon with a configuration while the body asks it.
    private func serve(
        _ text: String = DaemonConfigurationTests.hooks, before: (TestProgram) async throws -> Void = { _ in },
        _ body: (TestProgram, RunningDaemon) async throws -> Void
    ) async throws {
        let program = try TestProgram(environment: [
            "TOKEN": "not-a-real-token", "BASE64": "c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "ADDRESS": Self.nobody,
        ])
        try await before(program)
        program.write(text, to: "serin.yaml")
        try await RunningDaemon.run(program) { try await body(program, $0) }
    }

    /// Nothing listens there.
    private static let nobody = "http://127.0.0.1:9/hook"

    private static let bearer = HTTPHeader("Authorization", "Bearer not-a-real-token")

    private func alert(_ service: String = "checkout", start: String = "2026-11-21T10:00:00Z") -> String {
        #"{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Errors","serin_action":"halt","service":"\#(service)"},"startsAt":"\#(start)"}]}"#
    }

    @Test func anAlertHaltsOnceHoweverOftenItIsDelivered() async throws {
        try await serve { program, daemon in
            for _ in 0..<3 {
                let answer = try await daemon.send("POST", "/hooks/alertmanager/alerts", [Self.bearer], alert())
                #expect(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
            }
            let commands = program.operations.state.withLock { $0.commands }
            #expect(commands.map(\.verb) == [.halt])
            #expect(commands.first?.by == Principal(channel: "alertmanager", identity: "alerts"))
            #expect(commands.first?.reason == "Errors")
        }
    }

    @Test func whoDoesNotProveItselfLearnsNothing() async throws {
        try await serve { program, daemon in
            let wrong = HTTPHeader("Authorization", "Bearer another")
            for (path, header) in [
                ("/hooks/alertmanager/alerts", wrong), ("/hooks/alertmanager/none", Self.bearer),
                ("/hooks/slack/alerts", Self.bearer), ("/hooks/slack/chat", Self.bearer),
            ] {
                let answer = try await daemon.send("POST", path, [header], alert())
                #expect(answer.status == 401, "\(path)")
            }
            #expect(program.operations.state.withLock { $0.commands.isEmpty })
        }
    }

    @Test func whatCouldNotBeMadeDurableIsAskedForAgainAndThenDone() async throws {
        try await serve { program, daemon in
            program.operations.state.withLock { $0.failure = .unavailable("the journal's disk is full") }
            let refused = try await daemon.send("POST", "/hooks/alertmanager/alerts", [Self.bearer], alert()).status
            #expect(refused == 503)
            program.operations.state.withLock { $0.failure = nil }
            let taken = try await daemon.send("POST", "/hooks/alertmanager/alerts", [Self.bearer], alert()).status
            #expect(taken == 200)
            let count = program.operations.state.withLock { $0.commands.count }
            #expect(count == 1)
        }
    }

    @Test func aPersonInTheChatIsKnownByNameAndAnsweredInWords() async throws {
        try await serve { program, daemon in
            let body = "command=%2Fserin&text=halt+checkout+payments+fail&user_id=U1&team_id=T0&trigger_id=1"
            let now = SystemClock().now().millisecondsSince1970 / 1000
            var key = Array("not-a-real-token".utf8)
            let code = try HMACSHA256.code(for: Array("v0:\(now):\(body)".utf8), key: Secret(wiping: &key))
            let answer = try await daemon.send(
                "POST", "/hooks/slack/chat",
                [
                    HTTPHeader("X-Slack-Request-Timestamp", "\(now)"),
                    HTTPHeader("X-Slack-Signature", "v0=" + Hexadecimal.text(of: code)),
                ], body)
            #expect(answer.status == 200)
            #expect(String(decoding: answer.body, as: UTF8.self).contains("halt of checkout"))
            let command = try #require(program.operations.state.withLock { $0.commands.first })
            #expect(command.by == Principal(channel: "person", identity: "anna"))
            #expect(command.reason.hasPrefix("payments fail (slack:T0/U1"))
        }
    }

    /// One file says who is who, for chats as for everything else, and what the words of each may do.
    @Test func aPersonOfTheIdentitiesSpeaksInTheChatByTheirRole() async throws {
        let people = """
            version: 1
            people:
              anna: {is: ["slack:T0/U1", "uid:4711"], roles: [releaser]}
              ben: {is: ["slack:T0/U2"], roles: [approver]}
              eve: {is: ["uid:4713"]}
            """
        let text = """
            version: 1
            identities: FOLDER/identities.yaml
            hooks: {chat: {kind: slack, secret_env: TOKEN, services: [checkout], people: PEOPLE}}
            """
        let named: (TestProgram) async throws -> Void = { program in program.write(people, to: "identities.yaml") }
        try await serve(text.replacing("PEOPLE", with: "{T0/U3: eve}"), before: named) { program, daemon in
            func say(_ words: String, as user: String) async throws -> String {
                let words = words.replacing(" ", with: "+")
                let body = "command=%2Fserin&text=\(words)&user_id=\(user)&team_id=T0&trigger_id=1"
                let now = SystemClock().now().millisecondsSince1970 / 1000
                var key = Array("not-a-real-token".utf8)
                let code = try HMACSHA256.code(for: Array("v0:\(now):\(body)".utf8), key: Secret(wiping: &key))
                let answer = try await daemon.send(
                    "POST", "/hooks/slack/chat",
                    [
                        HTTPHeader("X-Slack-Request-Timestamp", "\(now)"),
                        HTTPHeader("X-Slack-Signature", "v0=" + Hexadecimal.text(of: code)),
                    ], body)
                return String(decoding: answer.body, as: UTF8.self)
            }
            #expect(try await say("approve checkout", as: "U1").contains("needs the role approver"))
            #expect(try await say("resume checkout", as: "U1").contains("resume is recorded"))
            #expect(try await say("approve checkout", as: "U2").contains("approve is recorded"))
            #expect(try await say("approve checkout", as: "U3").contains("approve is recorded"))
            #expect(try await say("approve checkout", as: "U9").contains("known people alone"))
            #expect(try await say("halt checkout", as: "U9").contains("halt of checkout"))
            let commands = program.operations.state.withLock { $0.commands }
            #expect(commands.map(\.verb) == [.resume, .approve, .approve, .halt])
            #expect(commands.map(\.by.description) == ["person:anna", "person:ben", "person:eve", "slack:T0/U9"])
            // One identity is not two people, or one could agree to what the other started.
            let changed = text.replacing("PEOPLE", with: "{T0/U2: anna}").replacing("FOLDER", with: program.state.path)
            program.write(changed, to: "serin.yaml")
            program.interrupt(SIGHUP)
            try await waitUntil("words about it") { program.messages.withLock { $0 }.contains("no second person agreed") }
            let proposed = try await daemon.send("POST", "/v1/configuration:propose", [], "{}")
            let said = String(decoding: proposed.body, as: UTF8.self)
            #expect(said.contains("slack:T0/U2 is anna there and ben in the file of identities"), "\(said)")
            // Nor is one person two, by another spelling.
            program.write(changed.replacing("T0/U2: anna", with: "T0/U3: Eve"), to: "serin.yaml")
            let misspelt = try await daemon.send("POST", "/v1/configuration:propose", [], "{}")
            let words = String(decoding: misspelt.body, as: UTF8.self)
            #expect(words.contains("T0/U3 is Eve there, whom the file of identities does not know"), "\(words)")
        }
    }

    @Test func everyKindThatCanBeSignedHereAcceptsItsOwnSample() async throws {
        let kinds = ["slack", "mattermost", "alertmanager", "grafana", "pagerduty", "github", "gitlab", "hmac"]
        let lines = kinds.map { "  \($0): {kind: \($0), secret_env: TOKEN}" }
        let others = """
              standard: {kind: standard, secret_env: BASE64}
              teams: {kind: teams, secret_env: BASE64}
              telegram: {kind: telegram, secret_env: TOKEN, places: ["-5"]}
              discord: {kind: discord, secret_env: TOKEN, places: ["5"]}
            """
        try await serve("version: 1\nhooks:\n" + lines.joined(separator: "\n") + "\n" + others) { program, _ in
            let file = program.file("serin.yaml")
            // A program of its own, as its end ends what it listens to.
            let client = try TestProgram(environment: program.environment.merging(["SERIN_STATE": program.state.path]) { $1 })
            for kind in kinds + ["standard", "teams", "telegram"] {
                let code = await client.run("hook", "test", kind, kind, "--config", file)
                #expect(code == .ok, "\(kind): \(client.takeOutput()) \(client.messages.withLock { String($0.suffix(300)) })")
            }
            #expect(await client.run("hook", "test", "discord", "discord", "--config", file) == .usage)
            #expect(await client.run("hook", "test", "slack", "none", "--config", file) == .usage)
            #expect(program.operations.state.withLock { $0.commands.isEmpty }, "a sample changes nothing")
        }
    }

    @Test func aWrongConfigurationEndsTheStartAndChangesNothingAtAReload() async throws {
        let program = try TestProgram()
        program.write("version: 1\nhoks: {}", to: "serin.yaml")
        #expect(await program.run("daemon", "--config", program.file("serin.yaml")) == .usage)
        #expect(program.messages.withLock { $0 }.contains("serin.yaml:2:1: unknown key 'hoks'"))
        try await serve { program, daemon in
            program.write("version: 1\nhoks: {}", to: "serin.yaml")
            program.interrupt(SIGHUP)
            try await waitUntil("words about it") { program.messages.withLock { $0 }.contains("the one before stays in force") }
            let first = try await daemon.send("POST", "/hooks/alertmanager/alerts", [Self.bearer], alert()).status
            #expect(first == 200)
            // A secret that is missing is found before anything is exchanged, too.
            program.write("version: 1\nhooks: {other: {kind: alertmanager, secret_env: MISSING}}", to: "serin.yaml")
            program.interrupt(SIGHUP)
            try await waitUntil("words about the secret") { program.messages.withLock { $0 }.contains("MISSING is not set") }
            let second = try await daemon.send("POST", "/hooks/alertmanager/alerts", [Self.bearer], alert()).status
            #expect(second == 200)
            // Who asks whether it is ready hears of it until the file is right.
            func readiness() async throws -> String {
                String(decoding: try await daemon.send("GET", "/readyz").body, as: UTF8.self)
            }
            try await waitUntil("words in the readiness") { try await readiness().contains("MISSING is not set") }
            program.write("version: 1", to: "serin.yaml")
            program.interrupt(SIGHUP)
            try await waitUntil("readiness without words") { try await !readiness().contains("MISSING") }
        }
    }

    @Test func aRightConfigurationIsTakenOverWithItsAddresses() async throws {
        try await serve { program, daemon in
            let taken = try TCPSocket(listeningAt: "127.0.0.1:0")
            program.write(
                """
                version: 1
                listen: [{address: "127.0.0.1:0"}]
                hooks: {alerts: {kind: alertmanager, secret_env: TOKEN, services: [checkout]}}
                """, to: "serin.yaml")
            program.interrupt(SIGHUP)
            try await waitUntil("the reload") { program.messages.withLock { $0 }.contains("is in force") }
            let said = program.messages.withLock { $0 }
            let addresses = said.split(separator: "\n").compactMap { $0.wholeMatch(of: /listening at (http:.*)/)?.1 }
            let address = try #require(addresses.last)
            let answer = try await daemon.transport.send(
                HTTPRequest(
                    method: "POST", url: "\(address)/hooks/alertmanager/alerts", headers: [Self.bearer],
                    body: Array(alert().utf8), timeout: .seconds(20)))
            #expect(answer.status == 200)
            #expect(try await daemon.send("POST", "/hooks/hmac/mine", [], "{}").status == 401, "it is gone")
            // Over the address nobody is anybody yet.
            let list = try await daemon.transport.send(HTTPRequest(url: "\(address)/v1/rollouts", timeout: .seconds(20)))
            #expect(list.status == 401)
            // An address that is taken leaves everything as it was.
            program.write("version: 1\nlisten: [{address: \"\(taken.address)\"}]", to: "serin.yaml")
            program.interrupt(SIGHUP)
            try await waitUntil("words about the address") { program.messages.withLock { $0 }.contains("in use") }
            let third = try await daemon.send("POST", "/hooks/alertmanager/alerts", [Self.bearer], alert()).status
            #expect(third == 200)
        }
    }

    @Test func everyMetricOfRulesAndDashboardIsWritten() async throws {
        try await serve { program, daemon in
            // What was never asked has no count yet.
            _ = try await daemon.send("POST", "/hooks/alertmanager/alerts", [Self.bearer], alert())
            let service = try #require(ServiceName("checkout"))
            program.operations.state.withLock { state in
                state.measurements.verdicts[.init("errors", .pass)] = 1
                state.measurements.evidenceAges[service] = .seconds(5)
                state.measurements.isInCharge[service] = true
                state.status.intervals = [
                    ComputedInterval(
                        signal: "errors", at: state.status.since, ratio: 1.5, interval: Interval(low: 0.5, high: 2.5),
                        counts: CohortCounts())
                ]
            }
            let written = String(decoding: try await daemon.send("GET", "/metrics").body, as: UTF8.self)
            for file in ["serin-rules.yaml", "serin-dashboard.json"] {
                let text = try RequirementsTests.text("examples/monitoring/\(file)")
                let names = Set(text.split { !($0.isLetter || $0.isNumber || $0 == "_") }.filter { $0.hasPrefix("serin_") })
                #expect(names.count > 5)
                for name in names {
                    let family = ["_bucket", "_count"].first { name.hasSuffix($0) }.map { name.dropLast($0.count) }
                    let isPart = family.map { written.contains("# TYPE \($0) histogram\n") } ?? false
                    #expect(isPart || written.contains("# TYPE \(name) "), "\(file): \(name)")
                }
            }
        }
    }

    // MARK: Out

    private func notification(_ subject: String) -> SerinPorts.Notification {
        SerinPorts.Notification(
            .rolloutEnded, .warning, subject: subject, text: "errors rose", deduplicationKey: "rollout checkout-1",
            at: SystemClock().now())
    }

    @Test func whatWasNotDeliveredIsOnThePageOfHealthAndTheDaemonIsReadyAllTheSame() async throws {
        let text = "version: 1\nnotify: {team: {mattermost: {url_env: ADDRESS}}}"
        let told: (TestProgram) async throws -> Void = { program in
            let assembly = Assembly.daemon(environment: ["ADDRESS": Self.nobody], output: Output { _, _ in })
            let messages = try await assembly.openMessages(program.state)
            try messages.prepare(try assembly.readSettings(.init(file: "serin.yaml", text: text)).settings, of: [])()
            await messages.notifier.notify(self.notification("checkout 2.4.0: rolled back"))
            await messages.close()
        }
        try await serve(text, before: told) { program, daemon in
            try await waitUntil("a try that failed") {
                String(decoding: try await daemon.send("GET", "/readyz").body, as: UTF8.self)
                    .contains("1 notification waits, the oldest since 20")
            }
            let ready = try await daemon.send("GET", "/readyz")
            #expect(ready.status == 200)
            let checks = try #require(try JSONValue(parsing: ready.body)["checks"]?.items)
            let check = try #require(checks.first { $0["name"]?.text == "notifications to team" })
            #expect(check["ok"] == .bool(false) && check["undelivered"]?["waiting"]?.integer == 1)
            let page = try await daemon.send("GET", "/health")
            let shown = String(decoding: page.body, as: UTF8.self)
            #expect(page.status == 200 && shown.contains("notifications to team"), "\(shown)")
            #expect(shown.contains("1 notification waits, the oldest since 20"), "\(shown)")
        }
    }

    @Test func whatIsNotDeliveredIsSeenAndSentLaterAlsoAfterARestart() async throws {
        let program = try TestProgram(environment: ["ADDRESS": "http://127.0.0.1:9/hook"])
        let assembly = Assembly.daemon(environment: ["ADDRESS": "http://127.0.0.1:9/hook"], output: Output { _, _ in })
        let text = "version: 1\nnotify: {team: {mattermost: {url_env: ADDRESS}}}"
        let settings = try assembly.readSettings(.init(file: "serin.yaml", text: text)).settings
        let first = try await assembly.openMessages(program.state)
        try first.prepare(settings, of: [])()
        await first.notifier.notify(notification("checkout 2.4.0: rolled back"))
        let running = Task { await first.run() }
        let server = try HTTPServer(
            socket: try UnixSocket(listeningAt: program.state.daemonSocket),
            router: Router(
                RolloutAPI(program.operations).routes
                    + NotificationAPI { () throws(Failure) in try await first.notifications() }.routes))
        let serving = Task { await server.run() }
        try await waitUntil("a try that failed") {
            _ = await program.run("status")
            return program.messages.withLock { $0 }.contains("NOT delivered to team")
        }
        server.stop()
        running.cancel()
        await serving.value
        await running.value
        await first.close()
        let receiver = try ScriptedServer { _ in [.http(200, "ok", type: "text/plain")] }
        defer { receiver.stop() }
        let next = Assembly.daemon(environment: ["ADDRESS": receiver.url], output: Output { _, _ in })
        let second = try await next.openMessages(program.state)
        try second.prepare(settings, of: [])()
        let again = Task { await second.run() }
        try await waitUntil("its delivery") { receiver.requests.contains { $0.text.contains("rolled back") } }
        again.cancel()
        await again.value
        await second.close()
    }
}
