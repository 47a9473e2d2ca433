import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import SerinTrials
import Testing

/// Judges journals of simulated rollouts by other policies.
@Suite struct BacktestTests {
    private let charter: Charter
    private let entries: [Entry]
    private let engines: EngineHistory

    /// A rollout of a canary with twice the errors, whose policy tolerates six times as many.
    init() throws {
        let policy = try trialPolicy([.errors(tolerance: 5)], steps: [5, 25])
        let simulation = try Simulation(policy, SimulatedLoad(requestsPerSecond: 1000, canary: 2), seed: 3)
        var drafts = [
            Draft(rollout: nil, at: Instant(millisecondsSince1970: 0), record: .opened(epoch: 1, engine: engineVersion))
        ]
        let run = simulation.run(0) { drafts.append($0) }
        #expect(run.outcome == .promoted)
        entries = try drafts.enumerated().map { number, draft in
            Entry(
                sequence: Int64(number + 1), epoch: 1, rollout: draft.rollout, at: draft.at,
                body: try CanonicalEncoder.bytes(of: draft.record), previous: [], hash: [])
        }
        var engines = EngineHistory()
        try engines.take(entries[0])
        self.engines = engines
        guard case .created(let charter) = drafts[1].record else { throw TrialError("no charter") }
        self.charter = charter
    }

    private func backtest(_ policy: Policy) throws -> Backtest {
        var backtest = try Backtest(of: charter, createdAt: entries[1].at, by: policy, engines: engines)
        for entry in entries.dropFirst() { try backtest.take(entry) }
        let hasRollout = backtest.finish()
        #expect(hasRollout)
        return backtest
    }

    @Test func theSamePolicyDecidesTheSame() throws {
        let tried = try backtest(charter.policy)
        #expect(tried.difference == nil && tried.kept.isEmpty && tried.missing.isEmpty)
        #expect(tried.polls > 20 && tried.verdicts.stretches.allSatisfy { $0.then == $0.now })
        #expect(tried.end?.ending == .promoted)
    }

    @Test func aStricterToleranceWouldHaveTakenItBackAndIsJudgedToTheEnd() throws {
        let tried = try backtest(try trialPolicy([.errors()], steps: [5, 25]))
        let difference = try #require(tried.difference)
        #expect(difference.now.ending == .failed && difference.now.cause.contains("errors"), "\(difference)")
        #expect(difference.then.ending == nil && difference.step >= 1 && difference.poll < tried.polls)
        // The course that was taken goes on, and so do the other policy's verdicts on it.
        let last = try #require(tried.verdicts.stretches.last)
        #expect(last.last == tried.polls && last.then == .pass && last.now == .fail && last.failing == ["errors"])
        #expect(tried.end?.ending == .promoted)
    }

    @Test func whatWasDoneToTheWorldIsKeptAndWhatWasNotReadIsLeftOut() throws {
        let tried = try backtest(
            try trialPolicy([.errors(tolerance: 5), .latency], steps: [10, 50]) { $0.timing.poll = .seconds(5) })
        #expect(tried.kept.contains("traffic.steps") && tried.kept.contains("poll"))
        #expect(tried.missing == ["latency"])
        #expect(tried.difference == nil)
    }

    @Test func aLongerBakeDiffersWithoutAnEndThatIsKnown() throws {
        let tried = try backtest(
            try trialPolicy([.errors(tolerance: 5)], steps: [5, 25]) { $0.timing.bake = .minutes(30) })
        let difference = try #require(tried.difference)
        #expect(difference.now.ending == nil && difference.then.ending == nil)
        #expect(difference.then.state == "raising" && difference.now.state == "baking", "\(difference)")
    }

    @Test func aPolicyOfSomethingElseIsRefused() throws {
        let other = try trialPolicy { policy in policy.service = ServiceName("cart") ?? policy.service }
        #expect(throws: TrialError.self) { try backtest(other) }
        let error = #expect(throws: TrialError.self) { try backtest(try trialPolicy([.latency])) }
        #expect(error?.message.contains("nothing that the policy's signals count was read") == true)
    }

    @Test func anUnknownEngineIsNotDecidedAgain() throws {
        var backtest = try Backtest(of: charter, createdAt: entries[1].at, by: charter.policy, engines: EngineHistory())
        #expect(throws: ReplayError.self) { try backtest.take(entries[1]) }
    }

    /// The readings of the same rollout, as Prometheus would have kept them.
    @Test func aRangeOfThePastIsOneBake() throws {
        let past = try keptReadings()
        for (tolerance, verdict) in [(0.1, JointVerdict.fail), (5, .pass)] {
            var range = try RangeBacktest(
                try trialPolicy([.errors(tolerance: tolerance)]) { $0.timing.bake = .minutes(4) }, version: "2", previous: "1")
            range.judge(past)
            #expect(range.polls > 5)
            #expect(range.verdicts.stretches.last?.now == verdict, "\(range.verdicts)")
        }
    }

    /// Each poll of the journal as an edge of a history of both cohorts.
    private func keptReadings() throws -> PastReadings {
        var readings: [TelemetryReading] = []
        var before: HistoryReading?
        for entry in entries {
            switch try CanonicalDecoder.decode(Record.self, from: entry.body) {
            case .event(.observed(let observation)): readings += observation.telemetry.map { [$0] } ?? []
            case .event(.historyRead(let history)): before = history
            case .opened, .created, .event, .effect, .clockJumped: break
            }
        }
        // One a minute of those that came every 15 s.
        let kept = readings.indices.filter { $0 % 4 == 0 }.map { readings[$0] }
        let first = try #require(kept.first)
        func history(_ version: String) -> HistoryReading {
            HistoryReading(
                start: first.evaluatedAt, step: .minutes(1),
                series: first.series.indices.map { query in
                    first.series[query].rows.filter { $0.label("version") == version }.map { row in
                        HistoryRow(
                            labels: row.labels,
                            values: kept.map { $0.series[query].rows.first { $0.labels == row.labels }?.value })
                    }
                }, scrapeInterval: nil, warnings: [])
        }
        let unknown = HistoryReading(start: first.evaluatedAt, step: .minutes(1), series: [], scrapeInterval: nil, warnings: [])
        return PastReadings(
            before: try #require(before), canary: .init(values: history("2"), ages: unknown),
            control: .init(values: history("1"), ages: unknown))
    }
}
