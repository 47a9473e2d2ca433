internal import SerinLocks
internal import SerinModel

/// Evidence of counter resets: asked for only when a sum fell since it was last seen.
extension PrometheusTelemetry {
    /// Asks how often the counters behind fallen sums were reset, and notes it in the rows that fell.
    func attachResets(
        _ request: TelemetryRequest, _ series: inout [SeriesReading], at time: Instant, lead: Duration, within deadline: Duration,
        since stopwatch: Stopwatch
    ) async {
        let before = memory.withLock { $0 }
        // The last value may be a scrape old, and its fall must lie inside the window with both its samples.
        let margin = before.scrapeInterval ?? .seconds(30)
        var fallen: [Int: [Int]] = [:]
        var questions: [(Question, () throws(Failure) -> String?)] = []
        for (index, query) in request.queries.enumerated() {
            guard let seen = before.rows[query] else { continue }
            let rows = series[index].rows
            let fallenRows = rows.indices.filter { row in
                seen[rows[row].labels].map { $0.at < time && rows[row].fell(since: $0.row) } ?? false
            }
            guard let oldest = fallenRows.compactMap({ seen[rows[$0].labels]?.at }).min() else { continue }
            fallen[index] = fallenRows
            let window = time - oldest + margin
            questions.append((.resets(index), { () throws(Failure) in try PromQL.resets(query, over: window) }))
        }
        guard !questions.isEmpty else { return }
        let answers = await ask(questions, at: time, lead: lead, within: deadline, since: stopwatch)
        for (index, query) in request.queries.enumerated() {
            switch answers[.resets(index)] {
            case .success(let answer)?:
                let builder = Rows(query)
                var counts: [[Label]: Double] = [:]
                for one in answer.series ?? [] {
                    if let count = one.samples.first?.value, count.isFinite { counts[builder.group(one)] = count }
                }
                for row in fallen[index] ?? [] { series[index].rows[row].resets = counts[series[index].rows[row].labels] }
                series[index].warnings += answer.warnings.filter { !series[index].warnings.contains($0) }
            case .failure(let failure)?:
                series[index].warnings.append("the resets of \(query.metric) are not known: \(failure.message)")
            case nil: break
            }
        }
    }

    /// Keeps what later polls compare with. Rows that vanish are kept for an hour: a process that restarts is often away for a poll.
    func remember(_ request: TelemetryRequest, _ series: [SeriesReading], at time: Instant) {
        memory.withLock { memory in
            var rows: [SeriesQuery: [[Label]: Seen]] = [:]
            for (query, reading) in zip(request.queries, series) where query.kind == .counter || query.kind == .histogram {
                var seen = (memory.rows[query] ?? [:]).filter { time - $0.value.at < .hours(1) }
                for row in reading.rows { seen[row.labels] = Seen(row: row, at: time) }
                rows[query] = seen
            }
            memory.rows = rows
        }
    }
}
