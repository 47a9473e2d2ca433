import FoundationEssentials
import Glibc
import SerinModel
import Testbed

/// The four rollouts, in order.
struct Show: Sendable {
    let stage: Stage
    let serin: String

    private var state: String { stage.folder + "/state" }
    private var environment: [String: String] { stage.environment }
    private var shortened: [String] {
        // Polls, evidence and bake of seconds, as logged deviations from the policy's own.
        ["bake=45s", "poll=2s", "warmup=4s", "min_evidence=8s", "watchdog_after=10s"].flatMap { ["--override", $0] }
            + ["--reason", "a demonstration that fits into a coffee break"]
    }

    /// Plays them; whether each ended as it had to.
    func play() async throws -> Bool {
        try await traffic()
        say("\n== what such a short bake can tell, from present traffic ==")
        _ = try await runVisibly(
            serin, ["plan", stage.policy, "--version", "1.1", "--previous", "1.0"] + shortened + ["--state", state],
            environment: environment)
        var asExpected = 0
        asExpected += try await rollout("1. a good release", "1.1", from: "1.0", expecting: 0, "promoted")
        asExpected += try await rollout(
            "2. a release that fails 3% of requests", "1.2-failing", from: "1.1", expecting: 3, "rolled back")
        asExpected += try await rollout(
            "3. a release that holds locks", "1.3-locking", from: "1.1", expecting: 3, "stopped by the Postgres gate")
        asExpected += try await rollout("4. a rollout that someone halts", "1.4", from: "1.1", expecting: 4, "halted") {
            try await haltOnceExposed()
        }
        let isClean = try await farewell()
        say("\ndemo: \(asExpected) of 4 as expected")
        return asExpected == 4 && isClean
    }

    /// Waits until Prometheus has seen requests on every instance twice.
    private func traffic() async throws {
        say("sending 400 requests a second through HAProxy; waiting until Prometheus has seen them")
        let url = "\(stage.prometheus.url)/api/v1/query?query=count(rate(http_requests_total%5B5s%5D)%3E0)"
        try await waitUntil("traffic in Prometheus", within: .seconds(40)) {
            let answer = try await output("curl", ["-s", "--max-time", "2", url])
            return answer.contains("\"6\"") || answer.contains("\"8\"")
        }
    }

    private func rollout(
        _ title: String, _ version: String, from previous: String, expecting code: Int32, _ words: String,
        meanwhile: @Sendable @escaping () async throws -> Void = {}
    ) async throws -> Int {
        // What the release before left behind in the database ends by itself; a preflight would refuse to start on it.
        try await waitUntil("a database without waiting sessions", within: .seconds(30)) {
            try await stage.database.primary.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0"
        }
        say("\n== \(title): \(previous) → \(version), has to be \(words) (exit \(code)) ==")
        let pid = try startVisibly(
            serin,
            ["run", stage.policy, "--version", version, "--previous", previous, "--state", state] + shortened,
            environment: environment)
        async let aside: Void = meanwhile()
        let status = try await end(of: pid)
        try await aside
        let weight = await stage.balancer.command("get map \(stage.balancer.map) \(stage.balancer.key)")
        let isZero = weight.contains("value=\"0\"")
        say(
            "   exit \(status), weight at HAProxy: \(isZero ? "0" : weight.trimmed) \(status == code && isZero ? "— as expected" : "— NOT as expected")"
        )
        return status == code && isZero ? 1 : 0
    }

    private func haltOnceExposed() async throws {
        try await waitUntil("weight above 0", within: .seconds(60)) {
            let status = try await output(serin, ["status", "checkout", "-o", "json", "--state", state])
            return status.contains("\"baking\"") || status.contains("warming up")
        }
        say("   $ serin halt checkout --reason 'checkout fails in the app'")
        _ = try await runVisibly(
            serin, ["halt", "checkout", "--reason", "checkout fails in the app", "--state", state], environment: environment)
    }

    /// Checks the journal and says what there is to read.
    private func farewell() async throws -> Bool {
        say("\n== the journal, checked and decided again from what was read ==")
        let status = try await runVisibly(serin, ["verify", "--state", state], environment: environment)
        let display = [serin, "--state", state]
        say("\nto read on:")
        for verb in ["why checkout", "log checkout", "verify checkout"] { say("  \(display[0]) \(verb) --state \(state)") }
        return status == 0
    }

    private func output(_ path: String, _ arguments: [String]) async throws -> String {
        let file = stage.folder + "/run/output"
        let pid = try startVisibly(
            "/bin/sh", ["-c", "exec \"$@\" >\(file) 2>/dev/null", "sh", path] + arguments, environment: environment)
        _ = try await end(of: pid)
        return (try? Data(contentsOf: URL(fileURLWithPath: file))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

extension String {
    fileprivate var trimmed: String { split(whereSeparator: \.isNewline).joined(separator: " ") }
}
