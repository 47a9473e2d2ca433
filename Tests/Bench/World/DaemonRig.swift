internal import SerinModel
internal import SerinProcesses
internal import Testbed

/// A daemon that is given a hundred rollouts, whose outside is one stand-in.
struct DaemonRig {
    /// How many rollouts it is given.
    static let services = 100

    /// What is measured, for the progress.
    let topic: String
    let program: SerinProgram
    let scratch: Scratch
    let standIn: StandIn
    let state: String
    let daemon: ServerProcess

    /// Measures with a daemon, and ends it and what it runs afterwards.
    ///
    /// - Parameters:
    ///   - configuration: The daemon's configuration; nil for none.
    ///   - environment: What the daemon's environment has besides the program's.
    static func section(
        _ topic: String, configuration: String? = nil, environment: [String: String] = [:],
        measure: (DaemonRig) async throws -> [Row]
    ) async throws -> Section {
        let program = try SerinProgram()
        let scratch = try Scratch("serin-bench")
        defer { scratch.remove() }
        let standIn = try StandIn()
        defer { standIn.stop() }
        let state = scratch.file("state")
        let options = try configuration.map { ["--config", try scratch.write("serin.yaml", $0)] } ?? []
        let daemon = try ServerProcess(
            program.path, ["daemon", "--state", state] + options,
            environment: program.environment.merging(environment) { $1 }, log: scratch.file("daemon.log"))
        defer { daemon.stop(grace: .seconds(10)) }
        let rig = DaemonRig(topic: topic, program: program, scratch: scratch, standIn: standIn, state: state, daemon: daemon)
        do {
            let rows = try await measure(rig)
            await rig.end()
            return Section(rows: rows)
        } catch {
            await rig.end()
            throw Failure(.invalid, "\(error)\n\(daemon.logTail())")
        }
    }

    /// Starts every rollout, and waits until all are raised.
    func start(poll: SerinModel.Duration) async throws {
        progress("\(topic): \(Self.services) rollouts")
        for number in 1...Self.services {
            let file = try scratch.write("svc-\(number).yaml", standIn.policy(service: Self.name(number), poll: poll))
            let started = try await program.run(["start", file, "--version", "2", "--previous", "1", "--state", state])
            guard started.termination == .exited(0) else {
                throw Failure(.invalid, "rollout \(number) did not start: \(started.text)")
            }
        }
        try await waitUntil("\(Self.services) raises", within: .seconds(60)) { standIn.raised == Self.services }
    }

    /// Halts what runs, ends the daemon, and waits for the watchdogs.
    private func end() async {
        progress("\(topic): ending")
        for number in 1...Self.services where standIn.isRaised(Self.name(number)) {
            // What does not halt is ended with the daemon below.
            _ = try? await program.run(["halt", Self.name(number), "--reason", "the bench is over", "--state", state])
        }
        try? await waitUntil("weight 0 of all", within: .seconds(30)) { standIn.raised == 0 }
        daemon.stop(grace: .seconds(10))
        await ProcessTable.endProcesses(of: state, after: .seconds(5))
    }

    /// A service's name.
    static func name(_ number: Int) -> String { "svc-\(number)" }
}
