internal import SerinLocks
public import SerinModel
public import SerinPorts

/// Reads a rollout's raw counters, buckets and gauges per instance from Prometheus, with the age of what was read.
///
/// One value serves one rollout: it remembers the sums it saw last, so that a sum that falls can be checked against `resets()`, and the instances seen, so that one that vanishes is still reported with its `up`. After a restart both are empty:
/// a fall across the restart then carries no evidence of a reset.
public final class PrometheusTelemetry: Telemetry {
    /// What is asked at a poll.
    enum Question: Hashable, Sendable {
        case clock
        case values(Int)
        case ages(Int)
        case resets(Int)
        case up
        case starts
        case firing
    }

    /// A cumulative row as it was last seen.
    struct Seen: Sendable {
        var row: SeriesRow
        var at: Instant
    }

    struct Memory: Sendable {
        /// The rows of each cumulative shape, those that vanished within the last hour included.
        var rows: [SeriesQuery: [[Label]: Seen]] = [:]
        /// The instances met, and when last.
        var instances: [String: Instant] = [:]
        var scrapeInterval: Duration?
        var clock = ServerClock()
    }

    let hub: TelemetryHub
    let alertmanager: AlertmanagerHub?
    /// How old a shared answer may be.
    let age: Duration
    let memory = Locked(Memory())
    let readingLimit: Int

    /// Telemetry of one rollout.
    ///
    /// - Parameters:
    ///   - hub: The server, shared with every other rollout that reads from it.
    ///   - poll: The time between polls; answers evaluated less than half of it ago are shared.
    ///   - alertmanager: An Alertmanager to ask for alerts besides Prometheus.
    ///   - readingLimit: How much one reading may hold, in bytes of the journal.
    public init(hub: TelemetryHub, poll: Duration, alertmanager: AlertmanagerHub? = nil, readingLimit: Int = 16 << 20) {
        self.hub = hub
        self.readingLimit = readingLimit
        self.alertmanager = alertmanager
        age = Duration(milliseconds: poll.milliseconds / 2)
    }

    /// Reads every shape, the targets and the alerts at one evaluation time of the server's own clock, in parallel. What does not come before the deadline is
    /// a failure in the reading.
    public func read(_ request: TelemetryRequest, at time: Instant, deadline: Duration) async -> TelemetryReading {
        let stopwatch = Stopwatch()
        let evaluatedAt = hub.evaluationTime(at: time, age: age, query: firstQuery(request))
        async let managed = managedAlerts(request, at: time, deadline: deadline)
        let lead: Duration
        do throws(Failure) {
            lead = try await serverLead(in: evaluatedAt, at: time, within: deadline)
        } catch {
            return TelemetryReading(
                evaluatedAt: evaluatedAt, series: request.queries.map { _ in SeriesReading(rows: [], failure: error) },
                instances: [], alerts: nil, failures: [error])
        }
        let answers = await ask(questions(request), at: evaluatedAt, lead: lead, within: deadline, since: stopwatch)
        var series: [SeriesReading] = []
        var limit = ReadingLimit(bytes: readingLimit)
        for (index, query) in request.queries.enumerated() {
            let found = reading(query, values: answers[.values(index)], ages: answers[.ages(index)], lead: lead)
            let failure = limit.take(found.rows, of: query)
            series.append(failure.map { SeriesReading(rows: [], warnings: found.warnings, failure: $0) } ?? found)
        }
        await attachResets(request, &series, at: evaluatedAt, lead: lead, within: deadline, since: stopwatch)
        var failures: [Failure] = []
        let instances = instances(request, series, answers, at: evaluatedAt, &failures)
        let alerts = alerts(request, answers[.firing], await managed, &failures)
        remember(request, series, at: evaluatedAt)
        return TelemetryReading(
            evaluatedAt: evaluatedAt, series: series, instances: instances, alerts: alerts, failures: failures)
    }

    /// How far the server's clock is ahead, by what it shows in this round. A server that does not tell is taken to be as far ahead
    /// as it was; one whose clock was set back fails.
    func serverLead(in round: Instant, at time: Instant, within deadline: Duration) async throws(Failure) -> Duration {
        let stopwatch = Stopwatch()
        let job = Job(key: Question.clock) { [hub] in await hub.serverTime(in: round) }
        // A server that cannot be reached fails the questions that follow.
        let shown = try? await gather([job], within: deadline)[.clock]?.get().time
        return try memory.withLock { memory throws(Failure) in
            if let shown { try memory.clock.take(shown, between: round, and: time + stopwatch.elapsed) }
            return memory.clock.lead
        }
    }

    /// What tells readers of the same shapes from others. A shape that cannot be asked for fails later, by name.
    private func firstQuery(_ request: TelemetryRequest) -> String {
        guard let query = request.queries.first, let text = try? PromQL.values(query) else { return "" }
        return text
    }

    private func questions(_ request: TelemetryRequest) -> [(Question, () throws(Failure) -> String?)] {
        var questions: [(Question, () throws(Failure) -> String?)] = []
        for (index, query) in request.queries.enumerated() {
            questions.append((.values(index), { () throws(Failure) in try PromQL.values(query) }))
            questions.append((.ages(index), { () throws(Failure) in try PromQL.ages(query) }))
        }
        questions.append((.up, { () throws(Failure) in try PromQL.up(instanceLabel: request.instanceLabel) }))
        questions.append((.starts, { () throws(Failure) in try PromQL.starts(instanceLabel: request.instanceLabel) }))
        if let alerts = request.alerts { questions.append((.firing, { () throws(Failure) in try PromQL.firing(alerts) })) }
        return questions
    }

    /// Asks all at once. A question without a query is left out; one that cannot be put, or is not answered in time, is a failure.
    func ask(
        _ questions: [(Question, () throws(Failure) -> String?)], at time: Instant, lead: Duration, within deadline: Duration,
        since stopwatch: Stopwatch
    ) async -> [Question: Result<Answer, Failure>] {
        var answers: [Question: Result<Answer, Failure>] = [:]
        var jobs: [Job<Question, Result<Answer, Failure>>] = []
        for (question, text) in questions {
            do throws(Failure) {
                guard let query = try text() else { continue }
                jobs.append(Job(key: question) { [hub] in await hub.answer(query, at: time, lead: lead) })
            } catch {
                answers[question] = .failure(error)
            }
        }
        let asked = jobs.map(\.key)
        let answered = await gather(jobs, within: deadline - stopwatch.elapsed)
        for question in asked { answers[question] = answered[question] ?? .failure(hub.server.late(deadline)) }
        return answers
    }

    private func reading(
        _ query: SeriesQuery, values: Result<Answer, Failure>?, ages: Result<Answer, Failure>?, lead: Duration
    ) -> SeriesReading {
        var builder = Rows(query)
        do throws(Failure) {
            guard let values else { throw Failure(.transient, "\(query.metric) was not asked for") }
            var rows = try builder.rows(of: try values.get())
            var warnings = builder.warnings
            switch ages {
            case .success(let answer)?:
                warnings += answer.warnings.filter { !warnings.contains($0) }
                let times = ageTable(answer, builder)
                for index in rows.indices { rows[index].sampledAt = times[rows[index].labels].map { $0 - lead } }
                let ageless = rows.count { $0.sampledAt == nil }
                if ageless > 0 { warnings.append("the age of \(ageless) of \(rows.count) rows of \(query.metric) is not known") }
            case .failure(let failure)?: warnings.append("the age of \(query.metric) is not known: \(failure.message)")
            case nil: break
            }
            return SeriesReading(rows: rows, warnings: warnings)
        } catch {
            return SeriesReading(rows: [], warnings: builder.warnings, failure: error)
        }
    }

    private func ageTable(_ answer: Answer, _ builder: Rows) -> [[Label]: Instant] {
        var times: [[Label]: Instant] = [:]
        for series in answer.series ?? [] {
            if let value = series.samples.first?.value { times[builder.group(series)] = instant(seconds: value) }
        }
        return times
    }
}

/// Measures how long something takes.
struct Stopwatch {
    private let start = ContinuousClock().now

    /// The time since it was made.
    var elapsed: Duration {
        let spent = (ContinuousClock().now - start).components
        return Duration(milliseconds: spent.seconds * 1000 + spent.attoseconds / 1_000_000_000_000_000)
    }
}

extension Answer {
    /// The time that it states, as an answer to `time()` does; nil for another answer.
    var time: Instant? {
        guard case .scalar(let sample) = content else { return nil }
        return instant(seconds: sample.value)
    }
}

extension QueryServer {
    /// The failure of a question that was not answered in time.
    func late(_ deadline: Duration) -> Failure {
        Failure(.transient, "cannot read from \(name) \(endpoint.publicURL): no answer within \(deadline)")
    }
}
