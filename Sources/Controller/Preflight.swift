public import SerinModel
internal import SerinPolicies
internal import SerinPorts
public import SerinRollouts

/// Tries everything that a rollout will need. Until the weight was read and is 0, nothing is written.
public struct Preflight: Sendable {
    let charter: Charter
    let world: World
    let limits: CallLimits
    /// Whether 0 is written at the end, as a rollout does; `serin check` changes nothing.
    let writes: Bool

    /// A preflight of a rollout as its charter describes it.
    public init(charter: Charter, world: World, limits: CallLimits = CallLimits(), writes: Bool) {
        self.charter = charter
        self.world = world
        self.limits = limits
        self.writes = writes
    }

    /// Tries it all at one moment; every call has its own limit.
    public func run(request: TelemetryRequest, at time: Instant) async -> PreflightReport {
        let limit = charter.policy.prometheus.timeout
        async let telemetryReading = world.telemetry.read(request, at: time, deadline: limit)
        async let databaseReading = world.database?.read(deadline: limit)
        var report = PreflightReport(problems: [], warnings: [], weight: nil, database: nil)
        checkWayBack(&report)
        check(telemetry: await telemetryReading, request: request, &report)
        report.database = await databaseReading
        await checkTraffic(&report)
        return report
    }

    private func checkWayBack(_ report: inout PreflightReport) {
        guard charter.policy.rollback == nil else { return }
        if charter.policy.promote != nil {
            report.problems.append(
                "no way back: the policy promotes with an action but has no rollback action to bring \(charter.previous) back")
        } else if charter.policy.deploy != nil {
            report.warnings.append(
                "the policy has no rollback action: after a failure the canary's instances are left running at weight 0")
        }
    }

    private func check(telemetry reading: TelemetryReading, request: TelemetryRequest, _ report: inout PreflightReport) {
        for failure in reading.failures { report.problems.append(failure.message) }
        for (query, series) in zip(request.queries, reading.series) {
            if let failure = series.failure {
                report.problems.append("the query for \(query.metric) was not answered: \(failure.message)")
            }
            report.warnings += series.warnings.map { "the query for \(query.metric) answered with a warning: \($0)" }
        }
        if reading.series.count != request.queries.count {
            report.problems.append("telemetry answered \(reading.series.count) of \(request.queries.count) queries")
        } else {
            for signal in charter.policy.signals { check(signal, request: request, reading, &report) }
        }
    }

    /// A signal of which the control shows nothing could never be judged: its metric or a label is misspelt, or not scraped.
    private func check(
        _ signal: SignalPolicy, request: TelemetryRequest, _ reading: TelemetryReading, _ report: inout PreflightReport
    ) {
        let answers = zip(request.queries, reading.series).filter { query, _ in
            query.metric == signal.exposure
                && (query.kind == .expression || signal.conditions.allSatisfy(query.matchers.contains))
        }
        // An answer that failed was reported as such.
        guard answers.allSatisfy({ $0.1.failure == nil }) else { return }
        if !answers.contains(where: { $0.1.rows.contains(where: isControl) }) {
            let labels = charter.policy.prometheus.control.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ", ")
            let text = "signal \(signal.name): no series of the control: nothing of \(signal.exposure) has \(labels)"
            if signal.isReportOnly { report.warnings.append(text) } else { report.problems.append(text) }
        }
        guard case .per(let counter, _) = signal.source else { return }
        let isSeen = zip(request.queries, reading.series).contains {
            $0.metric == counter && ($1.failure != nil || !$1.rows.isEmpty)
        }
        if !isSeen { report.warnings.append("signal \(signal.name): nobody has \(counter) yet; until then there is no data") }
    }

    private func isControl(_ row: SeriesRow) -> Bool {
        charter.policy.prometheus.control.allSatisfy { label in
            !row.labels.contains { $0.name == label.name } || row.label(label.name) == label.value
        } && charter.policy.prometheus.control.contains { row.label($0.name) == $0.value }
    }

    private func checkTraffic(_ report: inout PreflightReport) async {
        do throws(Failure) {
            try await world.traffic.preflight(deadline: limits.traffic)
            let before = try await world.traffic.read(deadline: limits.traffic)
            report.weight = before
            guard before.weight == .zero else {
                let found = before.weight.map(\.description) ?? "no weight"
                report.problems.append(
                    "the weight at \(world.traffic.name) is \(found) (\(before.raw)), not 0: nothing was written")
                return
            }
            // Nothing is written for a rollout that is refused anyway.
            guard writes, report.problems.isEmpty else { return }
            try await world.traffic.zero(deadline: limits.traffic)
            let after = try await world.traffic.read(deadline: limits.traffic)
            if after.weight != .zero {
                report.problems.append("wrote 0 to \(world.traffic.name) and read back \(after.raw)")
            }
        } catch {
            report.problems.append(error.message)
        }
    }
}

extension SignalPolicy {
    /// The metric without which nothing can be said: the exposure, or the only one.
    fileprivate var exposure: String {
        switch source {
        case .ratio(let counter, _), .rate(let counter): counter
        case .per(_, let exposure): exposure
        case .latency(let histogram, _): histogram
        case .gauge(let metric): metric
        case .expression(let text): text
        }
    }
}
