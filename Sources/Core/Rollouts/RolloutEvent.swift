public import SerinModel

/// Numbers the effects of one rollout; answers carry it back, so that a late answer to an older request is ignored.
public struct IntentID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The number, from 1.
    public var number: Int

    /// An intent's number.
    public init(_ number: Int) { self.number = number }

    /// Reads the number.
    public init(from decoder: any Decoder) throws { number = try decoder.singleValueContainer().decode(Int.self) }

    /// Writes the number.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(number)
    }

    /// `#7`.
    public var description: String { "#\(number)" }
    /// Older first.
    public static func < (left: IntentID, right: IntentID) -> Bool { left.number < right.number }
}

/// What happened to a rollout: the only thing that changes it.
public enum RolloutEvent: Sendable, Hashable, Codable {
    /// Its charter is durable; it may begin.
    case started
    /// Time has passed; deadlines are looked at.
    case ticked
    /// Everything that it will need was tried.
    case preflightFinished(PreflightReport)
    /// The control's past was read, or could not be.
    case historyRead(HistoryReading)
    /// A poll was completed.
    case observed(Observation)
    /// A person, an alert or a signal asked for something that was not refused.
    case commanded(Command)
    /// An asked-for weight was read back, or not.
    case weightReported(IntentID, WeightOutcome)
    /// An action ended.
    case actionReported(IntentID, ActionOutcome)
    /// The backup ended.
    case backupReported(IntentID, BackupOutcome)
    /// A migration ended, up or down.
    case migrationReported(IntentID, MigrationOutcome)
    /// Nothing of a migration is running any more, and the schema was read, or why that is not known.
    case schemaInspected(IntentID, SchemaInspection)
    /// The hold on the backup ends with the rollout, or why it stays.
    case backupReleased(Failure?)
    /// A controller took over after a stop or crash and read the world.
    case takenOver(Takeover)
    /// The controller found that one of its own promises does not hold.
    case doubted(String)
}

/// What a preflight found.
public struct PreflightReport: Sendable, Hashable, Codable {
    /// What refuses the rollout; empty when it may go on.
    public var problems: [String]
    /// What people should know and which refuses nothing.
    public var warnings: [String]
    /// The weight read before anything was written.
    public var weight: WeightReading?
    /// The database before the rollout, for relative limits.
    public var database: DatabaseReading?
    /// What is to be migrated, when the policy migrates.
    public var migrations: MigrationPlan?
    /// Of which kind the rollout's backup will be; nil when it has none or nobody can tell.
    public var backupKind: BackupKind?

    /// A report.
    public init(
        problems: [String], warnings: [String], weight: WeightReading?, database: DatabaseReading?,
        migrations: MigrationPlan? = nil, backupKind: BackupKind? = nil
    ) {
        self.problems = problems
        self.warnings = warnings
        self.weight = weight
        self.database = database
        self.migrations = migrations
        self.backupKind = backupKind
    }
}

/// How a request to set the weight ended.
public enum WeightOutcome: Sendable, Hashable, Codable {
    /// The read-back equals what was asked.
    case confirmed(WeightReading)
    /// The balancer refused, or something else was read back. Nothing of this request is still on its way.
    case failed(Failure, readBack: WeightReading?)
    /// The balancer was not asked, because the wish no longer held: a newer one came, less is in force already, or a halt is asked for.
    case overtaken(Failure, readBack: WeightReading)
    /// It may still apply: no answer came, or it could not be read back.
    case unsettled(Failure)
}

/// What a rollout does once: to code, to the schema, to writes and to data.
public enum ActionKind: String, Sendable, Hashable, Codable, CaseIterable {
    /// Brings the canary up.
    case deploy
    /// Gives the new version to control.
    case promote
    /// Brings the previous version back.
    case rollback
    /// Moves the schema forward.
    case migrate
    /// Takes the schema back to where it was.
    case downgrade
    /// Fences writes.
    case fence
    /// Lets writes in again.
    case unfence
    /// Brings data back from the rollout's backup.
    case restore

    /// What it is called: `deploy action`, `migration`.
    public var words: String {
        switch self {
        case .deploy, .promote, .rollback: "\(rawValue) action"
        case .migrate: "migration"
        case .downgrade: "downgrade of the schema"
        case .fence: "action that fences writes"
        case .unfence: "action that lets writes in again"
        case .restore: "restore"
        }
    }
}

/// How an action ended.
public enum ActionOutcome: Sendable, Hashable, Codable {
    /// It succeeded, and its check agreed where there is one.
    case done(output: String)
    /// It failed.
    case failed(Failure, output: String)
    /// Nobody knows: it was cut off and there is no check, or the check did not answer.
    case unknown(Failure)
}

/// What a new controller found when it took over.
public struct Takeover: Sendable, Hashable, Codable {
    /// The weight it read, or why it could not.
    public var traffic: TrafficReading
    /// Whether Serin's own watchdog lowered the weight meanwhile.
    public var watchdogLowered: Bool
    /// Open actions, with what their checks said.
    public var actions: [OpenAction]
    /// What the catalogue said of the backup, when it was under way.
    public var backup: BackupOutcome?
    /// What was read of the migration, when one was under way: done only where it had come to its end.
    public var migration: MigrationOutcome?

    /// One action that was under way.
    public struct OpenAction: Sendable, Hashable, Codable {
        /// Its intent.
        public var intent: IntentID
        /// How it turned out.
        public var outcome: ActionOutcome

        /// An action that was under way.
        public init(intent: IntentID, outcome: ActionOutcome) {
            self.intent = intent
            self.outcome = outcome
        }
    }

    /// What was found.
    public init(
        traffic: TrafficReading, watchdogLowered: Bool, actions: [OpenAction], backup: BackupOutcome? = nil,
        migration: MigrationOutcome? = nil
    ) {
        self.traffic = traffic
        self.watchdogLowered = watchdogLowered
        self.actions = actions
        self.backup = backup
        self.migration = migration
    }
}
