import FakeController
import SerinController
import SerinLocks
import SerinModel
import SerinPages
import SerinPolicies
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testing

/// A rollout of forty minutes with two steps, an approval, and a signal that comes to fail.
struct SampleRollout {
    static let begin = Instant(millisecondsSince1970: 1_772_325_000_000)
    static let author = Principal.uid(1000)

    var status: RolloutStatus
    let entries: [Entry]

    /// How far a halt has come.
    enum Halt { case underWay, done }

    static let halter = Principal(channel: "slack", identity: "T1/U2")

    /// The course, with a name for every signal that a test may choose.
    static func make(signal: String = "errors", failing: Bool = false, halt: Halt? = nil) throws -> SampleRollout {
        var status = RolloutStatus.sample()
        status.startedAt = begin
        status.since = begin + .minutes(22)
        status.cause = "weight 25% is in force and nothing speaks against it"
        status.next = "12m 5s of healthy time more, then 50%"
        status.signals = names(signal).map { assessment($0, minute: 40, failing: failing && $0 == signal) }
        if failing {
            status.state = "rolling back"
            status.ending = .failed
            status.cause =
                "\(signal) canary 2.10% (84/4,003) control 1.02% (122/11,980), ratio 2.06 [1.56–2.72] beyond 1.10, since 01:06"
            status.next = "weight 0 is asked for until it is read back"
            status.wantedWeight = .zero
        }
        if let halt {
            status.state = "rolling back"
            status.since = begin + .minutes(40)
            status.ending = .halted
            status.cause = "halt by \(halter): payments fail"
            status.next = "weight 0 is asked for until it is read back"
            status.wantedWeight = .zero
            if case .done = halt {
                status.state = "rolled back"
                status.observedWeight = .zero
                status.isFinal = true
                status.next = "nothing: the rollout is over"
            }
        }
        return SampleRollout(status: status, entries: try journal(status, signal, failing, halt))
    }

    static func names(_ signal: String) -> [String] { [signal, "latency_p95", "latency_p99", "rate_limits", "auth_fail"] }

    static func assessment(_ name: String, minute: Int, failing: Bool) -> SignalAssessment {
        var signal = SignalAssessment(name: name)
        let share = Double(minute) / 40
        signal.verdict = failing && minute > 36 ? .fail : minute < 8 ? .nodata : minute < 24 ? .inconclusive : .pass
        signal.reason =
            failing && minute > 36 ? "beyond 1.10" : minute < 24 ? "the evidence does not say yet" : "a rise is excluded"
        signal.isSecurity = name == "auth_fail"
        signal.counts.canaryExposure = 4003 * share
        signal.counts.controlExposure = 11980 * share
        signal.counts.canaryEvents = (failing ? 84 : 41) * share
        signal.counts.controlEvents = 122 * share
        signal.ratio = failing ? 0.9 + 1.16 * share : 1.2 - 0.2 * share
        signal.interval =
            failing
            ? Interval(low: 0.7 + 0.86 * share, high: 4.5 - 1.78 * share)
            : Interval(low: 0.6 + 0.3 * share, high: 2.5 - 1.42 * share)
        if signal.verdict == .fail { signal.onset = begin + .minutes(36) }
        return signal
    }

    private static func journal(
        _ status: RolloutStatus, _ signal: String, _ failing: Bool, _ halt: Halt?
    ) throws -> [Entry] {
        var records: [(Int, Record)] = [(0, .opened(epoch: 1, engine: "3")), (0, .created(charter(status, signal)))]
        func decide(_ minute: Int, _ topic: String, _ text: String, _ signals: [SignalAssessment] = []) {
            records.append((minute, .effect(.record(Decision(topic: topic, text: text, signals: signals)))))
        }
        func set(_ minute: Int, _ percent: Int) throws {
            let weight = try #require(Weight(percent: percent))
            records.append((minute, .effect(.setWeight(IntentID(minute), weight))))
            records.append(
                (
                    minute,
                    .event(.weightReported(IntentID(minute), .confirmed(WeightReading(weight: weight, raw: "canary \(percent)"))))
                ))
            decide(minute, "weight", "weight \(percent)% confirmed: canary \(percent)")
        }
        decide(0, "state", "created → preflight: everything the rollout needs works; preflight ends within 2m")
        try set(1, 0)
        try set(2, 5)
        decide(2, "state", "raising to step 1 → baking step 1: weight 5% is in force; 10m of healthy time more")
        for minute in 3...40 {
            records.append((minute, .event(.observed(try poll(minute < 20 ? 5 : 25)))))
            if minute == 18 {
                records.append(
                    (
                        minute,
                        .event(
                            .commanded(
                                Command(.hold, by: Principal(channel: "slack", identity: "T1/U2"), reason: "looking at a ticket"))
                        )
                    ))
                decide(minute, "command", "hold by slack:T1/U2: looking at a ticket → held")
            }
            if minute == 20 {
                records.append((minute, .event(.commanded(Command(.resume, by: author, reason: "ticket was unrelated")))))
                decide(minute, "command", "resume by uid:1000: ticket was unrelated → raising")
                try set(20, 25)
            }
            for name in names(signal) {
                let one = assessment(name, minute: minute, failing: failing && name == signal)
                decide(minute, "verdict", "step 25% \(one.verdict.rawValue.uppercased()) \(name): \(one.reason)", [one])
            }
        }
        if failing {
            decide(
                40, "state", "baking step 2 → rolling back: \(status.cause); weight 0 is asked for until it is read back",
                [assessment(signal, minute: 40, failing: true)])
            records.append((40, .effect(.setWeight(IntentID(40), .zero))))
        }
        if let halt {
            records.append((40, .event(.commanded(Command(.halt, by: halter, reason: "payments fail")))))
            decide(40, "command", "\(status.cause) → rolling back")
            decide(40, "state", "baking step 2 → rolling back: \(status.cause); weight 0 is asked for until it is read back")
            if case .done = halt {
                try set(40, 0)
                decide(40, "state", "rolling back → rolled back: the balancer shows 0% (canary 0)")
            } else {
                records.append((40, .effect(.setWeight(IntentID(40), .zero))))
            }
        }
        return try records.enumerated().map { index, record in
            try entry(Int64(index + 1), index > 0 ? status.id : nil, begin + .minutes(Int64(record.0)), record.1)
        }
    }

    /// An entry as it would be stored, with hashes that nobody checks.
    static func entry(_ sequence: Int64, _ rollout: RolloutID?, _ at: Instant, _ record: Record) throws -> Entry {
        Entry(
            sequence: sequence, epoch: 1, rollout: rollout, at: at, body: try CanonicalEncoder.bytes(of: record),
            previous: Array(repeating: 0, count: 32), hash: Array(repeating: UInt8(truncatingIfNeeded: sequence), count: 32))
    }

    private static func poll(_ percent: Int) throws -> Observation {
        let body = """
            {"at":1795000000000,"telemetry":{"alerts":[],"evaluatedAt":1795000001000,"failures":[],"instances":[],"series":[{"rows":[{"buckets":[],"labels":[{"name":"x","value":"\\"traffic\\":{"}],"resets":"0.0","sampledAt":1795000000000,"value":"1.0"}],"warnings":[]}]},"traffic":{"reading":{"raw":"\\"traffic\\":{ app","weight":\(percent * 100)}}}
            """
        return try CanonicalDecoder.decode(Observation.self, from: Array(body.utf8))
    }

    private static func charter(_ status: RolloutStatus, _ signal: String) -> Charter {
        let steps = [5, 25, 50].compactMap(Weight.init(percent:)).map { StepPolicy(weight: $0) }
        let policy = Policy(
            service: status.service, environment: .production,
            traffic: TrafficPolicy(driver: DriverSettings(driver: "haproxy", settings: [:]), steps: steps),
            prometheus: PrometheusPolicy(
                endpoint: HTTPEndpoint(url: "http://127.0.0.1:9090"), instanceLabel: "instance",
                canary: [Label("version", status.version)], control: [Label("version", status.previous)], staleAfter: nil,
                timeout: .seconds(5)),
            signals: names(signal).map {
                SignalPolicy(
                    name: $0, source: .ratio(counter: "http_requests_total", bad: [LabelMatcher("code", .matches, "5..\"")]))
            }, alerts: nil, postgres: nil, deploy: nil, promote: nil, rollback: nil, onFailure: .rollback,
            onInconclusive: .hold, onTelemetryLoss: .hold, onDrift: .hold, timing: TimingPolicy())
        return Charter(
            id: status.id, policy: policy, policyHash: String(repeating: "9f", count: 32), version: status.version,
            previous: status.previous, author: author, overrides: [])
    }
}

extension SampleRollout {
    /// A controller that has it.
    func operations() -> FakeOperations {
        let operations = FakeOperations(status)
        operations.state.withLock {
            $0.entries = entries
            $0.decisions = history.decisions
        }
        return operations
    }

    /// Its course.
    var history: RolloutHistory {
        var history = RolloutHistory(of: status.id)
        for entry in entries { history.take(entry) }
        return history
    }
}
