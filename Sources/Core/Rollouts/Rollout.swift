public import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

/// One rollout: its evidence and its state machine. A value; everything it learns comes in as an event, everything it wants goes
/// out as effects, so the same events always give the same effects.
///
/// What the one who performs the effects owes in return:
/// - every `setWeight` gets an answer under its intent, or is followed by `takenOver`; while one is in progress, the same one asked
///   for again is ignored;
/// - a `setWeight` above 0 is dropped unsent once a newer one was asked for, and is answered `failed`; one already sent is answered
///   as it ends, or `unsettled`;
/// - the timeout of a raise and the balancer's settle time together stay within the policy's `raiseDeadline`;
/// - polls go on in every state but final ones.
public struct Rollout: Sendable, Hashable {
    /// What it was asked to be.
    public let charter: Charter
    /// The state machine inside.
    public internal(set) var machine: RolloutMachine

    let createdAt: Instant
    var feed: EvidenceFeed
    var database: DatabaseGate
    /// What the database is compared with, as the latest reading says; nil before the first that succeeds.
    public private(set) var databaseStart: DatabaseStart?
    var share = ShareGuard()
    var bake: BakeLedger
    var log: VerdictLog
    /// The latest assessment.
    var assessment: Assessment?
    /// The interval of each signal that has one, as last computed.
    var intervals: [ComputedInterval] = []
    /// The summary of the latest poll.
    var findings: PollFindings?
    /// What went wrong at the latest poll.
    var trouble = Trouble()
    /// What was said of evidence that is doubtful.
    var doubt = DoubtLog()
    /// When the weight was last confirmed above 0 after having been 0; nil while it is 0.
    var exposedSince: Instant?
    /// When a weight was last confirmed: what a poll read before is older than that.
    var confirmedAt: Instant?
    /// The tries for the weight wanted now since it was last confirmed, while it is 0 or being lowered.
    var loweringTries = LoweringTries()
    /// When the latest poll was completed.
    var polledAt: Instant?
    /// Whether a poll since the last completed block was not healthy.
    var wasUnhealthy = false
    /// When an action last ended: what a poll read before knows nothing of it.
    var actionEndedAt: Instant?
    /// The verified backup to which it can be taken back.
    var restorePoint: CheckpointReference?
    /// What is to be migrated, as the preflight found it.
    var migrations: MigrationPlan?
    /// Which way the schema and the data go back, as it was last decided.
    var rollbackPlan: RollbackPlan?
    /// What the migration wrote itself; nil while it has not ended well, or when nobody counted.
    var ownRows: [TableActivity]?
    /// How much each table had been written to when the migration ended; nil as above.
    var countedRows: [TableActivity]?
    /// The revisions that were applied when the migration ended, by what the database said then.
    var appliedRevisions: [PlannedRevision] = []
    /// Whether a restore said that it is done, until the schema is read.
    var isRestored = false
    /// Whether a restore was done and the schema found where it was: what was applied before says nothing any more.
    var isDataBack = false
    /// How much each table had been written to when a restore was last proposed; nil when none was, or nobody counted.
    var rowsBeforeRestore: [TableActivity]?
    /// Whether the probes have not all said yes since the schema or the data came back.
    var owesProbes = false
    /// Whether a backup was asked for, so that one may be kept for it.
    var isBackupAsked = false
    /// Whether a security signal failed or someone halted it for security, be it on the way back for another cause.
    var wasStoppedForSecurity = false
    /// Why it is where it is.
    var cause = ""
    /// Why everything is taken back, without what became of a try of it.
    var causeOfRetreat = ""
    /// What the event under way says, for the cause of a change of state.
    var reason = ""
    /// When the state last changed.
    var since: Instant

    /// A rollout about to begin.
    public init(charter: Charter, createdAt: Instant) {
        self.charter = charter
        self.createdAt = createdAt
        let plan = MachinePlan(charter: charter)
        machine = RolloutMachine(plan: plan)
        feed = EvidenceFeed(policy: charter.policy, version: charter.version, previous: charter.previous)
        database = DatabaseGate(policy: charter.policy.postgres)
        bake = BakeLedger(charter.policy)
        log = VerdictLog(signals: charter.policy.signals)
        since = createdAt
    }

    /// What to ask of telemetry at a poll.
    public var telemetryRequest: TelemetryRequest { feed.request }

    /// When it has to be told that time has passed, at the latest; nil when no deadline is running.
    public var nextDeadline: Instant? { machine.deadlines.armed.map(\.due).min() }

    /// Why a command would not be accepted now; nil when it would.
    public func refusal(of command: Command, at now: Instant) -> Refusal? {
        guard var refusal = machine.refusal(of: command.verb, by: command.by) else { return refusalOfPlan(command) }
        if command.verb == .promote, !machine.allowsPromotion, machine.retreat == nil, machine.ending == nil {
            let lacking = lackingForPromotion
            if !lacking.isEmpty { refusal.message += ": " + lacking.joined(separator: "; ") }
        }
        return refusal
    }

    /// Takes one event and returns what it asks of the world.
    public mutating func handle(_ event: RolloutEvent, at now: Instant) -> [Effect] {
        if case .backupReleased(let failure) = event { return released(failure) }
        guard machine.ending == nil else { return [] }
        var effects: [Effect] = []
        reason = ""
        switch event {
        case .started: apply(.started, at: now, into: &effects)
        case .ticked: apply(.ticked, at: now, into: &effects)
        case .preflightFinished(let report):
            databaseStart = report.database?.start ?? databaseStart
            preflightFinished(report, at: now, into: &effects)
        case .historyRead(let history):
            feed.absorb(history)
            apply(.historyRead, at: now, into: &effects)
        case .observed(let observation):
            databaseStart = observation.database?.start ?? databaseStart
            let assessment = feed.absorb(observation.telemetry, at: now, isCollecting: isCollecting(at: now))
            let feed = self.feed
            take(observation, assessment, shown: { feed.shown() }, at: now, into: &effects)
        case .commanded(let command): take(command, at: now, into: &effects)
        case .weightReported(let intent, let outcome): take(outcome, of: intent, at: now, into: &effects)
        case .actionReported(let intent, let outcome): take(outcome, of: intent, at: now, into: &effects)
        case .backupReported(let intent, let outcome): take(outcome, of: intent, at: now, into: &effects)
        case .migrationReported(let intent, let outcome): take(outcome, of: intent, at: now, into: &effects)
        case .schemaInspected(let intent, let found): take(found, of: intent, at: now, into: &effects)
        case .backupReleased: break
        case .takenOver(let takeover): take(takeover, at: now, into: &effects)
        case .doubted(let words):
            reason = words
            effects.append(.record(Decision(topic: "doubt", text: "doubt: \(words) → weight 0")))
            apply(.doubted, at: now, into: &effects)
        }
        passDeadlines(at: now, into: &effects)
        return effects
    }

    /// Whether what the canary does now is evidence: while it bakes, and while it waits at a weight that it has had for a warm-up. The
    /// time of a wait is no bake, but whoever goes bad meanwhile is taken back as in a bake.
    private func isCollecting(at now: Instant) -> Bool {
        if machine.isBaking { return true }
        guard machine.isWaitingAtWeight, let confirmedAt else { return false }
        return now - confirmedAt >= machine.plan.timing.warmup
    }

    /// Tells the machine of every deadline that has passed, the earliest first.
    private mutating func passDeadlines(at now: Instant, into effects: inout [Effect]) {
        // Each round disarms one; only deadlines in the future are armed meanwhile.
        while let kind = machine.deadlines.passed(at: now).first {
            reason = kind == .backup ? "the backup did not end in time" : ""
            apply(.deadlinePassed(kind), at: now, into: &effects)
            guard machine.deadlines.due(kind).map({ $0 > now }) ?? true else { return }
        }
    }

    /// Gives the machine one event, turns what it asks into effects, and writes down what changed.
    mutating func apply(_ event: MachineEvent, at now: Instant, into effects: inout [Effect]) {
        let before = machine
        for wanted in machine.handle(event, at: now) {
            switch wanted {
            case .preflight: effects.append(.preflight)
            case .readHistory: effects.append(.readHistory)
            case .setWeight(let intent, let weight): effects.append(.setWeight(intent, weight))
            case .lowerWeight(let intent, let weight): effects.append(.lowerWeight(intent, weight))
            case .takeBackup(let intent):
                isBackupAsked = true
                effects.append(.takeBackup(intent))
            case .endBackup(let intent): effects.append(.endBackup(intent))
            case .runAction(let intent, let kind): effects.append(effect(of: kind, intent))
            case .endMigration(let intent): effects.append(.endMigration(intent))
            case .inspectSchema(let intent): effects.append(.inspectSchema(intent))
            case .note(let note): write(note, into: &effects)
            }
        }
        if machine.request?.progress == .confirmed, before.request != machine.request || before.inForce != machine.inForce {
            confirmedAt = now
            share.weightConfirmed()
            feed.weightConfirmed(machine.inForce, at: now)
        }
        if machine.request?.weight != before.request?.weight { loweringTries = LoweringTries() }
        if machine.inForce == .zero { exposedSince = nil } else if exposedSince == nil { exposedSince = now }
        if machine.isPromotionStarted, !before.isPromotionStarted { feed.promotionBegan() }
        if machine.ending != nil, isBackupAsked { effects.append(.releaseBackup) }
        guard machine.state != before.state else { return }
        changed(from: before.state, at: now, into: &effects)
    }
}
