public import SerinModel
public import SerinTransport

/// What a bounded run of requests came to.
public struct LoadReport: Sendable {
    /// One request that got an answer.
    public struct Answer: Sendable {
        /// When it was begun.
        public var start: ContinuousClock.Instant
        /// What the answer's `X-Cohort` said; `none` when the balancer answered by itself.
        public var cohort: String
        /// Its status.
        public var status: Int
    }

    /// The answers, in the order in which they came.
    public var answers: [Answer] = []
    /// Why requests got no answer; the first hundred.
    public var failures: [String] = []
    /// How many got none.
    public var failureCount = 0
    /// How many were sent once more because their connection was closed before any byte of an answer, as clients may do with GET.
    public var retries = 0

    /// Requests made.
    public var requests: Int { answers.count + failureCount }
    /// Answers of one cohort.
    public func count(of cohort: String) -> Int { answers.count { $0.cohort == cohort } }
    /// Answers with a status of 500 or more.
    public var serverErrors: Int { answers.count { $0.status >= 500 } }
    /// The canary's share of the answers that came from a cohort; 0 without any.
    public var canaryShare: Double {
        let canary = count(of: "canary")
        let both = canary + count(of: "control")
        return both == 0 ? 0 : Double(canary) / Double(both)
    }

    mutating func add(_ other: LoadReport) {
        answers += other.answers
        failures = Array((failures + other.failures).prefix(100))
        failureCount += other.failureCount
        retries += other.retries
    }
}

/// Sends requests through a balancer, always within a bound of count and time, and counts the answers of each cohort.
public struct LoadGenerator: Sendable {
    /// Performs the requests; each runner keeps a connection.
    public var transport: Transport
    /// What is asked for.
    public var url: String
    /// How many requests are on their way at a time.
    public var runners: Int
    /// The most requests a second, all runners together; nil is as fast as they can.
    public var rate: Double?
    /// Header fields of each request.
    public var headers: [HTTPHeader] = []
    /// For each request.
    public var timeout = Duration.seconds(10)

    /// A generator of requests.
    public init(transport: Transport, url: String, runners: Int = 8, rate: Double? = nil) {
        self.transport = transport
        self.url = url
        self.runners = runners
        self.rate = rate
    }

    /// Sends so many requests.
    public func run(count: Int) async -> LoadReport { await run(count: count, for: .minutes(2)) { true } }

    /// Sends requests until the time is over, the condition no longer holds or there have been `limit`.
    public func run(
        for time: Duration, limit: Int, while condition: @escaping @Sendable () -> Bool = { true }
    ) async -> LoadReport {
        await run(count: limit, for: time, while: condition)
    }

    private func run(count: Int, for time: Duration, while condition: @escaping @Sendable () -> Bool) async -> LoadReport {
        let begin = ContinuousClock().now
        let end = begin + .milliseconds(time.milliseconds)
        return await withTaskGroup(of: LoadReport.self) { group in
            for runner in 0..<runners {
                let share = count / runners + (runner < count % runners ? 1 : 0)
                group.addTask { await self.runner(runner, share, begin: begin, end: end, while: condition) }
            }
            var report = LoadReport()
            for await part in group { report.add(part) }
            return report
        }
    }

    private func runner(
        _ number: Int, _ count: Int, begin: ContinuousClock.Instant, end: ContinuousClock.Instant,
        while condition: @Sendable () -> Bool
    ) async -> LoadReport {
        let clock = ContinuousClock()
        var report = LoadReport()
        for index in 0..<count {
            if let rate {
                let due = begin + .seconds((Double(index * runners + number)) / rate)
                // Only a cancelled wait fails, and the next line asks for that.
                try? await clock.sleep(until: due)
            }
            guard !Task.isCancelled, clock.now < end, condition() else { break }
            let start = clock.now
            let request = HTTPRequest(url: url, headers: headers, timeout: timeout)
            var result = await attempt(request)
            if case .failure(let failure) = result, wasClosedWithoutAnswer(failure) {
                report.retries += 1
                result = await attempt(request)
            }
            switch result {
            case .success(let answer):
                report.answers.append(
                    .init(start: start, cohort: answer.header("X-Cohort") ?? "none", status: answer.status))
            case .failure(let failure):
                report.failureCount += 1
                if report.failures.count < 100 { report.failures.append(failure.message) }
            }
        }
        return report
    }

    private func attempt(_ request: HTTPRequest) async -> Result<HTTPResponse, Failure> {
        do throws(Failure) { return .success(try await transport.send(request)) } catch { return .failure(error) }
    }

    /// libcurl's words for a connection that ended before an answer began: CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR.
    private func wasClosedWithoutAnswer(_ failure: Failure) -> Bool {
        [
            "Server returned nothing (no headers, no data)", "Failure when receiving data from the peer",
            "Failed sending data to the peer",
        ].contains(where: failure.message.hasSuffix)
    }
}
