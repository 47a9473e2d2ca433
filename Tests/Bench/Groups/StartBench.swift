internal import SerinModel
internal import SerinProcesses
internal import Testbed

/// How long the program takes from its start to its first question to Prometheus.
struct StartBench {
    private let runs = 20

    func run() async throws -> Section {
        progress("start: \(runs) times serin run")
        let program = try SerinProgram()
        let scratch = try Scratch("serin-bench")
        defer { scratch.remove() }
        // A refusing Prometheus ends each rollout in its preflight, before anything is changed.
        let standIn = try StandIn(refusing: true)
        defer { standIn.stop() }
        let file = try scratch.write("policy.yaml", standIn.policy(service: "checkout", poll: .seconds(15)))
        let clock = ContinuousClock()
        var times: [Double] = []
        var version: [Double] = []
        for round in -3..<runs {
            standIn.forget()
            let start = clock.now
            let ended = try await program.run([
                "run", file, "--version", "2", "--previous", "1", "--state", scratch.file("state"),
            ])
            guard let arrived = standIn.firstQueryAt else {
                throw Failure(.invalid, "serin run asked nothing and ended: \(ended.termination) \(ended.text)")
            }
            let middle = clock.now
            _ = try await program.run(["version"])
            guard round >= 0 else { continue }
            times.append((arrived - start).milliseconds)
            version.append((clock.now - middle).milliseconds)
        }
        await ProcessTable.endProcesses(of: scratch.path, after: .seconds(5))
        return Section(rows: [
            Row(
                name: "process start until the first poll's query arrives", value: Timing(times).median, unit: "ms",
                aim: .below(50), note: "median of \(runs): serin run reads its policy, takes the lock, opens the journal, listens"
            ),
            Row(name: "the same, slowest", value: Timing(times).quantile(1), unit: "ms"),
            Row(
                name: "serin version, from start to end", value: Timing(version).median, unit: "ms",
                note: "median of \(runs): what any run of the program costs"),
        ])
    }
}
