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

    /// An answer.
    public init(values: [DatabaseValue], failures: [Failure] = []) {
        self.values = values.sorted { $0.signal < $1.signal }
        self.failures = failures
    }
}
