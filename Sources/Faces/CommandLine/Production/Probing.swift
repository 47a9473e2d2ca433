internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// Tries what a policy names, for `serin check` and `serin plan`; changes nothing.
struct Probing: Sendable {
    let environment: [String: String]

    /// Everything that a preflight would try.
    func probes(_ loaded: LoadedPolicy, _ source: PolicySource) async -> [Probe] {
        do throws(Failure) {
            let charter = try charter(loaded, source)
            let world = try Surroundings(environment: environment).world(of: charter)
            let now = SystemClock().now()
            let rollout = Rollout(charter: charter, createdAt: now)
            let report = await Preflight(charter: charter, world: world, writes: false).run(
                request: rollout.telemetryRequest, at: now)
            var probes =
                report.problems.map { Probe("preflight", .failed, $0) } + report.warnings.map { Probe("preflight", .warning, $0) }
            if let weight = report.weight { probes.append(Probe("traffic", .ok, "\(world.traffic.name) answers: \(weight.raw)")) }
            for value in report.database?.values ?? [] {
                let text = value.value.map { "\($0)" } ?? "no data"
                probes.append(
                    Probe("postgres \(value.signal.rawValue)", value.value == nil ? .failed : .ok, "\(text) \(value.detail)"))
            }
            if report.problems.isEmpty {
                probes.append(Probe("prometheus", .ok, "every query is answered, and the control has series"))
            }
            return probes
        } catch {
            return [Probe("preflight", .failed, error.description)]
        }
    }

    /// How long the evidence takes at the present traffic.
    func forecast(_ loaded: LoadedPolicy, _ source: PolicySource) async -> Forecast {
        Forecast(sentences: [])
    }

    private func charter(_ loaded: LoadedPolicy, _ source: PolicySource) throws(Failure) -> Charter {
        guard let id = RolloutID("\(loaded.policy.service)-check") else {
            throw Failure(.invalid, "the service's name is too long")
        }
        return Charter(
            id: id, policy: loaded.policy, policyHash: loaded.hash, version: source.version ?? "",
            previous: source.previous ?? "",
            author: .serin, overrides: source.overrides)
    }
}
