import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// One service on the stage with its own state folder, and the program to release it with.
struct Scene: Sendable {
    let stage: Stage
    let service: String
    /// The policy's file.
    let policy: String
    private let scratch: Scratch
    let environment: [String: String]

    /// Sets the scene, plays it, and leaves the balancer at 0 for the next one.
    static func play(
        _ service: String = Stage.services[0], _ policy: PolicyText = PolicyText(), environment: [String: String] = [:],
        state: Scratch? = nil, _ body: (Scene) async throws -> Void
    ) async throws {
        let stage = try #require(Stage.current)
        let scratch = try state ?? Scratch()
        defer { if state == nil { scratch.remove() } }
        await stage.move(service, to: 0)
        // A test before this one may have stopped an origin or the balancer; its health checks need a moment to see them again.
        try await waitUntil("healthy origins at HAProxy") {
            let table = await stage.balancer.command("show stat")
            return table.contains(",UP,") && !table.contains(",DOWN,")
        }
        let text = policy.text(service: service, stage: stage)
        let full = [
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": scratch.path,
            "SERIN_STATE": scratch.file("state"), "NO_COLOR": "1", "SWIFT_BACKTRACE": "enable=no",
        ].merging(environment) { $1 }
        let scene = Scene(
            stage: stage, service: service, policy: try scratch.write("\(service).yaml", text), scratch: scratch,
            environment: full)
        try await body(scene)
        await stage.move(service, to: 0)
    }

    private init(stage: Stage, service: String, policy: String, scratch: Scratch, environment: [String: String]) {
        self.stage = stage
        self.service = service
        self.policy = policy
        self.scratch = scratch
        self.environment = environment
    }

    /// The state folder.
    var state: String { scratch.file("state") }
    /// The service's journal.
    var journal: String { "\(state)/\(service)/journal.sqlite" }
    /// A place for a file of the test's own.
    func file(_ name: String) -> String { scratch.file(name) }

    /// The program, built beside these tests.
    static func program(_ name: String = "serin") throws -> String {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return String(tests[..<(try #require(tests.lastIndex(of: "/")))]) + "/" + name
    }

    /// The plan that people are asked about, as the status names it once they are.
    func awaitedPlan() async throws -> String {
        func asked() async throws -> String? {
            let status = try await serin("status", service, "-o", "json")
            let document = try JSONValue(parsing: status.output.prefix { $0 != 0x0A })
            return (document["rollouts"]?.items?.first ?? document)["approval_plan"]?.text
        }
        try await waitUntil("a question to people", within: .minutes(1)) { try await asked() != nil }
        return try #require(try await asked())
    }

    /// Runs the program to its end.
    func serin(_ arguments: String..., deadline: Duration = .seconds(180)) async throws -> Completion {
        try await serin(arguments, deadline: deadline)
    }

    /// Runs the program to its end.
    func serin(_ arguments: [String], deadline: Duration = .seconds(180)) async throws -> Completion {
        try await Program(Scene.program(), arguments, environment: environment, deadline: deadline).run()
    }

    /// Runs the program as the user nobody, which takes root. That one may not even look into the place where the program was built.
    func other(_ arguments: String..., group: String = "nogroup") async throws -> Completion {
        let copy = file("serin")
        if access(copy, F_OK) != 0 { try FileManager.default.copyItem(atPath: Scene.program(), toPath: copy) }
        return try await Program(
            "setpriv", ["--reuid=nobody", "--regid=\(group)", "--clear-groups", "--", copy] + arguments,
            environment: ["SERIN_STATE": state, "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"], deadline: .seconds(60)
        ).run()
    }

    /// What `serin check` says once it ends as it should, or after a minute. It asks everything once, and Prometheus for half a poll
    /// only, which a machine with much to do does not always answer in.
    func check(_ status: Int32) async throws -> Completion {
        let words = ["check", policy, "--version", Stage.good, "--previous", Stage.old]
        let limit = ContinuousClock.now + .seconds(60)
        var last = try await serin(words)
        while last.termination != .exited(status), ContinuousClock.now < limit { last = try await serin(words) }
        return last
    }

    /// Starts the program, with others such as strace before it.
    func start(_ arguments: [String], by wrapper: [String] = [], log: String = "serin.log") throws -> ServerProcess {
        try run(wrapper + [try Scene.program()] + arguments, log: log)
    }

    /// Starts any program in the scene's environment.
    func run(_ command: [String], log: String = "serin.log") throws -> ServerProcess {
        try ServerProcess(command[0], Array(command.dropFirst()), environment: environment, log: scratch.file(log))
    }

    /// The arguments that release a version.
    func release(_ version: String) -> [String] { ["run", policy, "--version", version, "--previous", Stage.old] }

    /// The arguments that take an unfinished rollout up.
    var continuation: [String] { ["run", policy, "--continue"] }

    /// What a process has written so far, for messages and conditions.
    func output(_ log: String = "serin.log") -> String {
        FileManager.default.contents(atPath: scratch.file(log)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The weight that the balancer itself shows, in basis points.
    func weight() async -> Int? { await stage.weight(of: service) }

    /// Waits until the program has written a text.
    func awaitOutput(_ text: String, log: String = "serin.log", within deadline: Duration = .minutes(3)) async throws {
        do {
            try await waitUntil("'\(text)'", within: deadline) { output(log).contains(text) }
        } catch {
            throw Failure(.transient, "\(error); the program said:\n\(output(log))")
        }
    }

    /// Waits until the program has read its first raise, to 10 %, back. What happens before that happens to the raise, not to the step.
    func awaitFirstStep() async throws { try await awaitOutput("weight 10% confirmed") }

    /// Waits until the balancer shows a weight.
    func awaitWeight(_ basisPoints: Int, within deadline: Duration = .minutes(3)) async throws {
        do {
            try await waitUntil("weight \(basisPoints) of \(service)", within: deadline) { await weight() == basisPoints }
        } catch {
            throw Failure(.transient, "\(error); the program said:\n\(output())")
        }
    }

    /// Waits for the end of a process and returns its exit status.
    func end(of process: ServerProcess, within deadline: Duration = .minutes(3)) async throws -> Int32 {
        do {
            try await waitUntil("end of the program", within: deadline) { !process.isRunning }
        } catch {
            throw Failure(.transient, "\(error)\n\(process.logTail(8000))")
        }
        return try #require(process.exitStatus)
    }
}

/// A policy of a demonstration with short times; tests change what they are about.
struct PolicyText: Sendable {
    var environment = "demo"
    /// Both near the tenth of all requests that a canary of the stage has, whatever its weight.
    var steps = "[10, 12]"
    /// Whether HAProxy is asked for what each pool has received.
    var readsCounters = false
    /// Where Prometheus is; nil is the stage's own.
    var prometheus: String?
    var times: [String: String] = [
        "bake": "2s", "warmup": "0s", "min_evidence": "1s", "poll": "500ms", "watch": "1s", "loss_for": "3s",
        "preflight_deadline": "15s", "raise_deadline": "10s", "halt_deadline": "10s", "rollback_deadline": "30s",
        "max_bake": "60s", "watchdog_after": "30s",
    ]
    /// How old a sample may be.
    var staleAfter = "2s"
    /// More lines at the end.
    var more = ""

    /// The text for a service.
    func text(service: String, stage: Stage) -> String {
        let lines = times.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "\n")
        return """
            version: 1
            service: \(service)
            environment: \(environment)
            traffic:
              haproxy:
                socket: \(stage.balancer.socket)
                map: \(stage.balancer.map)
                key: \(service)\(readsCounters ? "\n    canary: be_canary\n    control: be_control" : "")
              steps: \(steps)
            prometheus:
              url: \(prometheus ?? stage.prometheus.url)
              canary: {version: "{{version}}"}
              control: {version: "{{previous}}"}
              stale_after: \(staleAfter)
            signals:
              errors: {counter: http_requests_total, bad: {code: "5.."}}
            \(lines)
            \(more)

            """
    }
}
