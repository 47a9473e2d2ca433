import FoundationEssentials
import Glibc
import SerinModel
import Testbed

/// The six rollouts, in order.
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
        asExpected += try await rollout(
            "4. a rollout that someone halts", "1.4", from: "1.1", expecting: 4, "halted",
            meanwhile: { try await haltOnceExposed() })
        asExpected += try await additive()
        asExpected += try await destructive()
        let isClean = try await farewell()
        say("\ndemo: \(asExpected) of 6 as expected")
        return asExpected == 6 && isClean
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
        policy: String? = nil, more: [String] = [], and holds: @Sendable () async throws -> Bool = { true },
        meanwhile: @Sendable @escaping () async throws -> Void = {}
    ) async throws -> Int {
        // What the release before left behind in the database ends by itself; a preflight would refuse to start on it.
        try await waitUntil("a database without waiting sessions", within: .seconds(30)) {
            try await stage.database.primary.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0"
        }
        say("\n== \(title): \(previous) → \(version), has to be \(words) (exit \(code)) ==")
        let pid = try startVisibly(
            serin,
            ["run", policy ?? stage.policy, "--version", version, "--previous", previous, "--state", state] + shortened + more,
            environment: environment)
        async let aside: Void = meanwhile()
        let status = try await end(of: pid)
        try await aside
        let weight = await stage.balancer.command("get map \(stage.balancer.map) \(stage.balancer.key)")
        let isZero = weight.contains("value=\"0\"")
        var isRight = status == code && isZero
        if isRight { isRight = try await holds() }
        say(
            "   exit \(status), weight at HAProxy: \(isZero ? "0" : weight.trimmed) \(isRight ? "— as expected" : "— NOT as expected")"
        )
        return isRight ? 1 : 0
    }

    private func sql(_ text: String) async throws -> String { try await stage.database.primary.sql(text) }

    /// A release whose migration adds a column, and whose schema comes back with it.
    private func additive() async throws -> Int {
        let policy = try stage.migratingPolicy("policy-5", ["schema: downgrade"])
        say("\n$ serin migrate up --to 0001: what is there becomes the first revision")
        guard
            try await runVisibly(
                serin, ["migrate", "up", policy, "--state", state], environment: environment, isQuiet: true) == 0
        else { throw Failure(.invalid, "the first revision cannot be noted") }
        try stage.add(
            "0002_note", up: "ALTER TABLE orders ADD COLUMN note text", down: "ALTER TABLE orders DROP COLUMN note")
        let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'"
        let before = try await sql(columns)
        return try await rollout(
            "5. a migration adds a column, and its release fails", "1.5-failing", from: "1.1", expecting: 3,
            "rolled back with its schema", policy: policy, and: { [self] in try await sql(columns) == before })
    }

    /// A release whose migration deletes rows: people agree to it, and to their return from the backup.
    private func destructive() async throws -> Int {
        try stage.remove("0002_note")
        try stage.add("0002_old_orders", up: "DELETE FROM orders WHERE id <= 100", down: "UPDATE orders SET at = at WHERE false")
        let second = try await Person.second(beside: serin, folder: stage.folder, state: state)
        say(
            second == nil
                ? "\none person agrees to the next one, as there is no second user here"
                : "\ntwo users have to agree to the next one")
        let rules = try stage.destructive(approvals: second == nil ? 1 : 2, serin: serin, state: state)
        let policy = try stage.migratingPolicy("policy-6", rules)
        let old = "SELECT count(*) FROM orders WHERE id <= 100"
        let before = try await sql(old)
        return try await rollout(
            "6. a migration deletes rows, and its release fails", "1.6-failing", from: "1.1", expecting: 3,
            "agreed to, rolled back, and its rows fetched from the backup", policy: policy,
            more: second == nil ? [] : ["--socket-group", Person.group], and: { [self] in try await sql(old) == before },
            meanwhile: { [self] in
                try await agree(with: second, toRestore: false)
                try await agree(with: second, toRestore: true)
            })
    }

    /// Waits until people are asked, for the start or for a restore, and lets everyone agree to the plan that is shown.
    private func agree(with second: Person?, toRestore: Bool) async throws {
        var words = ["approve", "checkout", "--state", state]
        try await waitUntil("a question to people", within: .seconds(120)) {
            let status = try await output(serin, ["status", "checkout", "-o", "json", "--state", state])
            guard status.contains("\"awaited_approval\":\""), status.contains("\"ending\":null") != toRestore,
                let start = status.firstRange(of: "\"approval_plan\":\"")?.upperBound
            else { return false }
            words += ["--plan", String(status[start...].prefix { $0 != "\"" })]
            return true
        }
        say("   $ serin \(words.prefix(2).joined(separator: " ")) \(words.dropFirst(4).joined(separator: " "))")
        _ = try await runVisibly(serin, words, environment: environment)
        guard let second else { return }
        say("   the second one:")
        _ = try await runVisibly("setpriv", second.arguments(words), environment: environment)
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
