public import SerinModel

/// `migrations:` how a release moves the schema, and what becomes of the schema when it is taken back.
public struct MigrationPolicy: Sendable, Hashable, Codable {
    /// What knows the revisions.
    public enum Tool: Sendable, Hashable, Codable {
        /// Alembic: its configuration file, the program, and the folder it is run in; nil is the configuration's own.
        case alembic(config: String, program: String, directory: String?)
        /// A folder of `NAME.up.sql` and `NAME.down.sql` files with a table of versions.
        case folder(path: String, table: String)
        /// Programs without a shell. In `up` and `down` `{{revision}}` is replaced. `sql` writes what is pending.
        case commands(Commands)
    }

    /// The programs of any other tool, each with its arguments.
    public struct Commands: Sendable, Hashable, Codable {
        /// Writes the revision that the database is at, one a line.
        public var current: [String]
        /// Writes the last revisions that the release brings, one a line.
        public var heads: [String]
        /// Applies everything up to `{{revision}}`.
        public var up: [String]
        /// Takes back everything above `{{revision}}`; nil when the tool cannot.
        public var down: [String]?
        /// Writes the SQL of everything pending; nil when the tool cannot: nothing can be classified then.
        public var sql: [String]?
        /// The names of environment variables of the controller that the programs are given.
        public var environment: [String]

        /// Programs.
        public init(
            current: [String], heads: [String], up: [String], down: [String]?, sql: [String]?, environment: [String] = []
        ) {
            self.current = current
            self.heads = heads
            self.up = up
            self.down = down
            self.sql = sql
            self.environment = environment
        }
    }

    /// What becomes of an additive schema when the release is taken back.
    public enum Schema: String, Sendable, Hashable, Codable, CaseIterable {
        /// It stays: the previous version works on it.
        case keep
        /// It is taken back to the recorded revision, and verified.
        case downgrade
    }

    /// Whether a rollout may destroy data.
    public enum Destructive: String, Sendable, Hashable, Codable, CaseIterable {
        /// Such a rollout is refused.
        case refuse
        /// With a verified backup, people's approvals, fenced writes and a way to restore.
        case allow
    }

    /// Keeps writes away while data is in danger.
    public struct Maintenance: Sendable, Hashable, Codable {
        /// Fences writes; its check proves it.
        public var on: ActionPolicy
        /// Lets writes in again; its check proves it.
        public var off: ActionPolicy

        /// Two actions.
        public init(on: ActionPolicy, off: ActionPolicy) {
            self.on = on
            self.off = off
        }
    }

    /// What must be true before anything is taken away that the previous version used.
    public struct Contract: Sendable, Hashable, Codable {
        /// How one thing is asked.
        public enum Gate: Sendable, Hashable, Codable {
            /// A query of one value, read only: 0 or true is yes.
            case query(String)
            /// A program or an HTTP request; success is yes.
            case probe(ActionPolicy)
            /// It is not asked, for this reason.
            case notNeeded(String)
        }

        /// How long ago the version that runs must have been promoted: 24 h.
        public var after: Duration
        /// Whether nothing of the previous version runs any more.
        public var oldVersionGone: Gate
        /// Whether the version that runs writes the new form.
        public var dualWrite: Gate
        /// Whether every row has the new form.
        public var backfill: Gate

        /// Gates.
        public init(after: Duration = .hours(24), oldVersionGone: Gate, dualWrite: Gate, backfill: Gate) {
            self.after = after
            self.oldVersionGone = oldVersionGone
            self.dualWrite = dualWrite
            self.backfill = backfill
        }
    }

    /// A way in which data comes back.
    public enum RestoreWay: String, Sendable, Hashable, Codable, CaseIterable {
        /// The tables that lost something, beside newer rows.
        case salvage
        /// All of the database as it was just before the migration, recovered from a physical backup.
        case pointInTime = "point_in_time"
        /// All of the database as it was at the backup.
        case swap
    }

    /// The database; nil is the policy's own Postgres.
    public var database: SecretReference?
    /// What knows the revisions.
    public var tool: Tool
    /// What becomes of an additive schema on the way back.
    public var schema: Schema
    /// Whether a rollout may destroy data.
    public var destructive: Destructive
    /// How many different people, the author not among them, must approve a destructive migration, and a restore: 2.
    public var approvals: Int
    /// How long a statement may wait for a lock: 2 s. Readers queue behind it no longer than that.
    public var lockTimeout: Duration
    /// How long a statement may run: 15 min.
    public var statementTimeout: Duration
    /// How often a revision is tried that could not get its lock: 10.
    public var lockTries: Int
    /// For all revisions together, one direction: 30 min.
    public var deadline: Duration
    /// Fences writes; needed where data may be destroyed.
    public var maintenance: Maintenance?
    /// Asked one after another once the schema was moved; each must succeed.
    public var probes: [ActionPolicy]
    /// Brings data back from the rollout's backup, whose identifier it is given as `SERIN_BACKUP`; needed where data may be destroyed.
    public var restore: ActionPolicy?
    /// Which way data comes back where there are several; nil: the one that loses least.
    public var restoreWay: RestoreWay?
    /// What `serin migrate up --contract` asks first; nil: contract revisions are applied as all others.
    public var contract: Contract?

    /// A policy.
    public init(
        tool: Tool, database: SecretReference? = nil, schema: Schema = .keep, destructive: Destructive = .refuse,
        approvals: Int = 2, lockTimeout: Duration = .seconds(2), statementTimeout: Duration = .minutes(15), lockTries: Int = 10,
        deadline: Duration = .minutes(30), maintenance: Maintenance? = nil, probes: [ActionPolicy] = [],
        restore: ActionPolicy? = nil, restoreWay: RestoreWay? = nil, contract: Contract? = nil
    ) {
        self.tool = tool
        self.database = database
        self.schema = schema
        self.destructive = destructive
        self.approvals = approvals
        self.lockTimeout = lockTimeout
        self.statementTimeout = statementTimeout
        self.lockTries = lockTries
        self.deadline = deadline
        self.maintenance = maintenance
        self.probes = probes
        self.restore = restore
        self.restoreWay = restoreWay
        self.contract = contract
    }
}

extension MigrationPolicy {
    /// Lets the tool's relative paths begin at a folder, which is the policy's own; empty leaves them as they are. A program without a
    /// slash is looked for on the path, and what else is given to `commands` is theirs.
    public mutating func resolve(in folder: String) {
        func resolved(_ path: String) -> String { path.hasPrefix("/") || folder.isEmpty ? path : "\(folder)/\(path)" }
        func program(_ word: String) -> String { word.has("/") ? resolved(word) : word }
        func words(_ words: [String]) -> [String] { words.prefix(1).map(program) + words.dropFirst() }
        switch tool {
        case .alembic(let config, let name, let directory):
            tool = .alembic(config: resolved(config), program: program(name), directory: directory)
        case .folder(let path, let table): tool = .folder(path: resolved(path), table: table)
        case .commands(var commands):
            commands.current = words(commands.current)
            commands.heads = words(commands.heads)
            commands.up = words(commands.up)
            commands.down = commands.down.map(words)
            commands.sql = commands.sql.map(words)
            tool = .commands(commands)
        }
    }
}
