internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinPrometheus
internal import SerinRollouts
internal import SerinTrials
internal import SerinVerdicts

/// Tries what a policy names, for `serin check` and `serin plan`; changes nothing.
struct Probing: Sendable {
    let environment: [String: String]
    let output: Output

    /// Everything that a preflight would try.
    func probes(_ loaded: LoadedPolicy, _ source: PolicySource, _ state: StateRoot) async -> [Probe] {
        let (probes, migrations) = await rolloutProbes(loaded, source)
        guard let gate = loaded.policy.backup, gate.before == .always || loaded.policy.migrations != nil else { return probes }
        return probes + (await look(loaded, source, state).probes(for: migrations))
    }

    private func look(_ loaded: LoadedPolicy, _ source: PolicySource, _ state: StateRoot) -> BackupLook {
        BackupLook(
            policy: loaded, file: source.file, state: state, assembly: Assembly.backups(environment: environment, output: output),
            temporary: environment["TMPDIR"] ?? "/tmp")
    }

    private func rolloutProbes(_ loaded: LoadedPolicy, _ source: PolicySource) async -> (probes: [Probe], MigrationPlan?) {
        do throws(Failure) {
            var charter = try charter(loaded, source)
            let clock = SystemClock()
            var rollout = Rollout(charter: charter, createdAt: clock.now())
            // Looked at apart, where nothing of it is made.
            charter.policy.backup = nil
            let surroundings = try Surroundings(environment: environment, output: output)
            let world = try surroundings.world(of: charter)
            // One try: whoever asks can ask again, and need not wait for what is not there.
            let report = await Preflight(
                charter: charter, world: world, clock: clock, retries: surroundings.retries, deadline: .zero, writes: false
            ).run(request: rollout.telemetryRequest)
            // What fails for both cohorts is said once.
            var probes: [Probe] = []
            let problems = rollout.check(report)
            for problem in problems.map({ Probe("preflight", .failed, $0) })
                + report.warnings.map({ Probe("preflight", .warning, $0) }) where !probes.contains(problem)
            {
                probes.append(problem)
            }
            if let plan = report.migrations {
                let names = plan.beforeCanary.map(\.id.description).joined(separator: ", ")
                probes.append(
                    Probe(
                        "migrations", .ok,
                        names.isEmpty ? "nothing is to be migrated" : "to be migrated before the canary: \(names)"))
            }
            if let weight = report.weight { probes.append(Probe("traffic", .ok, "\(world.traffic.name) answers: \(weight.raw)")) }
            for value in report.database?.values ?? [] {
                let text = value.value.map { Numbers.short($0) } ?? "no data"
                probes.append(
                    Probe(
                        "postgres \(value.signal.rawValue)", value.value == nil ? .failed : .ok,
                        value.detail.isEmpty ? text : "\(text) (\(value.detail))"))
            }
            if charter.isWithoutVersions {
                probes.append(
                    Probe(
                        "prometheus", .warning, "whether the control has series was not tried: give --version and --previous"))
            } else if problems.isEmpty {
                probes.append(Probe("prometheus", .ok, "every query is answered, and the control has series"))
            }
            return (probes, report.migrations)
        } catch {
            return ([Probe("preflight", .failed, error.description)], nil)
        }
    }

    /// How long the evidence takes at the present traffic, and the backup by the last one.
    func forecast(
        _ loaded: LoadedPolicy, _ source: PolicySource, _ state: StateRoot, _ note: @escaping Wait.Note
    ) async -> Forecast {
        let look = look(loaded, source, state)
        let isBackedUp = loaded.policy.backup.map { $0.before == .always || loaded.policy.migrations != nil } ?? false
        async let backup = isBackedUp ? look.estimate() : nil
        var forecast = await evidenceForecast(loaded, source, note)
        forecast.backup = await backup
        forecast.backupKind = isBackedUp ? look.kind : nil
        return forecast
    }

    private func evidenceForecast(_ loaded: LoadedPolicy, _ source: PolicySource, _ note: @escaping Wait.Note) async -> Forecast {
        do throws(Failure) {
            let charter = try charter(loaded, source)
            let world = try Surroundings(environment: environment, output: output).world(of: charter)
            async let migrations = pending(world.migrations)
            let (steps, problems) = await steps(charter, world.telemetry, of: loaded.prometheus, note)
            var warnings = problems
            if steps.allSatisfy(\.signals.isEmpty) {
                warnings.append(
                    problems.isEmpty
                        ? "no forecast: no signal had traffic just now"
                        : "no forecast: \(loaded.prometheus) did not say how much traffic there is")
            }
            let (plan, unknown) = await migrations
            return Forecast(
                sentences: steps.flatMap { step in step.signals.map { sentence($0, at: step.weight) } },
                warnings: warnings + (unknown.map { [$0] } ?? []), migrations: plan)
        } catch {
            return Forecast(sentences: [], warnings: [error.description])
        }
    }

    /// What the control's past tells; where it has none, what three readings of now tell. With what could not be read.
    private func steps(
        _ charter: Charter, _ telemetry: any Telemetry, of name: String, _ note: Wait.Note
    ) async -> (steps: [StepForecast], problems: [String]) {
        let policy = charter.policy
        let clock = SystemClock()
        let start = clock.now()
        let request = Rollout(charter: charter, createdAt: start).telemetryRequest
        let limit = Duration.seconds(20)
        note(Wait("asking \(name) for the last 6 hours", limit: limit))
        async let first = telemetry.read(request, at: start, deadline: policy.prometheus.timeout)
        let history = await telemetry.history(
            request, of: policy.prometheus.control, from: start - .hours(6), to: start, deadline: limit)
        var readings = [await first]
        let past = StepForecast.steps(of: policy, history: history, readings: [])
        let isAnswered = readings[0].series.contains { $0.failure == nil }
        guard past.allSatisfy(\.signals.isEmpty), isAnswered else {
            let problems = history.warnings + readings[0].failures.map(\.message)
            return (past, problems.enumerated().filter { problems.firstIndex(of: $1) == $0 }.map(\.element))
        }
        // Two scrapes apart at the least, so that the counters have moved in between.
        let pause = max(Duration(milliseconds: (history.scrapeInterval ?? .seconds(5)).milliseconds * 2), .seconds(2))
        note(Wait("measuring the traffic of now with \(name)", limit: (pause + policy.prometheus.timeout) * 2))
        for _ in 0..<2 {
            await clock.sleep(for: pause)
            readings.append(await telemetry.read(request, at: clock.now(), deadline: policy.prometheus.timeout))
        }
        return (StepForecast.steps(of: policy, history: history, readings: readings), history.warnings)
    }

    /// What telemetry kept of both cohorts in a range, and of control in the six hours before it.
    func past(
        _ loaded: LoadedPolicy, _ request: TelemetryRequest, _ range: ClosedRange<Instant>
    ) async throws(OperationError) -> PastReadings {
        let prometheus = loaded.policy.prometheus
        let telemetry: PrometheusTelemetry
        do throws(Failure) {
            telemetry = try Surroundings(environment: environment, output: output).telemetry(of: loaded.policy)
        } catch { throw .unavailable(error.description) }
        let now = SystemClock().now()
        let read = { @Sendable (cohort: [Label], start: Instant, end: Instant) async -> HistoryReading in
            await telemetry.history(request, of: cohort, from: start, to: end, askedAt: now, deadline: .seconds(60))
        }
        let (start, end) = (range.lowerBound, range.upperBound)
        let whole = { @Sendable (cohort: [Label]) async -> PastReadings.Cohort in
            async let ages = telemetry.ages(request, of: cohort, from: start, to: end, askedAt: now, deadline: .seconds(60))
            return PastReadings.Cohort(values: await read(cohort, start, end), ages: await ages)
        }
        async let canary = whole(prometheus.canary)
        async let control = whole(prometheus.control)
        let before = await read(prometheus.control, start - .hours(6), start)
        return PastReadings(before: before, canary: await canary, control: await control)
    }

    private func pending(_ migrations: (any Migrations)?) async -> (plan: MigrationPlan?, problem: String?) {
        guard let migrations else { return (nil, nil) }
        do throws(Failure) {
            return (try await migrations.plan(deadline: .minutes(1)), nil)
        } catch {
            return (nil, "what is to be migrated is not known: \(error.message)")
        }
    }

    private func sentence(_ forecast: SignalForecast, at weight: Weight) -> String {
        func span(_ seconds: Double?) -> String {
            guard let seconds, seconds < 86_400 * 365 else { return "not at all" }
            return "in " + Numbers.time(Duration(milliseconds: Int64(seconds * 1000)))
        }
        let traffic = "\(Numbers.fixed(forecast.canaryTraffic + forecast.controlTraffic, decimals: 0))/s"
        let rise =
            forecast.largestRiseNotExcluded.map { ", which does not exclude a rise up to x\(EvidenceNumbers.trimmed($0))" } ?? ""
        let rises = forecast.findings.map { "x\(EvidenceNumbers.trimmed($0.ratio)) \(span($0.seconds))" }
        var found = "after the warm-up a rise is found: \(rises.joined(separator: ", "))"
        if rises.isEmpty {
            found = "control has no such events now"
            let rates = forecast.ratesFound.map { ("\(EvidenceNumbers.trimmed($0.rate * 100))%", span($0.seconds)) }
            for (index, (rate, time)) in rates.enumerated() {
                found +=
                    index == 0 ? "; after the warm-up a canary with \(rate) of them is found \(time)" : ", with \(rate) \(time)"
            }
        }
        return "\(weight) \(forecast.name): at \(traffic) a pass \(span(forecast.secondsToPass))\(rise); "
            + "\(found); judge: threshold would roll back "
            + "\(EvidenceNumbers.trimmed(forecast.thresholdFalseAlarm * 100))% of equal canaries"
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
