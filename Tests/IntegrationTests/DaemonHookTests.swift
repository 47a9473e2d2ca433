import FoundationEssentials
import Glibc
import SerinLocks
import SerinModel
import SerinPolicies
import SerinProcesses
import SerinTransport
import SerinYAML
import Testbed
import Testing

@testable import SerinCommandLine

extension Integration {
    /// The real daemon with a configuration: a pipeline's steps, an alert that halts, people who are told, the service manager.
    @Suite(.serialized) struct DaemonHooks {
        private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

        @Test func aPipelineReleasesAnAlertHaltsPeopleAreToldAndTheManagerKnows() async throws {
            let told = try ScriptedServer { _ in [.http(200, "ok", type: "text/plain")] }
            defer { told.stop() }
            let manager = try ManagerSocket()
            let environment = [
                "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "3000000", "HOOK_TOKEN": "not-a-real-token", "TEAM_URL": told.url,
            ]
            try await Scene.play(Stage.services[0], Self.policy(), environment: environment) { scene in
                let file = scene.file("serin.yaml")
                let text = """
                    version: 1
                    listen: [{address: "127.0.0.1:0"}]
                    hooks: {alerts: {kind: alertmanager, secret_env: HOOK_TOKEN, services: [\(scene.service)]}}
                    notify: {team: {mattermost: {url_env: TEAM_URL}}}
                    log: json
                    """
                try text.write(toFile: file, atomically: true, encoding: .utf8)
                let daemon = try scene.start(["daemon", "--config", file], by: ["/usr/bin/nohup"])
                defer { daemon.stop() }
                try await scene.awaitOutput("listening at http:")
                try await waitUntil("READY=1") { manager.messages().contains { $0.contains("READY=1") } }
                let address = try #require(scene.output().firstMatch(of: /listening at (http:[^"]*)/)?.1)
                let prometheus = try await Self.scraping(address)
                defer { prometheus.stop() }
                let begin = time(nil)

                let step = Self.pipeline(scene)
                for name in ["backup", "migrations", "start"] {
                    let done = try await step(name)
                    #expect(done.termination == .exited(0), "\(name): \(done.text)")
                }
                try await scene.awaitWeight(1000)
                let id = try String(contentsOfFile: scene.file("reports/rollout.id"), encoding: .utf8)
                #expect(try await step("start").text.contains(id), "a pipeline that is run again takes it up")

                // A wrong configuration changes nothing, and the rollout goes on. SIGHUP was ignored before the start.
                try (text + "\nhoks: {}").write(toFile: file, atomically: true, encoding: .utf8)
                daemon.signal(SIGHUP)
                try await scene.awaitOutput("the one before stays in force")
                #expect(manager.messages().contains { $0.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") })

                // What is shown of live rollouts alone was scraped.
                try await awaitAnswer(prometheus, "serin_evidence_age_seconds", from: begin, of: scene)

                #expect(try await Self.alert(scene, to: "\(address)/hooks/alertmanager/alerts").status == 200)
                try await scene.awaitWeight(0)
                let gate = try await step("gate")
                #expect(gate.termination == .exited(4), "\(gate.text)")
                #expect(try await step("halt").text.contains("nothing to halt"))
                // The same by the API alone.
                let bare = try await Program(
                    "/bin/sh", ["\(Self.root)/examples/ci/gate.sh", scene.service],
                    environment: [
                        "PATH": "/usr/bin:/bin", "SERIN_SOCKET": scene.state + "/daemon.sock", "GITHUB_ACTIONS": "true",
                    ], deadline: .seconds(60)
                ).run()
                #expect(bare.termination == .exited(1) && bare.text.contains("stop: rolled back"), "\(bare.text)")
                #expect(bare.text.contains("::error title=Serin::stop: rolled back"))
                try await checkReports(scene, "\(address)/metrics")
                #expect(gate.text.contains("::error"))
                try await waitUntil("what people are told") { told.requests.contains { $0.text.contains("rolled back") } }
                try await checkDashboard(prometheus, from: begin, of: scene)
                daemon.signal(SIGTERM)
                #expect(try await scene.end(of: daemon) == 0, "\(scene.output())")
                for word in ["WATCHDOG=1", "STOPPING=1"] { #expect(manager.messages().contains(word)) }
                try checkLog(scene)
                try await JournalProof(of: scene).check(scene)
            }
        }

        /// What is released by, with a secret that the daemon has and the pipeline has not.
        private static func policy() throws -> PolicyText {
            var policy = PolicyText()
            // Long enough for everything that happens before the halt.
            policy.times["bake"] = "2m"
            policy.times["max_bake"] = "10m"
            policy.prometheus = try #require(Stage.current).prometheus.url + "\n  bearer_env: HOOK_TOKEN"
            return policy
        }

        /// Sends what Alertmanager would while an alert of the service fires.
        private static func alert(_ scene: Scene, to url: String) async throws -> HTTPResponse {
            let alert =
                #"{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Errors","serin_action":"halt","service":"\#(scene.service)"}}]}"#
            return try await Transport().send(
                HTTPRequest(
                    method: "POST", url: url, headers: [HTTPHeader("Authorization", "Bearer not-a-real-token")],
                    body: Array(alert.utf8), timeout: .seconds(20)))
        }

        /// The pipeline's steps, as GitHub Actions runs them.
        private static func pipeline(_ scene: Scene) -> (String) async throws -> Completion {
            { name in
                let programs = String(try Scene.program().dropLast("/serin".count))
                let steps = [
                    "PATH": "\(programs):/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SERIN_STATE": scene.state, "NO_COLOR": "1",
                    "SWIFT_BACKTRACE": "enable=no", "POLICY": scene.policy, "VERSION": Stage.good, "PREVIOUS": Stage.old,
                    "REPORTS": scene.file("reports"), "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": scene.file("summary.md"),
                    "GITHUB_OUTPUT": scene.file("outputs"), "GATE_TIMEOUT": "80s",
                ]
                return try await Program(
                    "/bin/sh", ["\(root)/examples/ci/release.sh", name], environment: steps, deadline: .seconds(90)
                ).run()
            }
        }

        /// What the daemon measured of the rollout that an alert halted, as Prometheus' own tool reads it.
        private func checkMetrics(_ url: String, of scene: Scene) async throws {
            let answer = try await Transport().send(HTTPRequest(url: url, timeout: .seconds(20)))
            let text = String(decoding: answer.body, as: UTF8.self)
            #expect(text.contains("\nserin_halt_to_zero_seconds_count 1\n"), "\(text)")
            #expect(text.contains("\nserin_halt_to_zero_seconds_bucket{le=\"15\"} 1\n"), "\(text)")
            #expect(text.contains("\nserin_leader{service=\"\(scene.service)\"} 1\n"))
            #expect(
                text.contains("\nserin_invariant_violations_total 0\n") && text.contains("\nserin_journal_failures_total 0\n"))
            #expect(!text.contains("serin_evidence_age_seconds{"), "no rollout is live")
            for name in ["serin_decision_duration_seconds", "serin_journal_fsync_seconds"] {
                #expect(text.contains("\n\(name)_count ") && !text.contains("\n\(name)_count 0\n"), "\(name)")
            }
            let file = scene.file("metrics")
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            let check = try await Program("/bin/sh", ["-c", "promtool check metrics < \(file)"], deadline: .seconds(60)).run()
            #expect(check.termination == .exited(0), "\(check.text)")
        }

        /// A Prometheus that scrapes a daemon as the examples say.
        private static func scraping(_ address: Substring) async throws -> PrometheusServer {
            var settings = PrometheusServer.Settings()
            settings.scrapeInterval = .milliseconds(500)
            let labels = [Label("job", "serin")]
            return try await PrometheusServer.start([.init([String(address.dropFirst("http://".count))], labels)], settings)
        }

        /// Every panel of the dashboard has shown something since the rollout began, but those of failures and of their ratio, as
        /// nothing failed.
        private func checkDashboard(_ prometheus: PrometheusServer, from begin: Int, of scene: Scene) async throws {
            let text = try String(contentsOfFile: "\(Self.root)/examples/monitoring/serin-dashboard.json", encoding: .utf8)
            let panels = try #require(try JSONValue(parsing: Array(text.utf8))["panels"]?.items)
            let queries = panels.flatMap { $0["targets"]?.items ?? [] }.compactMap { $0["expr"]?.text }
            #expect(queries.count > 20)
            for query in queries where !query.hasSuffix("> 0") && !query.contains("serin_signal_ratio") {
                try await awaitAnswer(prometheus, query, from: begin, of: scene)
            }
        }

        /// Waits until a query has found something since the rollout began.
        private func awaitAnswer(_ prometheus: PrometheusServer, _ query: String, from begin: Int, of scene: Scene) async throws {
            let transport = try Transport()
            defer { transport.shutdown() }
            try await waitUntil("an answer to \(query)") {
                let fields = [
                    ("query", query.rewriting("$service", as: scene.service)), ("start", "\(begin)"), ("end", "\(time(nil))"),
                    ("step", "1"),
                ]
                let body = fields.map { "\($0.0)=\(percentEncoded($0.1))" }.joined(separator: "&")
                let answer = try await transport.send(
                    HTTPRequest(
                        method: "POST", url: prometheus.url + "/api/v1/query_range",
                        headers: [HTTPHeader("Content-Type", "application/x-www-form-urlencoded")], body: Array(body.utf8),
                        timeout: .seconds(20)))
                return try JSONValue(parsing: answer.body).at(pointer: "/data/result")?.items?.isEmpty == false
            }
        }

        /// Every line of the log is a document.
        private func checkLog(_ scene: Scene) throws {
            for line in scene.output().split(separator: "\n") {
                let document = try JSONValue(parsing: Array(line.utf8))
                #expect(document["message"] != nil && document["time"] != nil, "\(line)")
            }
        }

        private func checkReports(_ scene: Scene, _ metrics: String) async throws {
            try await checkMetrics(metrics, of: scene)
            func contents(_ name: String) -> String {
                FileManager.default.contents(atPath: scene.file(name)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            }
            #expect(contents("summary.md").contains("rolled back"))
            #expect(contents("outputs").contains("exit_code=4"), "\(contents("outputs"))")
            #expect(contents("reports/rollout.xml").contains("<failure message=\"rolled back, exit 4\">"))
        }

        /// Every step that a pipeline calls is one of the script's, and the files are what they say.
        @Test func thePipelinesCallStepsThatThereAre() throws {
            func text(_ name: String) throws -> String {
                try String(contentsOfFile: "\(Self.root)/examples/ci/\(name)", encoding: .utf8)
            }
            let script = try text("release.sh")
            for name in ["github-actions.yaml", "gitlab-ci.yaml", "Jenkinsfile"] {
                let pipeline = try text(name)
                if name.hasSuffix(".yaml") {
                    #expect(readYAML(Array(pipeline.utf8), file: name).node != nil, "\(name)")
                }
                let steps = pipeline.matches(of: /ci\/release\.sh ([a-z]+)/).map { String($0.1) }
                #expect(Set(steps) == ["backup", "migrations", "start", "gate", "halt"], "\(name)")
                for step in steps { #expect(script.contains("\n\(step))\n"), "\(step)") }
            }
        }
    }
}

/// A service manager's socket that keeps what it is told.
private final class ManagerSocket: Sendable {
    let path: String
    private let scratch: Scratch
    private let descriptor: Int32
    private let received = Locked<[String]>([])

    init() throws {
        scratch = try Scratch()
        path = scratch.file("notify")
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(code == 0)
    }

    deinit {
        close(descriptor)
        scratch.remove()
    }

    /// Everything so far.
    func messages() -> [String] {
        received.withLock { received in
            var buffer = [UInt8](repeating: 0, count: 4096)
            while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 {
                received.append(String(decoding: buffer.prefix(count), as: UTF8.self))
            }
            return received
        }
    }
}
