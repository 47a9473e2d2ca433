internal import SerinLocks
public import SerinModel
public import SerinPorts

/// The past of a cohort, and the rhythm of its scrapes.
extension PrometheusTelemetry {
    /// Points of one range query; Prometheus itself refuses more than 11 000.
    private static let pointsPerQuery = 1000
    /// Edges of one history: a month of minutes.
    private static let edgeLimit = 44_640

    private struct Part: Hashable, Sendable {
        var query: Int
        var start: Instant
        var end: Instant
    }

    /// Reads the raw sums of a cohort at edges 60 s apart. A part that cannot be read is absent and named in the warnings.
    public func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, deadline: Duration
    ) async -> HistoryReading {
        await history(request, of: cohort, from: start, to: end, askedAt: end, deadline: deadline)
    }

    /// The same of a range that ended before now.
    public func history(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, askedAt now: Instant,
        deadline: Duration
    ) async -> HistoryReading {
        let step = Duration.seconds(60)
        var warnings: [String] = []
        var start = start
        if (end - start).milliseconds / step.milliseconds >= Int64(Self.edgeLimit) {
            start = end - step * Int64(Self.edgeLimit - 1)
            warnings.append("history is read from \(start) only: at most \(Self.edgeLimit) minutes are taken")
        }
        let count = end < start ? 0 : Int((end - start).milliseconds / step.milliseconds) + 1
        let stopwatch = Stopwatch()
        let lead: Duration
        do throws(Failure) {
            lead = try await serverLead(in: now, at: now, within: deadline)
        } catch {
            return HistoryReading(
                start: start, step: step, series: request.queries.map { _ in [] }, scrapeInterval: nil, warnings: [error.message])
        }
        let deadline = deadline - stopwatch.elapsed
        async let interval = measuredInterval(request, cohort, at: end + lead, deadline: deadline)
        let serverStart = start + lead
        var parts: [Part] = []
        for query in request.queries.indices {
            for first in stride(from: 0, to: count, by: Self.pointsPerQuery) {
                let last = min(first + Self.pointsPerQuery, count) - 1
                parts.append(Part(query: query, start: serverStart + step * Int64(first), end: serverStart + step * Int64(last)))
            }
        }
        let jobs = parts.map { part in
            Job(key: part) { [hub] in
                await hub.unshared { () throws(Failure) in
                    let text = try PromQL.values(request.queries[part.query], of: cohort)
                    return try hub.server.range(text, from: part.start, to: part.end, step: step)
                } as Result<Answer, Failure>?
            }
        }
        let answers = await gather(jobs, within: deadline)
        var series: [[HistoryRow]] = []
        var limit = ReadingLimit(bytes: readingLimit)
        for (index, query) in request.queries.enumerated() {
            var table = HistoryTable(query: query, cohort: cohort, start: serverStart, step: step, count: count)
            for part in parts where part.query == index {
                switch answers[part] ?? .failure(hub.server.late(deadline)) {
                case .success(let answer): table.take(answer)
                case .failure(let failure):
                    table.warnings.append("\(query.metric) from \(part.start - lead) to \(part.end - lead): \(failure.message)")
                }
            }
            let rows = table.rows()
            let failure = limit.take(rows, of: query)
            if let failure { table.warnings.append("the past is left out: \(failure.message)") }
            series.append(failure == nil ? rows : [])
            warnings += table.warnings.filter { !warnings.contains($0) }
        }
        return HistoryReading(start: start, step: step, series: series, scrapeInterval: await interval, warnings: warnings)
    }

    /// How old the oldest sample behind each value of such a history was at its edge, in seconds: Prometheus repeats a value for minutes
    /// after its last sample. Of an expression nothing is known.
    public func ages(
        _ request: TelemetryRequest, of cohort: [Label], from start: Instant, to end: Instant, askedAt now: Instant,
        deadline: Duration
    ) async -> HistoryReading {
        var asked = request
        asked.queries = []
        var places: [Int] = []
        var warnings: [String] = []
        for (place, query) in request.queries.enumerated() {
            do throws(Failure) {
                guard let text = try PromQL.ages(query, of: cohort) else { continue }
                asked.queries.append(
                    SeriesQuery(kind: .expression, metric: "time() - \(text)", matchers: [], groupedBy: query.groupedBy))
                places.append(place)
            } catch { warnings.append(error.message) }
        }
        var reading = await history(asked, of: [], from: start, to: end, askedAt: now, deadline: deadline)
        var series = request.queries.map { _ in [HistoryRow]() }
        for (place, rows) in zip(places, reading.series) { series[place] = rows }
        reading.series = series
        reading.warnings += warnings
        return reading
    }

    /// The server's own time and the usual time between samples, for those who compare clocks.
    public func clock(of request: TelemetryRequest, deadline: Duration) async throws(Failure) -> SourceClock {
        let stopwatch = Stopwatch()
        let job = Job(key: 0) { [hub] in
            await hub.unshared { () throws(Failure) in try hub.server.now() } as Result<Answer, Failure>?
        }
        let answer = await gather([job], within: deadline)[0] ?? .failure(hub.server.late(deadline))
        guard let now = try answer.get().time else {
            throw Failure(
                .invalid, "cannot read the time of \(hub.server.name) \(hub.server.endpoint.publicURL): no number came back")
        }
        return SourceClock(
            now: now,
            interval: await measuredInterval(request, [], at: now, deadline: deadline - stopwatch.elapsed))
    }

    /// Measures the true sample times of `up` over five minutes: a range selector in an instant query returns samples as stored.
    private func measuredInterval(
        _ request: TelemetryRequest, _ cohort: [Label], at time: Instant, deadline: Duration
    ) async -> Duration? {
        let job = Job(key: 0) { [self] in await measuredInterval(request, cohort, at: time) }
        guard let interval = await gather([job], within: deadline)[0] else { return nil }
        memory.withLock { $0.scrapeInterval = interval }
        return interval
    }

    private func measuredInterval(_ request: TelemetryRequest, _ cohort: [Label], at time: Instant) async -> Duration? {
        for query in request.queries where query.kind != .expression {
            let targets = await hub.unshared { () throws(Failure) in
                let text = try PromQL.targets(query, instanceLabel: request.instanceLabel, of: cohort)
                return try hub.server.instant(text ?? "", at: time)
            }
            guard case .success(let answer) = targets, let series = answer.series, !series.isEmpty else { continue }
            let some = series.prefix(50)
            let matchers = [
                LabelMatcher("job", .matches, PromQL.alternatives(Set(some.map { $0.label("job") }).sorted())),
                LabelMatcher(
                    request.instanceLabel, .matches,
                    PromQL.alternatives(Set(some.map { $0.label(request.instanceLabel) }).sorted())),
            ]
            let times = await hub.unshared { () throws(Failure) in
                try hub.server.instant("up{\(try PromQL.conditions(matchers))}[5m]", at: time)
            }
            guard case .success(let found) = times else { continue }
            // Of several targets behind an instance the slowest counts: a block must hold two of its scrapes.
            let intervals = (found.series ?? []).compactMap { medianDistance($0.samples) }
            if let slowest = intervals.max() { return slowest }
        }
        return nil
    }
}

/// The median distance between successive samples of five minutes; nil for fewer than two.
func medianDistance(_ samples: [Sample]) -> Duration? {
    let distances = zip(samples, samples.dropFirst()).map { $1.time - $0.time }.filter { $0 > .zero && $0 <= .minutes(5) }
        .sorted()
    return distances.isEmpty ? nil : distances[distances.count / 2]
}
