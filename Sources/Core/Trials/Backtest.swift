public import SerinModel
public import SerinPolicies
public import SerinRecords
public import SerinRollouts
internal import SerinVerdicts

/// What another policy would have decided on what a rollout read: its journaled events go through the same machine once more.
///
/// Judged anew are the signals, the limits of the database, what follows from doubt, and the times. What was done to the world stays as
/// it was: steps, actions, backup, migrations, alerts. Up to the first decision that differs the course is the other policy's own. What
/// would have come after is not known, because other requests would have reached the canary; its verdicts from there on are on
/// the readings of the course that was taken.
public struct Backtest: Sendable {
    /// Where a rollout stands.
    public struct Standing: Sendable, Hashable {
        /// The state in a word.
        public var state: String
        /// Why.
        public var cause: String
        /// How it ended, or will end on its way back; nil while neither is known.
        public var ending: Ending?

        init(_ rollout: Rollout, at now: Instant) {
            let status = rollout.status(at: now)
            state = status.state
            cause = status.cause
            ending = status.ending ?? (rollout.machine.isPromotionStarted ? .promoted : nil)
        }
    }

    /// The first decision that differs.
    public struct Difference: Sendable, Hashable {
        /// The journal's entry at which it is taken.
        public var sequence: Int64
        /// The poll at or after which it is taken.
        public var poll: Int
        /// When.
        public var at: Instant
        /// The step, from 1; 0 before the first.
        public var step: Int
        /// The weight in force.
        public var weight: Weight
        /// What was decided then.
        public var then: Standing
        /// What would have been.
        public var now: Standing
    }

    /// What the rollout was asked to be.
    public let charter: Charter
    /// The parts of the other policy that are not judged, because the world had already been changed by the former ones.
    public let kept: [String]
    /// Its signals that are left out, because what they count was not read.
    public let missing: [String]
    /// How many polls were judged anew, until everything was taken back.
    public private(set) var polls = 0
    /// What they came to.
    public private(set) var verdicts = VerdictCourse()
    /// The first decision that differs; nil while none does.
    public private(set) var difference: Difference?
    /// Where the rollout stands by its journal.
    public private(set) var end: Standing?
    /// The time of the last entry.
    public private(set) var endedAt: Instant

    private var replay: Replay<Rollout>
    private var other: Rollout
    /// For each query of the other policy, its place in what was read.
    private let places: [Int]

    /// A backtest, before its first entry.
    ///
    /// - Parameters:
    ///   - charter: What the rollout was asked to be.
    ///   - createdAt: When its charter was journaled.
    ///   - policy: The other policy, with the versions of that charter put in.
    ///   - engines: Which engines wrote the journal.
    public init(of charter: Charter, createdAt: Instant, by policy: Policy, engines: EngineHistory) throws(TrialError) {
        guard policy.service == charter.policy.service else {
            throw TrialError(
                "the policy is of '\(policy.service)', and \(charter.id) is a rollout of '\(charter.policy.service)'",
                hint: "name a rollout of that service")
        }
        self.charter = charter
        endedAt = createdAt
        replay = Replay(of: charter.id, engines: engines)
        let asked = Rollout(charter: charter, createdAt: createdAt).telemetryRequest.queries
        var changed = charter
        (changed.policy, kept) = Self.merged(policy, into: charter.policy)
        let all = Rollout(charter: changed, createdAt: createdAt)
        let wanted = all.telemetryRequest.queries
        let isRead = zip(policy.signals, all.telemetryReads).map { _, reads in
            ([reads.main] + (reads.events.map { [$0] } ?? [])).allSatisfy { asked.contains(wanted[$0]) }
        }
        changed.policy.signals = zip(policy.signals, isRead).filter(\.1).map(\.0)
        missing = zip(policy.signals, isRead).filter { !$0.1 }.map(\.0.name)
        guard !changed.policy.signals.isEmpty else {
            throw TrialError(
                "nothing that the policy's signals count was read by \(charter.id)",
                hint: "a backtest needs the same metrics, conditions and cohorts as the rollout had")
        }
        other = Rollout(charter: changed, createdAt: createdAt)
        places = other.telemetryRequest.queries.compactMap { asked.firstIndex(of: $0) }
    }

    /// The journaled policy with the other one's way to judge, and what of the other one does not count.
    private static func merged(_ policy: Policy, into done: Policy) -> (Policy, kept: [String]) {
        var merged = policy
        var kept: [String] = []
        func keep<Value: Equatable>(_ path: WritableKeyPath<Policy, Value>, _ name: String) {
            if merged[keyPath: path] != done[keyPath: path] { kept.append(name) }
            merged[keyPath: path] = done[keyPath: path]
        }
        keep(\.environment, "environment")
        keep(\.traffic.steps, "traffic.steps")
        keep(\.alerts, "alerts")
        keep(\.timing.poll, "poll")
        keep(\.deploy, "deploy")
        keep(\.promote, "promote")
        keep(\.rollback, "rollback")
        keep(\.backup, "backup")
        keep(\.migrations, "migrations")
        // Limits on what was not read would find no data, which is never healthy.
        if merged.postgres?.limits.map(\.signal) != done.postgres?.limits.map(\.signal) { keep(\.postgres, "postgres") }
        merged.traffic.driver = done.traffic.driver
        return (merged, kept)
    }

    /// Learns of engines that opened the store since.
    public mutating func learn(_ engines: EngineHistory) { replay.learn(engines) }

    /// Takes the rollout's next entry. After an error the backtest is over.
    public mutating func take(_ entry: Entry) throws(ReplayError) {
        if difference != nil { replay.current.map { other.follow($0) } }
        let isGoingOn = replay.current.map { $0.machine.retreat == nil && $0.machine.ending == nil } ?? false
        try replay.take(entry)
        endedAt = entry.at
        guard case .event(let event)? = replay.record, let former = replay.current else { return }
        let wanted = other.handle(read(event), at: entry.at)
        if case .observed = event, isGoingOn { compare(former, at: entry.at) }
        if difference == nil, wanted.filter(\.isDecision) != replay.asked.filter(\.isDecision) {
            difference = Difference(
                sequence: entry.sequence, poll: polls, at: entry.at, step: (former.machine.entered ?? -1) + 1,
                weight: former.machine.inForce, then: Standing(former, at: entry.at), now: Standing(other, at: entry.at))
        }
    }

    /// Ends the backtest; false when the journal has not even the rollout's creation.
    public mutating func finish() -> Bool {
        end = replay.current.map { Standing($0, at: endedAt) }
        return end != nil
    }

    private mutating func compare(_ former: Rollout, at now: Instant) {
        polls += 1
        guard let then = former.verdict, let verdict = other.verdict else { return }
        verdicts.append(
            VerdictCourse.Stretch(
                first: polls, last: polls, from: now, to: now, weight: former.machine.inForce, then: then, now: verdict,
                failing: other.failingSignals))
    }

    /// An event as the other policy would have read it.
    private func read(_ event: RolloutEvent) -> RolloutEvent {
        switch event {
        case .observed(var observation):
            if let series = observation.telemetry?.series { observation.telemetry?.series = ordered(series) }
            return .observed(observation)
        case .historyRead(var history):
            history.series = ordered(history.series)
            return .historyRead(history)
        case .started, .ticked, .preflightFinished, .commanded, .weightReported, .actionReported, .backupReported,
            .migrationReported, .schemaInspected, .backupReleased, .takenOver, .doubted:
            return event
        }
    }

    /// None where something is missing: an answer of another form is no answer.
    private func ordered<Series>(_ series: [Series]) -> [Series] {
        places.allSatisfy { $0 < series.count } ? places.map { series[$0] } : []
    }
}

extension Effect {
    /// Whether it asks something of the world, and is no words about it.
    fileprivate var isDecision: Bool {
        switch self {
        case .record, .notify: false
        case .preflight, .readHistory, .setWeight, .lowerWeight, .takeBackup, .endBackup, .releaseBackup, .runAction, .migrate,
            .endMigration, .inspectSchema, .restore:
            true
        }
    }
}
