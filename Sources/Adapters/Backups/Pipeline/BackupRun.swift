public import SerinCatalogue
public import SerinModel

/// The stages of a backup, in their order. A failure names the one in which it happened.
public enum BackupStage: String, Sendable, Hashable, Codable, CaseIterable {
    /// The target's lease is taken, and what killed runs left behind is removed.
    case lease
    /// Server, rights, room, destinations and key are looked at.
    case preflight
    /// The source gives its bytes, which are compressed, encrypted and examined in the same pass.
    case dump
    /// The examination's findings are judged.
    case check
    /// The object is put to every destination.
    case store
    /// It is read back from every destination.
    case confirm
    /// The manifest is put beside it.
    case manifest
    /// The catalogue is told.
    case catalogue
    /// The pointer to the newest backup is moved.
    case latest
}

/// Why a backup was not made, and where.
public struct BackupRunFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The stage in which it happened.
    public var stage: BackupStage
    /// What happened.
    public var failure: Failure
    /// The backup, once it was begun.
    public var backup: BackupID?
    /// Whether there is nothing to back up: no new log since the last one, no append-only file where one is not asked for. No failure.
    public var isNothing: Bool

    /// A failure of a stage.
    public init(_ stage: BackupStage, _ failure: Failure, backup: BackupID? = nil, isNothing: Bool = false) {
        self.isNothing = isNothing
        self.stage = stage
        self.failure = failure
        self.backup = backup
    }

    /// Whether someone else works on the target: to try later, and no failure of the backup.
    public var isBusy: Bool { stage == .lease && failure.kind == .conflict }

    /// The exit code of a gate: 10 busy, 20 preflight, 30 dump, 40 store.
    public var exitCode: Int32 {
        switch stage {
        case .lease: isBusy ? 10 : 70
        case .preflight: 20
        case .dump, .check: 30
        case .store, .confirm, .manifest: 40
        case .catalogue, .latest: 70
        }
    }

    /// What the catalogue keeps of it.
    var noted: Failure {
        guard failure != .runWasInterrupted else { return failure }
        var noted = failure
        noted.message = "\(stage.rawValue): \(failure.message)"
        return noted
    }

    /// `dump: …`
    public var description: String { "\(stage.rawValue): \(failure)" }
}

/// What is asked of a run.
public struct BackupRequest: Sendable, Hashable {
    /// Who asks.
    public var by: Principal
    /// What it is for.
    public var purpose: String?
    /// A short name: `pre-deployment-1.4.2`.
    public var label: String?
    /// Further marks.
    public var tags: [String]
    /// What stands for `{{tier}}` in keys: `daily`, `manual`, `pre-deployment`.
    public var tier: String
    /// The rollout whose restore point it is. A lease that the rollout itself holds is used, not waited for.
    public var rollout: RolloutID?
    /// The release before which it is made.
    public var releaseVersion: String?

    /// A request.
    public init(
        by: Principal, purpose: String? = nil, label: String? = nil, tags: [String] = [], tier: String = "manual",
        rollout: RolloutID? = nil, releaseVersion: String? = nil
    ) {
        self.by = by
        self.purpose = purpose
        self.label = label
        self.tags = tags
        self.tier = tier
        self.rollout = rollout
        self.releaseVersion = releaseVersion
    }
}

/// What came of a run that made a backup.
public struct BackupRunResult: Sendable, Hashable {
    /// The backup as the catalogue knows it now.
    public var record: BackupRecord
    /// The destinations that have no copy yet though the plan names them, and why.
    public var missing: [MissingCopy]
    /// What was found on the way and stops nothing.
    public var remarks: [String]
    /// What the examination found.
    public var checks: [BackupCheck]
    /// The tools that were run.
    public var evidence: [ToolEvidence]
    /// How long each stage took.
    public var times: [StageTime]

    /// A copy that is still to be made.
    public struct MissingCopy: Sendable, Hashable {
        /// The destination's name in the plan.
        public var destination: String
        /// Why it is not there.
        public var failure: Failure
    }

    /// The time of one stage.
    public struct StageTime: Sendable, Hashable {
        /// The stage.
        public var stage: BackupStage
        /// How long it took.
        public var time: Duration
    }
}
