public import SerinModel
internal import SerinPolicies
public import SerinRollouts

/// Promises held against what a journal says was asked for and answered, whatever the machine that wrote it held for right:
///
/// - S3: no outcome is reported of what nobody asked for;
/// - S6: nothing is restored but from a verified backup of this rollout, with writes fenced and enough different people agreed;
/// - S13: nothing is migrated without the backup that the policy wants, and nothing that may destroy data without a verified
///   backup, fenced writes and people's agreement;
/// - L2: what is taken back is at its end within its time, or a person was called.
public struct JournalPromises: Sendable {
    /// What a rollout is once an event was taken.
    public struct Standing: Sendable, Hashable {
        /// Whether it is being taken back.
        public var isTakenBack: Bool
        /// Whether it is over.
        public var isOver: Bool
        /// The plan that people are asked about, by the first digits of its hash.
        public var plan: String?

        /// A standing.
        public init(isTakenBack: Bool, isOver: Bool, plan: String? = nil) {
            self.isTakenBack = isTakenBack
            self.isOver = isOver
            self.plan = plan
        }

        /// Where a rollout stands.
        public init(_ rollout: Rollout) {
            self.init(
                isTakenBack: rollout.machine.retreat != nil, isOver: rollout.machine.ending != nil, plan: rollout.awaitedPlan)
        }
    }

    private struct Retreat: Sendable {
        var sequence: Int64
        /// Since when its time runs.
        var since: Instant
        var isCalled = false
    }

    private struct Agreement: Sendable {
        var person: Principal
        var at: Instant
    }

    /// Each broken promise, with the entry that breaks it.
    public private(set) var faults: [String] = []
    private let charter: Charter
    private let longestRetreat: Duration
    private var standing = Standing(isTakenBack: false, isOver: false)
    private var asked: Set<IntentID> = []
    private var fences: [IntentID: ActionKind] = [:]
    private var isFenced = false
    private var backup: CheckpointReference?
    private var agreements: [Agreement] = []
    private var retreat: Retreat?
    private var eventAt: Instant?
    private var length: Duration? { charter.policy.timing.approvalFor }

    /// The promises of a rollout.
    public init(charter: Charter) {
        self.charter = charter
        let plan = MachinePlan(charter: charter)
        let rollback = plan.timing.rollbackDeadline
        // What takes the schema or the data back has its own time, from when it begins.
        longestRetreat = rollback + max(rollback, plan.migration ?? .zero, plan.restore ?? .zero)
    }

    /// Takes the rollout's next entry.
    ///
    /// - Parameter next: Where the rollout stands with it; what an effect asks for changes nothing about that, so it is not asked for.
    public mutating func take(_ sequence: Int64, at now: Instant, _ record: Record, _ next: @autoclosure () -> Standing) {
        switch record {
        case .opened, .created: break
        case .clockJumped: retreat?.since = now
        case .event(let event):
            judgeRetreat()
            take(event, sequence, now)
            follow(next(), event, sequence, now)
        case .effect(let effect): take(effect, sequence)
        }
    }

    /// The journal is at its end.
    ///
    /// - Parameter isHeld: Whether a controller goes on with it.
    public mutating func finish(isHeld: Bool) {
        judgeRetreat()
        guard let retreat, !retreat.isCalled, !isHeld else { return }
        faults.append(
            "L2: it is being taken back since entry \(retreat.sequence), no controller goes on with it, and no person was called")
    }

    // MARK: L2

    /// Judged before the next event: with all that the last one asked for.
    private mutating func judgeRetreat() {
        guard var current = retreat, !current.isCalled, let eventAt, eventAt - current.since > longestRetreat else { return }
        faults.append(
            "L2: it is being taken back since entry \(current.sequence), and \(eventAt - current.since) later it is neither at its end nor was a person called"
        )
        current.isCalled = true
        retreat = current
    }

    private mutating func follow(_ next: Standing, _ event: RolloutEvent, _ sequence: Int64, _ now: Instant) {
        if case .commanded(let command) = event, command.verb == .halt || command.verb == .haltForSecurity,
            !next.isTakenBack, !next.isOver
        {
            faults.append("L2: the \(command.verb.rawValue) of entry \(sequence) takes nothing back")
        }
        if !next.isTakenBack || next.isOver {
            retreat = nil
        } else if retreat == nil || standing.plan != nil && next.plan == nil {
            // People have decided about the data: from here it has its time again.
            retreat = Retreat(sequence: sequence, since: now)
        } else if case .takenOver = event {
            // While no controller ran nobody could call.
            retreat?.since = now
        }
        // Who agreed to something else has not agreed to this, and nobody agrees for ever.
        let isOld = agreements.first.map { first in length.map { now - first.at >= $0 } ?? false } ?? false
        if let plan = next.plan, plan != standing.plan || isOld { agreements = [] }
        standing = next
        eventAt = now
    }

    // MARK: What was answered

    private mutating func take(_ event: RolloutEvent, _ sequence: Int64, _ now: Instant) {
        switch event {
        case .commanded(let command): agree(command, now)
        case .weightReported(let intent, _), .migrationReported(let intent, _), .schemaInspected(let intent, _):
            expectAsked(intent, sequence)
        case .actionReported(let intent, let outcome):
            expectAsked(intent, sequence)
            note(intent, outcome)
        case .backupReported(let intent, let outcome):
            expectAsked(intent, sequence)
            note(outcome)
        case .takenOver(let takeover):
            for action in takeover.actions {
                expectAsked(action.intent, sequence)
                note(action.intent, action.outcome)
            }
            if let outcome = takeover.backup { note(outcome) }
        case .started, .ticked, .preflightFinished, .historyRead, .observed, .backupReleased, .doubted: break
        }
    }

    private mutating func expectAsked(_ intent: IntentID, _ sequence: Int64) {
        guard !asked.contains(intent) else { return }
        faults.append("S3: entry \(sequence) reports the outcome of \(intent), which nobody asked for")
    }

    /// Who may, agrees to the plan that is asked about.
    private mutating func agree(_ command: Command, _ now: Instant) {
        guard command.verb == .approve, let wanted = standing.plan, let named = command.plan?.lowercased() else { return }
        guard named.hasPrefix(wanted), charter.policy.environment == .demo || command.by != charter.author else { return }
        agreements.append(Agreement(person: command.by, at: now))
    }

    private mutating func note(_ intent: IntentID, _ outcome: ActionOutcome) {
        guard case .done = outcome, let kind = fences[intent] else { return }
        isFenced = kind == .fence
    }

    private mutating func note(_ outcome: BackupOutcome) {
        if case .made(let reference) = outcome { backup = reference.state.isVerified ? reference : nil }
    }

    // MARK: What was asked for

    private mutating func take(_ effect: Effect, _ sequence: Int64) {
        switch effect {
        case .setWeight(let intent, _), .lowerWeight(let intent, _), .takeBackup(let intent), .inspectSchema(let intent):
            asked.insert(intent)
        case .runAction(let intent, let kind):
            asked.insert(intent)
            guard kind == .fence || kind == .unfence else { return }
            fences[intent] = kind
            isFenced = false
        case .migrate(let intent, let step):
            asked.insert(intent)
            if case .up(_, let target, let judged) = step { judge(judged, to: target, sequence) }
        case .restore(let intent, let reference, _):
            asked.insert(intent)
            let lacking = lacking(reference.backup)
            if !lacking.isEmpty { faults.append("S6: entry \(sequence) restores data \(lacking.joined(separator: " and "))") }
        case .notify(let notice): if notice.isCall { retreat?.isCalled = true }
        case .preflight, .readHistory, .endBackup, .releaseBackup, .endMigration, .record: break
        }
    }

    private mutating func judge(_ revisions: [PlannedRevision], to target: RevisionID, _ sequence: Int64) {
        let mayDestroy = revisions.contains(where: \.kind.mayDestroy)
        let lacking =
            mayDestroy ? lacking(nil) : charter.policy.backup != nil && backup == nil ? ["without a verified backup"] : []
        guard !lacking.isEmpty else { return }
        faults.append("S13: entry \(sequence) migrates to \(target) \(lacking.joined(separator: " and "))")
    }

    /// What is missing for what may destroy data.
    ///
    /// - Parameter wanted: The backup that it stands on; nil for any of this rollout.
    private func lacking(_ wanted: BackupID?) -> [String] {
        var words: [String] = []
        if backup == nil || wanted.map({ $0 != backup?.backup }) ?? false { words.append("without a verified backup") }
        if !isFenced { words.append("with writes let in") }
        let people = Set(agreements.map(\.person)).count
        let needed = charter.policy.migrations?.approvals ?? 1
        if people < needed { words.append("with \(people) of \(needed) people agreed") }
        return words
    }
}
