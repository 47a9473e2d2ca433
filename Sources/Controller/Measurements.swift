public import SerinModel
internal import SerinRollouts
public import SerinVerdicts

/// What the controllers of one process measured of themselves since it began.
public struct Measurements: Sendable, Hashable {
    /// One signal's verdict.
    public struct SignalVerdict: Sendable, Hashable, Comparable {
        /// The signal's name in its policy.
        public var signal: String
        /// The verdict.
        public var verdict: Verdict

        /// A signal's verdict.
        public init(_ signal: String, _ verdict: Verdict) {
            self.signal = signal
            self.verdict = verdict
        }

        /// By signal, then verdict.
        public static func < (left: SignalVerdict, right: SignalVerdict) -> Bool {
            (left.signal, left.verdict.rawValue) < (right.signal, right.verdict.rawValue)
        }
    }

    /// From a halt's arrival at its rollout to weight 0 read back.
    public var halts = DurationHistogram(bounds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60])
    /// How long the reckoning over what one poll read took.
    public var decisions = DurationHistogram(bounds: [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5])
    /// How long appends to journals took until they would survive a power cut.
    public var appends = DurationHistogram(bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5])
    /// Appends that failed.
    public var failedAppends: Int64 = 0
    /// How often a promise of a controller did not hold, so that the rollout was taken back.
    public var brokenPromises: Int64 = 0
    /// How often each effect did not do what was asked, or nobody knows.
    public var failures: [EffectKind: Int64] = [:]
    /// How often each verdict was reached.
    public var verdicts: [SignalVerdict: Int64] = [:]
    /// How old the evidence of each live rollout is.
    public var evidenceAges: [ServiceName: Duration] = [:]
    /// Whether this process is in charge of each service that it knows.
    public var isInCharge: [ServiceName: Bool] = [:]

    /// Nothing measured.
    public init() {}
}

/// An effect of which something is reported, in a word for metrics.
public enum EffectKind: String, Sendable, Hashable, CaseIterable {
    /// Asking for a weight and reading it back.
    case weight
    /// Making the backup that a rollout stands on.
    case backup
    /// Giving that backup free.
    case backupRelease = "backup_release"
    /// Bringing the canary up.
    case deploy
    /// Giving the new version to control.
    case promote
    /// Bringing the previous version back.
    case rollback
    /// Moving the schema forward.
    case migrate
    /// Taking the schema back.
    case downgrade
    /// Reading the schema once nothing is running.
    case schema
    /// Fencing writes.
    case fence
    /// Letting writes in again.
    case unfence
    /// Bringing data back.
    case restore

    /// The kind of an effect; nil where its answer is itself what is looked at, or there is none.
    init?(_ effect: Effect) {
        switch effect {
        case .setWeight, .lowerWeight: self = .weight
        case .takeBackup: self = .backup
        case .releaseBackup: self = .backupRelease
        case .runAction(_, let kind): self = EffectKind(kind)
        case .migrate(_, .up): self = .migrate
        case .migrate(_, .down): self = .downgrade
        case .inspectSchema: self = .schema
        case .restore: self = .restore
        case .preflight, .readHistory, .endBackup, .endMigration, .record, .notify: return nil
        }
    }

    private init(_ action: ActionKind) {
        switch action {
        case .deploy: self = .deploy
        case .promote: self = .promote
        case .rollback: self = .rollback
        case .migrate: self = .migrate
        case .downgrade: self = .downgrade
        case .fence: self = .fence
        case .unfence: self = .unfence
        case .restore: self = .restore
        }
    }
}
