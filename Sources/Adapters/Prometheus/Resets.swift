internal import SerinLocks
internal import SerinModel

/// Evidence of counter resets: asked for only when a sum fell since the last poll.
extension PrometheusTelemetry {
    /// Asks how often the counters behind fallen sums were reset, and notes it in the rows.
    func attachResets(
        _ request: TelemetryRequest, _ series: inout [SeriesReading], at time: Instant, within deadline: Duration
    ) async {
        let before = memory.withLock { $0 }
        guard let last = before.evaluatedAt, last < time else { return }
        // The last value may be a scrape old, and its fall must lie inside the window with both its samples.
        let window = (time - last) + (before.scrapeInterval ?? .seconds(30))
        var questions: [(Question, () throws(Failure) -> String?)] = []
        for (index, query) in request.queries.enumerated() {
            guard let previous = before.rows[query] else { continue }
            let hasFallen = series[index].rows.contains { row in previous[row.labels].map { row.fell(since: $0) } ?? false }
            if hasFallen { questions.append((.resets(index), { () throws(Failure) in try PromQL.resets(query, over: window) })) }
        }
        guard !questions.isEmpty else { return }
        let answers = await ask(questions, at: time, within: deadline)
        for (index, query) in request.queries.enumerated() {
            switch answers[.resets(index)] {
            case .success(let answer)?:
                let builder = Rows(query)
                var counts: [[Label]: Double] = [:]
                for one in answer.series ?? [] { counts[builder.group(one)] = one.samples.first?.value }
                for row in series[index].rows.indices { series[index].rows[row].resets = counts[series[index].rows[row].labels] }
                series[index].warnings += answer.warnings.filter { !series[index].warnings.contains($0) }
            case .failure(let failure)?:
                series[index].warnings.append("the resets of \(query.metric) are not known: \(failure.message)")
            case nil: break
            }
        }
    }

    /// Keeps what the next poll compares with. A shape that could not be read keeps its older rows.
    func remember(_ request: TelemetryRequest, _ series: [SeriesReading], at time: Instant) {
        memory.withLock { memory in
            var rows: [SeriesQuery: [[Label]: SeriesRow]] = [:]
            var isWhole = true
            for (query, reading) in zip(request.queries, series) where query.kind == .counter || query.kind == .histogram {
                if reading.failure == nil {
                    rows[query] = Dictionary(reading.rows.map { ($0.labels, $0) }, uniquingKeysWith: { first, _ in first })
                } else {
                    rows[query] = memory.rows[query]
                    isWhole = false
                }
            }
            memory.rows = rows
            // While something could not be read, the window keeps reaching back to the last whole poll.
            if isWhole || memory.evaluatedAt == nil { memory.evaluatedAt = time }
        }
    }
}
