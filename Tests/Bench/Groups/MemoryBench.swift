internal import SerinModel
internal import SerinProcesses
internal import Testbed

/// What a daemon keeps in memory.
struct MemoryBench {
    private let services = DaemonRig.services
    private let poll = SerinModel.Duration.seconds(5)
    private let watched = 30

    func run() async throws -> Section { try await DaemonRig.section("memory", measure: measure) }

    private func measure(_ rig: DaemonRig) async throws -> [Row] {
        let (daemon, standIn, state) = (rig.daemon, rig.standIn, rig.state)
        progress("memory: a daemon at rest")
        try await waitUntil("the daemon") { canConnect(path: state + "/daemon.sock") }
        try await Task.sleep(for: .seconds(2))
        let rest = ProcessTable.residentMegabytes(daemon.pid) ?? .nan
        try await rig.start(poll: poll)
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
}
