public import SerinModel

/// What a destination says of one object that it holds. It is a statement, not evidence: only reading the object proves it.
public struct StoredObject: Sendable, Hashable, Codable {
    /// Its key.
    public var key: ObjectKey
    /// How long it is, in bytes.
    public var size: Int64
    /// Which version of the key it is, where the destination keeps versions. Restores name it, so that a later object or a delete
    /// marker of the same key changes nothing.
    public var version: String?
    /// The destination's own fingerprint; compared, never computed.
    public var etag: String?
    /// The SHA-256 of its bytes as 64 hexadecimal digits, as the destination states it.
    public var sha256: String?
    /// What forbids to delete it, and until when.
    public var lock: ObjectLock?
    /// The class of storage, such as `STANDARD_IA`.
    public var storageClass: String?
    /// How the destination encrypts it at rest, such as `aws:kms`.
    public var encryption: String?
    /// When it was stored, by the destination's clock.
    public var modified: Instant?

    /// A stored object.
    public init(
        key: ObjectKey, size: Int64, version: String? = nil, etag: String? = nil, sha256: String? = nil, lock: ObjectLock? = nil,
        storageClass: String? = nil, encryption: String? = nil, modified: Instant? = nil
    ) {
        self.key = key
        self.size = size
        self.version = version
        self.etag = etag
        self.sha256 = sha256
        self.lock = lock
        self.storageClass = storageClass
        self.encryption = encryption
        self.modified = modified
    }
}

/// A destination's promise not to delete or change an object before a moment.
public struct ObjectLock: Sendable, Hashable, Codable {
    /// Who may lift it early.
    public var mode: LockMode
    /// Until when it holds.
    public var until: Instant

    /// A lock.
    public init(mode: LockMode, until: Instant) {
        self.mode = mode
        self.until = until
    }

    /// Whether it promises at least what another does.
    public func covers(_ other: ObjectLock) -> Bool {
        // Destinations keep whole seconds.
        (mode == other.mode || mode == .compliance) && until + .seconds(1) > other.until
    }
}
