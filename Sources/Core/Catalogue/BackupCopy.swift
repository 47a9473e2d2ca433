public import SerinModel

/// The bytes of a backup at one destination.
public struct BackupCopy: Sendable, Hashable, Codable {
    /// How well the copy is known.
    public enum State: String, Sendable, Hashable, Codable, CaseIterable {
        /// Written.
        case stored
        /// Written, and read back with the same size and digest.
        case confirmed
        /// Read again later, completely, with the same digest.
        case verified
        /// Found changed or missing.
        case damaged
        /// Its deletion was begun.
        case deleting
        /// Deleted, and its absence confirmed.
        case deleted

        /// Whether a restore may read it.
        public var isUsable: Bool {
            switch self {
            case .confirmed, .verified: true
            case .stored, .damaged, .deleting, .deleted: false
            }
        }
    }

    /// One part of a copy that a destination keeps in pieces.
    public struct Part: Sendable, Hashable, Codable {
        /// The part's name at the destination.
        public var key: String
        /// Its size in bytes.
        public var size: Int64
        /// SHA-256 of it, in hexadecimal.
        public var sha256: String

        /// A part.
        public init(key: String, size: Int64, sha256: String) {
            self.key = key
            self.size = size
            self.sha256 = sha256
        }
    }

    /// The destination's name in the plan.
    public var destination: String
    /// The object's key there.
    public var key: ObjectKey
    /// The version that was written, where the destination keeps versions: the one to read, whatever is written later.
    public var versionID: String?
    /// The parts in order, where the destination keeps it in pieces; empty when it is one object.
    public var parts: [Part]
    /// The destination's promise not to delete it.
    public var lock: ObjectLock?
    /// How well it is known.
    public var state: State
    /// What it was before its deletion was begun; nil while none is.
    var stateBefore: State?
    /// When it was written.
    public var storedAt: Instant
    /// When it was read back.
    public var confirmedAt: Instant?
    /// When it was last read again completely and agreed.
    public var verifiedAt: Instant?
    /// The number of its manifest in the destination's chain, where it is known.
    public var sequence: Int64?
    /// The earlier copies here, in whose place this one came. What is left of those that were damaged goes with this one.
    public var formers: [BackupCopy]?

    /// A copy that was written.
    public init(
        destination: String, key: ObjectKey, versionID: String? = nil, parts: [Part] = [], lock: ObjectLock? = nil,
        state: State = .stored, storedAt: Instant, confirmedAt: Instant? = nil, verifiedAt: Instant? = nil
    ) {
        self.destination = destination
        self.key = key
        self.versionID = versionID
        self.parts = parts
        self.lock = lock
        self.state = state
        self.storedAt = storedAt
        self.confirmedAt = confirmedAt
        self.verifiedAt = verifiedAt
    }

    /// The keys of everything of it at the destination, its manifest's among them.
    public var keys: [ObjectKey] {
        [key] + parts.compactMap { ObjectKey($0.key) } + [Manifest.key(beside: key)].compactMap { $0 }
    }

    /// The reference of the mirrored table's `file_id`: `destination:key`, with `#version` where there is one.
    public var reference: String { "\(destination):\(key)" + (versionID.map { "#\($0)" } ?? "") }
}
