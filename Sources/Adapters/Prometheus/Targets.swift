internal import SerinLocks
internal import SerinModel

/// Targets and alerts of a reading.
extension PrometheusTelemetry {
    /// The state of every instance met in the last hour. Those that vanish from the rows stay, for that is when `up` matters.
    func instances(
        _ request: TelemetryRequest, _ series: [SeriesReading], _ answers: [Question: Result<Answer, Failure>], at time: Instant,
        _ failures: inout [Failure]
    ) -> [InstanceReading] {
        let up = table(answers[.up], request.instanceLabel, "targets", &failures)
        let starts = table(answers[.starts], request.instanceLabel, "start times", &failures)
        let names: [String] = memory.withLock { memory in
            for reading in series { for row in reading.rows { memory.instances[row.label(request.instanceLabel)] = time } }
            memory.instances[""] = nil
            for name in memory.instances.keys where up?[name] != nil { memory.instances[name] = time }
            memory.instances = memory.instances.filter { time - $0.value < .hours(1) }
            return memory.instances.keys.sorted()
        }
        guard let up else { return [] }
        return names.map { name in
            InstanceReading(instance: name, up: up[name], startedAt: starts?[name].flatMap { instant(seconds: $0) })
        }
    }

    private func table(
        _ result: Result<Answer, Failure>?, _ label: String, _ what: String, _ failures: inout [Failure]
    ) -> [String: Double]? {
        switch result {
        case .success(let answer)?:
            noteWarnings(answer, what, &failures)
            var table: [String: Double] = [:]
            for series in answer.series ?? [] {
                if let value = series.samples.first?.value, value.isFinite { table[series.label(label)] = value }
            }
            return table
        case .failure(let failure)?: failures.append(failure)
        case nil: break
        }
        return nil
    }

    private func noteWarnings(_ answer: Answer, _ what: String, _ failures: inout [Failure]) {
        guard !answer.warnings.isEmpty else { return }
        let words = answer.warnings.joined(separator: "; ")
        failures.append(Failure(.transient, "prometheus warned while reading \(what): \(words)"))
    }

    /// What Alertmanager knows; nil when there is none or alerts are not watched.
    func managedAlerts(
        _ request: TelemetryRequest, at time: Instant, deadline: Duration
    ) async -> Result<[ManagedAlert], Failure>? {
        guard let matchers = request.alerts, let alertmanager else { return nil }
        let job = Job(key: 0) { [age] in await alertmanager.alerts(matchers, at: time, age: age) }
        return await gather([job], within: deadline)[0] ?? .failure(alertmanager.late(deadline))
    }

    /// The alerts that fire. Those found count even when another source could not be read; none found does not, for then nobody
    /// knows: nil.
    func alerts(
        _ request: TelemetryRequest, _ firing: Result<Answer, Failure>?, _ managed: Result<[ManagedAlert], Failure>?,
        _ failures: inout [Failure]
    ) -> [AlertReading]? {
        guard request.alerts != nil else { return nil }
        var alerts: [AlertReading] = []
        var silenced: [Set<Label>] = []
        let failuresBefore = failures.count
        switch managed {
        case .success(let known)?:
            silenced = known.filter(\.isSilenced).map { Set($0.labels) }
            alerts += known.filter { !$0.isSilenced }.map { AlertReading(source: "alertmanager", labels: $0.labels) }
        case .failure(let failure)?: failures.append(failure)
        case nil: break
        }
        switch firing {
        case .success(let answer)?:
            noteWarnings(answer, "alerts", &failures)
            for series in answer.series ?? [] {
                let labels = series.labels.filter { $0.name != "__name__" && $0.name != "alertstate" }
                // Alertmanager's copy may carry more labels (external ones), never fewer.
                if !silenced.contains(where: { $0.isSuperset(of: labels) }) {
                    alerts.append(AlertReading(source: "prometheus", labels: labels))
                }
            }
        case .failure(let failure)?: failures.append(failure)
        case nil: break
        }
        if alerts.isEmpty && failures.count > failuresBefore { return nil }
        return alerts.sorted { left, right in
            left.labels == right.labels ? left.source < right.source : left.labels.lexicographicallyPrecedes(right.labels)
        }
    }
}

extension AlertmanagerHub {
    /// The failure of a question that was not answered in time.
    func late(_ deadline: Duration) -> Failure { server.late(deadline) }
}
