public import SerinModel
public import SerinRollouts

/// What one journal entry says.
public enum Record: Sendable, Hashable, Codable {
    /// A controller opened the store under the lock, in this epoch, with this engine version.
    case opened(epoch: Int64, engine: String)
    /// A rollout was created.
    case created(Charter)
    /// Something happened to a rollout.
    case event(RolloutEvent)
    /// A rollout asked for something: the intent, durable before it is attempted.
    case effect(Effect)
    /// The computer's clock moved against the controller's by so many milliseconds.
    case clockJumped(milliseconds: Int64)
}

/// An entry before it is numbered and linked.
public struct Draft: Sendable, Hashable {
    /// The rollout it belongs to; nil for the controller's own entries.
    public var rollout: RolloutID?
    /// The controller's time.
    public var at: Instant
    /// What it says.
    public var record: Record

    /// An entry to be appended.
    public init(rollout: RolloutID?, at: Instant, record: Record) {
        self.rollout = rollout
        self.at = at
        self.record = record
    }
}

/// One durable journal entry.
public struct Entry: Sendable, Hashable {
    /// Its number in the store, from 1, without gaps.
    public var sequence: Int64
    /// The epoch of the controller that wrote it.
    public var epoch: Int64
    /// The rollout it belongs to; nil for the controller's own entries.
    public var rollout: RolloutID?
    /// The controller's time.
    public var at: Instant
    /// The canonical bytes of the record.
    public var body: [UInt8]
    /// The hash of the entry before, 32 bytes; zeros for the first.
    public var previous: [UInt8]
    /// This entry's hash, 32 bytes: SHA-256 over everything above.
    public var hash: [UInt8]

    /// An entry as stored.
    public init(
        sequence: Int64, epoch: Int64, rollout: RolloutID?, at: Instant, body: [UInt8], previous: [UInt8], hash: [UInt8]
    ) {
        self.sequence = sequence
        self.epoch = epoch
        self.rollout = rollout
        self.at = at
        self.body = body
        self.previous = previous
        self.hash = hash
    }
}
