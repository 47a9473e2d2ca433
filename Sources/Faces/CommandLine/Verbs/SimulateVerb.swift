internal import SerinAPI
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts
internal import SerinTrials

extension Subcommand {
    static let simulate = Subcommand(
        "simulate", summary: "what a policy does with drawn traffic: how often it promotes and rolls back, and how soon",
        details: """
            Runs rollouts of the policy on readings that are drawn: one canary instance, several of control, the errors of control, and a
            canary that has them so many times as often in one signal. Only evidence is simulated; everything else succeeds at once.
            The same seed draws the same. Nothing is contacted. Scenarios: poisson is independent errors at constant rates; in drift
            rates and traffic wander and spike; in bursty each instance wanders too and errors come in bursts; in lasting instances
            differ for good.
            """,
        examples: [
            "serin simulate policy.yaml --requests 200/s --errors 1% --canary 1.5x",
            "serin simulate policy.yaml --requests 50/s --scenario bursty --runs 300 -o json",
        ],
        interruption: .ends
    ) { input throws(UsageError) in
        let range = SimulatedLoad.requestRange
        let requests = try input.option(
            "--requests", value: "N/s", help: "requests a second of both cohorts, 0.01/s to 1000000/s",
            read: { quantity($0, unit: "/s", in: range) })
        let errors = try input.option(
            "--errors", value: "PERCENT", help: "control's share of errors, 0% to 50% (default 1%)",
            read: { text in quantity(text, unit: "%", in: 0...50, isUnitNeeded: true).map { $0 / 100 } })
        let canary = try input.option(
            "--canary", value: "Nx", help: "how many times as often the canary has them, 0x to 1000x (default 1x)",
            read: { quantity($0, unit: "x", in: SimulatedLoad.canaryRange) })
        let signal = try input.text(
            "--signal", value: "NAME", help: "the signal in which it has (default: the first that counts errors of requests)")
        let scenario = try input.option(
            "--scenario", value: "NAME", help: "poisson, drift, bursty or lasting (default poisson)",
            read: { TrafficScenario(rawValue: $0) })
        let controls = try input.option(
            "--controls", value: "N", help: "control instances, 1 to 16 (default 4)",
            read: { whole($0, in: SimulatedLoad.controlRange) })
        let runs = try input.option(
            "--runs", value: "N", help: "rollouts, 1 to 1000 (default 100)",
            read: { whole($0, in: SimulationQuestion.runRange) })
        let seed = try input.option(
            "--seed", value: "N", help: "what everything is drawn from (default 1)",
            read: { whole($0, in: SimulationQuestion.seedRange) })
        let arguments = try PolicyArguments(&input, needsVersion: false)
        guard let requests = requests ?? (input.isDescribing ? 1 : nil) else {
            throw UsageError(
                "missing --requests N/s", hint: "requests a second of both cohorts: how long evidence takes depends on it")
        }
        var load = SimulatedLoad(requestsPerSecond: requests, signal: signal)
        load.errors = errors ?? load.errors
        load.canary = canary ?? load.canary
        load.scenario = scenario ?? load.scenario
        load.controls = controls ?? load.controls
        let (drawn, from) = (load, UInt64(seed ?? 1))
        return { session in
            let source = try await arguments.source()
            let policy = try session.assembly.readPolicy(source).policy
            let summary = try await session.showingWaits(from: Wait("simulating")) { _ in
                try await Trials.simulate(policy, named: source.file, drawn, runs: runs, seed: from, most: Trials.ownPolls)
            }
            session.data(TrialDocuments.encode(summary, drawn, seed: from)) { style in
                lines(summary, drawn, seed: from, service: policy.service, style)
            }
            return .ok
        }
    }

    private static func lines(
        _ summary: SimulationSummary, _ load: SimulatedLoad, seed: UInt64, service: ServiceName, _ style: Style
    ) -> [String] {
        func share(_ outcome: Simulation.Run.Outcome) -> String {
            let count = summary.count(outcome)
            return "\(Numbers.fixed(100 * Double(count) / Double(max(1, summary.runs)), decimals: 1))%  (\(count))"
        }
        func time(_ seconds: Double) -> String { Numbers.time(Duration(milliseconds: Int64(seconds * 1000))) }
        let traffic =
            "\(EvidenceNumbers.trimmed(load.requestsPerSecond)) requests/s, \(Numbers.percent(load.errors)) errors, a canary with "
            + "\(EvidenceNumbers.trimmed(load.canary))x\(load.signal.map { " in \($0)" } ?? ""), \(load.scenario.rawValue), "
            + "\(load.controls) control instance\(load.controls == 1 ? "" : "s")"
        var lines = [
            style.paint(plain("\(service): \(summary.runs) simulated rollouts"), .bold), "  " + plain(traffic),
            "  seed \(seed)", "",
            "promoted     \(share(.promoted))", "rolled back  \(share(.rolledBack))", "undecided    \(share(.undecided))",
        ]
        if !summary.failing.isEmpty {
            let names = summary.failing.map { "\($0.signal) (\($0.runs))" }.joined(separator: ", ")
            lines.append("             rolled back for \(plain(names))")
        }
        lines.append("")
        if let seconds = summary.seconds {
            lines.append("decided after     \(time(seconds.median)) at the median, \(time(seconds.p95)) at the 95th percentile")
        }
        if let requests = summary.requests, let faults = summary.faults {
            lines.append(
                "met a fault       \(Numbers.whole(faults.median)) of \(Numbers.whole(requests.median)) requests of the canary at the "
                    + "median, \(Numbers.whole(faults.p95)) at the 95th percentile")
        }
        return lines
    }

    private static func whole(_ text: String, in range: ClosedRange<Int>) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    /// A decimal number with a unit behind it.
    private static func quantity(
        _ text: String, unit: String, in range: ClosedRange<Double>, isUnitNeeded: Bool = false
    ) -> Double? {
        var bytes = text.utf8[...]
        if bytes.suffix(unit.utf8.count).elementsEqual(unit.utf8) {
            bytes = bytes.dropLast(unit.utf8.count)
        } else if isUnitNeeded {
            return nil
        }
        guard bytes.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }), let value = Double(Substring(bytes)) else {
            return nil
        }
        return range.contains(value) ? value : nil
    }
}
