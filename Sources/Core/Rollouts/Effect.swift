public import SerinModel
public import SerinVerdicts

/// What a rollout asks of the world. Asking twice is harmless: weights are conditions, actions carry their intent as a key.
public enum Effect: Sendable, Hashable, Codable {
    /// Try everything that will be needed; answer with `preflightFinished`.
    case preflight
    /// Read the control's past; answer with `historyRead`.
    case readHistory
    /// Make the canary's share this and read it back; answer with `weightReported`. Zero is asked for without conditions.
    case setWeight(IntentID, Weight)
    /// As `setWeight` above 0, but only from above: nothing is written when less is read.
    case lowerWeight(IntentID, Weight)
    /// Make the backup that the rollout stands on, once, and keep it for the rollout; answer with `backupReported`.
    case takeBackup(IntentID)
    /// End the backup under way as soon as it can; `backupReported` says how it ended.
    case endBackup(IntentID)
    /// The backup need not be kept for this rollout any more; answer with `backupReleased`.
    case releaseBackup
    /// Do this to code or to writes once; answer with `actionReported`.
    case runAction(IntentID, ActionKind)
    /// Move the schema this way once; answer with `migrationReported`.
    case migrate(IntentID, MigrationStep)
    /// End the migration under way as soon as it can; `migrationReported` says how it ended.
    case endMigration(IntentID)
    /// End what is left running of a migration and read the schema; answer with `schemaInspected`.
    case inspectSchema(IntentID)
    /// Bring data back from this backup once, the way that was agreed to; answer with `actionReported`.
    case restore(IntentID, CheckpointReference, RestoreOrder)
    /// Write this into the decision log.
    case record(Decision)
    /// Tell people.
    case notify(Notice)
}

/// One line of the decision log, with the evidence behind it.
public struct Decision: Sendable, Hashable, Codable {
    /// What it is about: `state`, `verdict`, `weight`, `gate`, `command`, `action`, `backup`, `schema`, `drift`, `doubt`.
    public var topic: String
    /// The sentence, without the time: `step 25% FAIL errors: canary 2.10% (84/4,003) …`.
    public var text: String
    /// The evidence it rests on, when it rests on any.
    public var signals: [SignalAssessment]

    /// A line.
    public init(topic: String, text: String, signals: [SignalAssessment] = []) {
        self.topic = topic
        self.text = text
        self.signals = signals
    }
}

/// Something people are told; never waited for.
public struct Notice: Sendable, Hashable, Codable {
    /// Whether a person has to act.
    public var isCall: Bool
    /// What happened and what happens next.
    public var text: String

    /// A notice.
    public init(isCall: Bool, text: String) {
        self.isCall = isCall
        self.text = text
    }
}
