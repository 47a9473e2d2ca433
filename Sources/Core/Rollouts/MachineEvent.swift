public import SerinModel

/// What the machine is told: events of a rollout, summarised. The numbers behind a summary stay in `Rollout`.
public enum MachineEvent: Sendable, Hashable {
    /// The charter is durable.
    case started
    /// Time has passed without a deadline.
    case ticked
    /// A deadline of this kind has passed.
    case deadlinePassed(DeadlineKind)
    /// Everything that will be needed works, and the weight is 0; what is to be migrated before the canary, if anything.
    case preflightPassed(migrating: MigrationNeed? = nil)
    /// Something that will be needed does not work, or the weight is not 0.
    case preflightRefused
    /// A preflight ended after everything began to be taken back; what it read of the weight, which may be older than a later reading.
    case preflightLate(ReadBack)
    /// The control's past was read or could not be.
    case historyRead
    /// A poll was completed.
    case polled(PollFindings)
    /// A weight was read back equal to what was asked, and nothing of the request is still on its way.
    case weightConfirmed(IntentID, Weight)
    /// A request was refused or something else was read back, if it could be; nothing of it is still on its way.
    case weightFailed(IntentID, found: ReadBack = .unreadable)
    /// A request may still apply.
    case weightUnsettled(IntentID)
    /// An action succeeded.
    case actionDone(IntentID)
    /// An action failed.
    case actionFailed(IntentID)
    /// Nobody knows how an action ended.
    case actionUnknown(IntentID)
    /// A backup ended.
    case backupReported(IntentID, BackupResult)
    /// The schema was read on the way back, which decides where it goes.
    case schemaInspected(IntentID, SchemaWay)
    /// Someone asked for something.
    case commanded(Command.Verb, by: Principal)
    /// A new controller took over: the weight it read, what became of the action or backup that the former one had under way, and for
    /// how long nobody looked. Nil for an action where none was, or where the new controller itself has begun the open one meanwhile:
    /// its outcome is still to come.
    case takenOver(ReadBack, watchdogLowered: Bool, action: TakenAction?, away: Duration = .zero)
    /// One of the controller's own promises does not hold.
    case doubted
}

/// What is known of a backup that ended.
public enum BackupResult: String, Sendable, Hashable, CaseIterable {
    /// It was made, and a later independent read agreed.
    case verified
    /// It was made, and nobody knows whether it is good.
    case unverified
    /// There is none.
    case failed
    /// Nobody knows.
    case unknown
}

/// What a new controller found out about the action or backup that was under way.
public enum TakenAction: String, Sendable, Hashable, CaseIterable {
    /// It succeeded.
    case done
    /// It failed.
    case failed
    /// Nobody knows.
    case unknown
}

/// What a read of the weight said.
public enum ReadBack: Sendable, Hashable {
    /// This share.
    case weight(Weight)
    /// The balancer answered, and its values mean no share.
    case meaningless
    /// The balancer did not answer.
    case unreadable

    /// The share, when there is one.
    public var weight: Weight? {
        switch self {
        case .weight(let weight): weight
        case .meaningless, .unreadable: nil
        }
    }
}

/// One poll, summarised for the machine.
public struct PollFindings: Sendable, Hashable {
    /// What Postgres' limits say.
    public enum Database: String, Sendable, Hashable, CaseIterable {
        /// Every value is known and within its limit, or none is watched.
        case within
        /// A value is beyond its limit or unknown, not yet for as long as it may be: nothing rises and nothing counts.
        case unsure
        /// A value was beyond its limit, or unknown, for too long.
        case beyond
    }

    /// What the observed share of requests says.
    public enum Share: String, Sendable, Hashable, CaseIterable {
        /// It fits the weight.
        case fits
        /// The canary receives too few.
        case low
        /// The canary receives too many.
        case high
        /// Too few requests to say.
        case unknown
    }

    /// The judged signals together: fail before nodata before inconclusive before pass. The type has no optimistic default.
    public var verdict: JointVerdict
    /// Whether a signal is beyond its hard limit.
    public var isBeyondHardLimit: Bool
    /// Whether a security signal failed.
    public var isSecurityFlagged: Bool
    /// Whether a matching alert fires.
    public var isAlertFiring: Bool
    /// The database.
    public var database: Database
    /// Whether evidence is missing where there should be some.
    public var isTelemetryLost: Bool
    /// The observed share.
    public var share: Share
    /// The weight.
    public var readBack: ReadBack
    /// Whether the step has baked long enough.
    public var isStepDone: Bool
    /// Whether the whole bake is done.
    public var isBakeDone: Bool
    /// Whether control is seen on the new version; without series that could tell, whether the promotion action is all there is.
    public var isControlRenewed: Bool

    /// The findings of one poll.
    public init(
        verdict: JointVerdict, isBeyondHardLimit: Bool = false, isSecurityFlagged: Bool = false, isAlertFiring: Bool = false,
        database: Database = .within, isTelemetryLost: Bool = false, share: Share = .fits, readBack: ReadBack,
        isStepDone: Bool = false, isBakeDone: Bool = false, isControlRenewed: Bool = false
    ) {
        self.verdict = verdict
        self.isBeyondHardLimit = isBeyondHardLimit
        self.isSecurityFlagged = isSecurityFlagged
        self.isAlertFiring = isAlertFiring
        self.database = database
        self.isTelemetryLost = isTelemetryLost
        self.share = share
        self.readBack = readBack
        self.isStepDone = isStepDone
        self.isBakeDone = isBakeDone
        self.isControlRenewed = isControlRenewed
    }

    /// Whether this poll's evidence would allow a promotion.
    public var allowsPromotion: Bool {
        verdict == .pass && isBakeDone && database == .within && !isTelemetryLost && share != .low && share != .high
            && !isBeyondHardLimit && !isSecurityFlagged && !isAlertFiring
    }

    /// Why the rollout cannot go on as it is, when evidence or control over the weight is missing.
    var loss: HoldReason? {
        if readBack.weight == nil { return .unreadable }
        if isTelemetryLost { return .telemetry }
        return share == .low ? .share : nil
    }
}

/// What the judged signals say together.
public enum JointVerdict: String, Sendable, Hashable, CaseIterable {
    /// Every one passes, on evidence without warnings.
    case pass
    /// At least one fails.
    case fail
    /// None fails, none lacks data, not all pass.
    case inconclusive
    /// None fails and one lacks data.
    case nodata
}
