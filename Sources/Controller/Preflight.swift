public import SerinModel
internal import SerinPolicies
public import SerinPorts
public import SerinRollouts

/// Tries everything that a rollout will need. Until the weight was read and is 0, nothing is written.
public struct Preflight: Sendable {
    let charter: Charter
    let world: World
    let clock: any Clock
    let retries: RetryBudget
    let limits: CallLimits
    /// How long the tries may take together; at least one is made.
    let deadline: Duration
    /// Whether 0 is written at the end, as a rollout does; `serin check` changes nothing.
    let writes: Bool

    /// What one try found.
    private struct Findings {
        var report = PreflightReport(problems: [], warnings: [], weight: nil, database: nil)
        /// Whether something did not work that may work at another try.
        var mayPass = false
        /// Whether something is wrong that another try does not change.
        var isLasting = false

        mutating func problem(_ text: String) {
            report.problems.append(text)
            isLasting = true
        }

        mutating func problem(_ text: String, _ failure: Failure) {
            // A server that does not answer is named once, not for every question.
            let hint = failure.hint.map { " (\($0))" } ?? ""
            if !report.problems.contains(where: { $0 == text + hint || $0 == failure.message + hint }) {
                report.problems.append(text + hint)
            }
            if failure.mayPass { mayPass = true } else { isLasting = true }
        }
    }

    /// A preflight of a rollout as its charter describes it.
    public init(
        charter: Charter, world: World, clock: any Clock, retries: RetryBudget, limits: CallLimits = CallLimits(),
        deadline: Duration, writes: Bool
    ) {
        self.charter = charter
        self.world = world
        self.clock = clock
        self.retries = retries
        self.limits = limits
        self.deadline = deadline
        self.writes = writes
    }

    /// Tries it all, and all of it again while nothing is wrong but what may pass, as long as a try fits into the deadline.
    public func run(request: TelemetryRequest) async -> PreflightReport {
        let end = clock.now() + deadline
        var failures = 0
        while true {
            let begun = clock.now()
            let found = await tryOnce(request, at: begun)
            failures += 1
            // The next try is expected to take as long as this one, or as Prometheus may.
            let nextTry = max(clock.now() - begun, charter.policy.prometheus.timeout)
            guard found.mayPass, !found.isLasting, !Task.isCancelled,
                let pause = retries.pauseIfAllowed(limits.preflightRetry, after: failures), clock.now() + pause + nextTry < end
            else { return found.report }
            await clock.sleep(for: pause)
        }
    }

    /// Tries it all at one moment; every call has its own limit.
    private func tryOnce(_ request: TelemetryRequest, at time: Instant) async -> Findings {
        let limit = charter.policy.prometheus.timeout
        async let telemetryReading = world.telemetry.read(request, at: time, deadline: limit)
        async let databaseReading = world.database?.read(deadline: limit)
        async let clockWarning = compareClocks(request, deadline: limit)
        async let backupReport = backupReport()
        async let migrationReport = migrationReport()
        var found = Findings()
        checkWayBack(&found)
        checkRaises(&found)
        check(telemetry: await telemetryReading, request: request, &found)
        if let warning = await clockWarning { found.report.warnings.append(warning) }
        let database = await databaseReading
        found.report.database = database
        if let database, database.values.contains(where: { $0.value == nil }), database.failures.contains(where: \.mayPass) {
            found.mayPass = true
        }
        let backup = await backupReport
        for problem in backup.problems { found.problem("backup: \(problem.message)", problem) }
        found.report.warnings += backup.warnings.map { "backup: \($0)" }
        found.report.backupKind = backup.kind
        if let migrations = await migrationReport {
            for problem in migrations.problems { found.problem("migrations: \(problem.message)", problem) }
            found.report.warnings += migrations.warnings.map { "migrations: \($0)" }
            found.report.migrations = migrations.plan
            // One that cannot be made anyway has been complained about.
            if charter.policy.backup != nil, backup.problems.isEmpty, let objection = backup.objection(to: migrations.plan) {
                found.problem("backup: \(objection.message)", objection)
            }
        }
        await checkTraffic(&found)
        return found
    }

    /// Whether anything will be migrated is asked at the same time, so a backup before migrations is always tried.
    private func backupReport() async -> BackupPreflight {
        guard let gate = charter.policy.backup, gate.before == .always || charter.policy.migrations != nil else {
            return BackupPreflight()
        }
        return await RolloutBackup(of: charter, by: world.backups, limits: limits).preflight()
    }

    private func migrationReport() async -> MigrationPreflight? {
        guard charter.policy.migrations != nil else { return nil }
        return await RolloutMigration(of: charter, in: world, limits: limits).preflight()
    }

    private func checkWayBack(_ found: inout Findings) {
        guard charter.policy.rollback == nil else { return }
        if charter.policy.promote != nil {
            found.problem(
                "no way back: the policy promotes with an action but has no rollback action to bring \(charter.previous) back")
        } else if charter.policy.deploy != nil {
            found.report.warnings.append(
                "the policy has no rollback action: after a failure the canary's instances are left running at weight 0")
        }
    }

    /// A raise that cannot be sent, settled and read back within its deadline is never sent.
    private func checkRaises(_ found: inout Findings) {
        let (timing, settle) = (charter.policy.timing, world.traffic.settleTime)
        guard limits.raiseLease(timing, settleTime: settle) < Self.shortestLease else { return }
        let least = settle + limits.traffic * 2 + Self.shortestLease
        found.problem(
            "raise_deadline \(timing.raiseDeadline) is too short for \(world.traffic.name), which settles in \(settle): no raise could be sent; expected at least \(least)"
        )
    }

    /// A raise is sent once its intent is durable, which takes a moment.
    private static let shortestLease = Duration.seconds(1)

    /// What is to be said of two clocks that are more than a scrape apart. Evidence is asked for at the source's own time, so it is not
    /// harmed; but one of the two computers tells people and other programs the wrong time.
    private func compareClocks(_ request: TelemetryRequest, deadline: Duration) async -> String? {
        let before = clock.wall
        do throws(Failure) {
            let source = try await world.telemetry.clock(of: request, deadline: deadline)
            let isAhead = source.now > before
            let apart = isAhead ? source.now - clock.wall : before - source.now
            guard apart > source.interval ?? .seconds(30) else { return nil }
            return "the clock of prometheus is \(apart) \(isAhead ? "ahead of" : "behind") this computer's: one of them is wrong"
        } catch {
            return "the clock of prometheus cannot be compared with this computer's: \(error.message)"
        }
    }

    private func check(telemetry reading: TelemetryReading, request: TelemetryRequest, _ found: inout Findings) {
        for failure in reading.failures { found.problem(failure.message, failure) }
        for (query, series) in zip(request.queries, reading.series) {
            if let failure = series.failure {
                found.problem("the query for \(query.metric) was not answered: \(failure.message)", failure)
            }
            found.report.warnings += series.warnings.map { "the query for \(query.metric) answered with a warning: \($0)" }
        }
        if reading.series.count != request.queries.count {
            found.problem("telemetry answered \(reading.series.count) of \(request.queries.count) queries")
        } else if writes || !charter.isWithoutVersions {
            for signal in charter.policy.signals { check(signal, request: request, reading, &found) }
        }
    }

    /// A signal of which the control shows nothing could never be judged: its metric or a label is misspelt, or not scraped.
    private func check(
        _ signal: SignalPolicy, request: TelemetryRequest, _ reading: TelemetryReading, _ found: inout Findings
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
            if signal.isReportOnly { found.report.warnings.append(text) } else { found.problem(text) }
        }
        guard case .per(let counter, _) = signal.source else { return }
        let isSeen = zip(request.queries, reading.series).contains {
            $0.metric == counter && ($1.failure != nil || !$1.rows.isEmpty)
        }
        if !isSeen {
            found.report.warnings.append("signal \(signal.name): nobody has \(counter) yet; until then there is no data")
        }
    }

    private func isControl(_ row: SeriesRow) -> Bool {
        charter.policy.prometheus.control.allSatisfy { label in
            !row.labels.contains { $0.name == label.name } || row.label(label.name) == label.value
        } && charter.policy.prometheus.control.contains { row.label($0.name) == $0.value }
    }

    private func checkTraffic(_ found: inout Findings) async {
        do throws(Failure) {
            try await world.traffic.preflight(deadline: limits.traffic)
            let before = try await world.traffic.read(deadline: limits.traffic)
            found.report.weight = before
            guard before.weight == .zero else {
                // The rollout refuses it, by what was read.
                found.isLasting = true
                return
            }
            // A canary that receives nothing would look healthy.
            if !charter.policy.countsRequests, try await world.traffic.counts(deadline: limits.traffic) == nil {
                found.problem(
                    "nothing counts the requests of canary and control: no signal does, and \(world.traffic.name) is not "
                        + "asked for its counters; add a signal with 'bad', 'per' or 'histogram', or the driver's counters")
            }
            // Nothing is written for a rollout that is refused anyway.
            guard writes, found.report.problems.isEmpty else { return }
            try await world.traffic.zero(deadline: limits.traffic)
            let after = try await world.traffic.read(deadline: limits.traffic)
            if after.weight != .zero {
                found.problem("wrote 0 to \(world.traffic.name) and read back \(after.raw)")
            }
        } catch {
            found.problem(error.message, error)
        }
    }
}

extension Charter {
    /// Whether a policy that names its cohorts by versions is looked at without any: nobody's series have such labels.
    public var isWithoutVersions: Bool {
        (policy.prometheus.canary + policy.prometheus.control).contains {
            // However it is spaced; no known value has braces.
            $0.value.contains("{{")
        }
    }
}

extension Failure {
    /// Whether the same question may be answered at another try. Everything a preflight does may be done twice.
    fileprivate var mayPass: Bool {
        switch kind {
        case .throttled, .transient, .unknown: true
        case .invalid, .denied, .conflict: false
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
