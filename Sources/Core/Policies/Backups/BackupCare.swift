public import SerinModel

/// `verify:` how backups are checked after they are stored.
public struct VerifyPolicy: Sendable, Hashable, Codable {
    /// What a reading must have shown before a backup counts as verified.
    public enum Proof: String, Sendable, Hashable, Codable, CaseIterable {
        /// Its contents, opened with a key and examined.
        case contents
        /// That the stored bytes are those that were examined while they were made: for machines that cannot open them.
        case storedBytes = "stored_bytes"
    }

    /// What a reading must have shown.
    public var proof: Proof
    /// How often each stored backup is read again completely; nil for never.
    public var every: Duration?
    /// How much smaller than the median of the last ones it may be, as a fraction: 0.5.
    public var minimumSizeRatio: Double
    /// How much larger: 2.
    public var maximumSizeRatio: Double
    /// The largest share of a table's rows that may be gone against the backup before: 0.2.
    public var maximumRowDrop: Double

    /// A policy.
    public init(
        proof: Proof = .contents, every: Duration? = .hours(24 * 30), minimumSizeRatio: Double = 0.5,
        maximumSizeRatio: Double = 2, maximumRowDrop: Double = 0.2
    ) {
        self.proof = proof
        self.every = every
        self.minimumSizeRatio = minimumSizeRatio
        self.maximumSizeRatio = maximumSizeRatio
        self.maximumRowDrop = maximumRowDrop
    }
}

/// A program that is run at some point of a restore, without a shell.
public struct BackupHook: Sendable, Hashable, Codable {
    /// The program and its arguments.
    public var run: [String]
    /// How long it may take.
    public var deadline: Duration

    /// A hook.
    public init(run: [String], deadline: Duration = .minutes(5)) {
        self.run = run
        self.deadline = deadline
    }
}

/// `checks:` what must hold in a restored database.
public struct RestoreChecks: Sendable, Hashable, Codable {
    /// A table that must have a recent row.
    public struct Recency: Sendable, Hashable, Codable {
        /// The table.
        public var table: String
        /// The column that holds the time.
        public var column: String
        /// How old the newest row may be, against the moment of the backup.
        public var within: Duration

        /// A check.
        public init(table: String, column: String, within: Duration) {
            self.table = table
            self.column = column
            self.within = within
        }
    }

    /// A query whose time is compared with that of earlier restores.
    public struct TimedQuery: Sendable, Hashable, Codable {
        /// Its name: what its baseline is kept under.
        public var name: String
        /// The query.
        public var sql: String

        /// A query.
        public init(name: String, sql: String) {
            self.name = name
            self.sql = sql
        }
    }

    /// Tables that must exist and have rows, beside the row counts of all.
    public var tables: [String]
    /// Tables that must have a recent row.
    public var recent: [Recency]
    /// Whether every foreign key is searched for orphans.
    public var foreignKeys: Bool
    /// A file of SQL, each statement of which must return no row.
    public var sqlFile: String?
    /// Queries that must not take more than twice as long as usual.
    public var timed: [TimedQuery]
    /// Programs that must exit with 0; `{{url}}` is the restored database, `{{folder}}` the restored folder.
    public var smoke: [BackupHook]
    /// Addresses of the application that must answer 2xx.
    public var probes: [String]

    /// Checks.
    public init(
        tables: [String] = [], recent: [Recency] = [], foreignKeys: Bool = true, sqlFile: String? = nil, timed: [TimedQuery] = [],
        smoke: [BackupHook] = [], probes: [String] = []
    ) {
        self.timed = timed
        self.tables = tables
        self.recent = recent
        self.foreignKeys = foreignKeys
        self.sqlFile = sqlFile
        self.smoke = smoke
        self.probes = probes
    }
}

/// `restore:`
public struct RestorePolicy: Sendable, Hashable, Codable {
    /// How many different people must approve that a restored database takes the place of a live one, 0…10.
    public var approvals: Int
    /// How long the database that was replaced is kept.
    public var keepReplaced: Duration
    /// The connection of the role that restores; nil is the source's.
    public var url: SecretReference?
    /// The connection of the role that swaps and owns the live database; nil is that of the role that restores.
    public var swapURL: SecretReference?
    /// Owners of what a dump holds whose functions may do whatever the role may that restores.
    public var trust: [String] = []
    /// Stops what writes.
    public var quiesce: BackupHook?
    /// Starts it again.
    public var resume: BackupHook?
    /// Masks a restored database for people who may not see the data; its connection is in the environment.
    public var mask: BackupHook?
    /// The database that restores copy to begin with, where a superuser made what they may not make; nil for `template0`.
    public var template: String?
    /// A file of SQL that erases one subject, `current_setting('serin.subject')`, again after a restore.
    public var eraseFile: String?
    /// The largest share of a table's rows that erasing may take or overwrite: 0.5.
    public var maximumErased = 0.5
    /// What must hold before the swap.
    public var checks: RestoreChecks
    /// How long a restore may take.
    public var deadline: Duration

    /// A policy.
    public init(
        approvals: Int = 1, keepReplaced: Duration = .hours(24 * 7), url: SecretReference? = nil, quiesce: BackupHook? = nil,
        resume: BackupHook? = nil,
        mask: BackupHook? = nil, eraseFile: String? = nil, checks: RestoreChecks = RestoreChecks(),
        deadline: Duration = .hours(4)
    ) {
        self.mask = mask
        self.eraseFile = eraseFile
        self.approvals = approvals
        self.keepReplaced = keepReplaced
        self.url = url
        self.quiesce = quiesce
        self.resume = resume
        self.checks = checks
        self.deadline = deadline
    }
}

/// One line of `drills:`.
public struct DrillPolicy: Sendable, Hashable, Codable {
    /// Which backup is restored.
    public enum Selection: String, Sendable, Hashable, Codable, CaseIterable {
        /// The newest.
        case latest
        /// Any within a time, by a seed that the report names.
        case sampled = "random"
        /// The oldest that is kept.
        case oldest
    }

    /// What sets it going.
    public var trigger: BackupTrigger
    /// The time zone of `cron`.
    public var zone: String
    /// Which backup is restored.
    public var selection: Selection
    /// How far back `random` looks.
    public var within: Duration
    /// How long it may take.
    public var deadline: Duration

    /// A drill.
    public init(
        _ trigger: BackupTrigger, zone: String = "UTC", selection: Selection = .latest, within: Duration = .hours(24 * 31),
        deadline: Duration = .hours(4)
    ) {
        self.trigger = trigger
        self.zone = zone
        self.selection = selection
        self.within = within
        self.deadline = deadline
    }
}

/// `heartbeat:` a row that is written all the time, so that a drill sees how much a recovery would lose.
public struct HeartbeatPolicy: Sendable, Hashable, Codable {
    /// The connection string of a role that may write it.
    public var url: SecretReference
    /// How often.
    public var every: Duration

    /// A heartbeat.
    public init(url: SecretReference, every: Duration = .seconds(10)) {
        self.url = url
        self.every = every
    }
}

/// `notify:`
public struct NotifyPolicy: Sendable, Hashable, Codable {
    /// What is told.
    public enum Occasion: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
        /// A backup, verification or restore failed, or the newest is too old.
        case failure
        /// A backup was made.
        case success
        /// Backups will be deleted.
        case expiring
        /// A drill ended.
        case drill
        /// A backup begins.
        case begin

        /// In the order of the alphabet.
        public static func < (left: Occasion, right: Occasion) -> Bool { left.rawValue < right.rawValue }
    }

    /// What is told, sorted.
    public var on: [Occasion]
    /// Mail addresses.
    public var email: [String]
    /// A program that gets the message as JSON on its standard input.
    public var run: [String]?

    /// A policy.
    public init(on: [Occasion] = [.drill, .expiring, .failure], email: [String] = [], run: [String]? = nil) {
        self.on = Set(on).sorted()
        self.email = email
        self.run = run
    }
}
