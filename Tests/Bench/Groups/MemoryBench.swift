internal import SerinModel
internal import SerinProcesses
internal import Testbed

/// What a daemon keeps in memory.
struct MemoryBench {
    private let services = 100
    private let poll = SerinModel.Duration.seconds(5)
    private let watched = 30

    func run() async throws -> Section {
        let program = try SerinProgram()
        let scratch = try Scratch("serin-bench")
        defer { scratch.remove() }
        let standIn = try StandIn()
        defer { standIn.stop() }
        let state = scratch.file("state")
        let daemon = try ServerProcess(
            program.path, ["daemon", "--state", state], environment: program.environment, log: scratch.file("daemon.log"))
        defer { daemon.stop(grace: .seconds(10)) }
        do {
            let rows = try await measure(program, daemon, standIn, scratch, state)
            await end(program, daemon, standIn, state)
            return Section(rows: rows)
        } catch {
            await end(program, daemon, standIn, state)
            throw Failure(.invalid, "\(error)\n\(daemon.logTail())")
        }
    }

    private func measure(
        _ program: SerinProgram, _ daemon: ServerProcess, _ standIn: StandIn, _ scratch: Scratch, _ state: String
    ) async throws -> [Row] {
        progress("memory: a daemon at rest")
        try await waitUntil("the daemon") { canConnect(path: state + "/daemon.sock") }
        try await Task.sleep(for: .seconds(2))
        let rest = ProcessTable.residentMegabytes(daemon.pid) ?? .nan
        progress("memory: \(services) rollouts")
        for number in 1...services {
            let file = try scratch.write("svc-\(number).yaml", standIn.policy(service: name(number), poll: poll))
            let started = try await program.run(["start", file, "--version", "2", "--previous", "1", "--state", state])
            guard started.termination == .exited(0) else {
                throw Failure(.invalid, "rollout \(number) did not start: \(started.text)")
            }
        }
        try await waitUntil("\(services) raises", within: .seconds(60)) { standIn.raised == services }
        progress("memory: \(watched) s of polls")
        var most = 0.0
        let queries = standIn.queries
        let processor = ProcessTable.processorSeconds(daemon.pid)
        for _ in 0..<watched {
            try await Task.sleep(for: .seconds(1))
            most = max(most, ProcessTable.residentMegabytes(daemon.pid) ?? .nan)
        }
        let used = ProcessTable.processorSeconds(daemon.pid) - processor
        let asked = standIn.queries - queries
        guard standIn.raised == services else {
            throw Failure(.invalid, "only \(standIn.raised) of \(services) rollouts are still raised")
        }
        let watchdogs = ProcessTable.processes(of: state).filter { $0 != daemon.pid }
        let each = Timing(watchdogs.compactMap { ProcessTable.residentMegabytes($0) }).median
        let shared = watchdogs.compactMap { ProcessTable.proportionalMegabytes($0) }.reduce(0, +)
        return [
            Row(name: "resident memory of a daemon at rest", value: rest, unit: "MB", aim: .below(30)),
            Row(
                name: "resident memory with \(services) rollouts", value: most, unit: "MB",
                note: "most in \(watched) s; 5 signals, 5 instances, own labels each, a poll each \(poll), one Prometheus; "
                    + "\(ProcessTable.threads(daemon.pid)) threads"),
            Row(
                name: "processor time with \(services) rollouts", value: 100 * used / Double(watched), unit: "% of a core",
                note:
                    "\(Row.fixed(Double(services) / poll.seconds, places: 0)) polls/s of \(asked / watched) queries/s, with HTTP, "
                    + "parsing and a synced journal each"),
            Row(
                name: "resident memory of one watchdog", value: each, unit: "MB",
                note: "median of \(watchdogs.count); together their own share is \(Row.fixed(shared, places: 0)) MB"),
        ]
    }

    /// Halts what runs, ends the daemon, and waits for the watchdogs.
    private func end(_ program: SerinProgram, _ daemon: ServerProcess, _ standIn: StandIn, _ state: String) async {
        progress("memory: ending")
        for number in 1...services where standIn.raised > 0 {
            // What does not halt is ended with the daemon below.
            _ = try? await program.run(["halt", name(number), "--reason", "the bench is over", "--state", state])
        }
        try? await waitUntil("weight 0 of all", within: .seconds(30)) { standIn.raised == 0 }
        daemon.stop(grace: .seconds(10))
        await ProcessTable.endProcesses(of: state, after: .seconds(5))
    }

    private func name(_ number: Int) -> String { "svc-\(number)" }
}
