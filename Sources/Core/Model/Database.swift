/// What Serin watches in Postgres. The raw value is the policy's key.
public enum DatabaseSignal: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
    /// Sessions that wait for a lock. Unit: sessions.
    case blockedSessions = "blocked_sessions"
    /// The longest wait for a lock. Unit: seconds.
    case longestLockWait = "longest_lock_wait"
    /// Locks asked for and not granted. Unit: locks.
    case ungrantedLocks = "ungranted_locks"
    /// Replication lag of the slowest expected replica. Unit: seconds.
    case replicationLag = "replication_lag"
    /// Write-ahead log not yet replayed by the slowest expected replica. Unit: bytes.
    case replicationLagBytes = "replication_lag_bytes"
    /// The age of the oldest open transaction of a client. Unit: seconds.
    case longestTransaction = "longest_transaction"
    /// The age of the oldest session idle in a transaction. Unit: seconds.
    case idleInTransaction = "idle_in_transaction"
    /// Client connections over those allowed. Unit: fraction, 0…1.
    case connectionSaturation = "connection_saturation"
    /// Deadlocks since the rollout began. Unit: deadlocks.
    case deadlocks
    /// Write-ahead log kept back for the slowest replication slot. Unit: bytes.
    case slotRetained = "slot_retained"

    /// In the order of the policy's keys.
    public static func < (left: DatabaseSignal, right: DatabaseSignal) -> Bool { left.rawValue < right.rawValue }
}

/// One value read from Postgres, or why there is none.
public struct DatabaseValue: Sendable, Hashable, Codable {
    /// What was read.
    public var signal: DatabaseSignal
    /// The value in the signal's unit; nil is "no data", which is never healthy.
    public var value: Double?
    /// Which server, session or replica it was, or why there is no value.
    public var detail: String

    /// A value.
    public init(_ signal: DatabaseSignal, _ value: Double?, detail: String = "") {
        self.signal = signal
        self.value = value
        self.detail = detail
    }
}

/// What Postgres answered at one poll.
public struct DatabaseReading: Sendable, Hashable, Codable {
    /// One value for each signal asked, sorted by signal.
    public var values: [DatabaseValue]
    /// The servers asked, by name without secrets, and what went wrong with each.
    public var failures: [Failure]
    /// What this and later readings are compared with; nil before the first that succeeds.
    public var start: DatabaseStart?

    /// An answer.
    public init(values: [DatabaseValue], failures: [Failure] = [], start: DatabaseStart? = nil) {
        self.values = values.sorted { $0.signal < $1.signal }
        self.failures = failures
        self.start = start
    }
}

/// What a rollout's readings of Postgres are compared with. It is journaled with each of them, so that a controller that takes the
/// rollout over compares with the same.
public struct DatabaseStart: Sendable, Hashable, Codable {
    /// Standbys that were attached under one name at the first reading.
    public struct Standbys: Sendable, Hashable, Codable {
        /// Their slot, or their application and address.
        public var name: String
        /// How many.
        public var count: Int

        /// Standbys of a name.
        public init(name: String, count: Int) {
            self.name = name
            self.count = count
        }
    }

    /// One database's deadlock counter at the latest reading.
    public struct Deadlocks: Sendable, Hashable, Codable {
        /// The database.
        public var database: String
        /// Deadlocks since the last reset.
        public var count: Double
        /// The time of that reset; empty when there was none.
        public var reset: String

        /// A counter.
        public init(database: String, count: Double, reset: String) {
            self.database = database
            self.count = count
            self.reset = reset
        }
    }

    /// When the primary started, as it says.
    public var started: String
    /// The identity shared by a primary and its standbys.
    public var system: String
    /// The standbys that must stay attached, sorted; nil when they could not be read yet.
    public var standbys: [Standbys]?
    /// The counters of every database, sorted; nil when they could not be read yet.
    public var deadlocks: [Deadlocks]?
    /// Deadlocks since the first reading.
    public var deadlocksSince: Double

    /// The facts of a first reading.
    public init(started: String, system: String) {
        self.started = started
        self.system = system
        deadlocksSince = 0
    }
}
