public import SerinCatalogue
public import SerinModel
internal import SerinPolicies

/// A file to store.
public struct Upload: Sendable, Hashable {
    /// Its path. It must not change while it is stored.
    public var file: String
    /// Under which key.
    public var key: ObjectKey
    /// How long it is, in bytes.
    public var size: Int64
    /// The SHA-256 of its bytes as 64 lower-case hexadecimal digits.
    public var sha256: String
    /// Short texts kept with it where the destination can: names of `a-z 0-9 -`, values of printable ASCII.
    public var metadata: [String: String]
    /// What must forbid its deletion; nil: nothing.
    public var lock: ObjectLock?
    /// Whether it is encrypted already. Some destinations refuse what is not.
    public var isEncrypted: Bool

    /// A file to store.
    public init(
        file: String, key: ObjectKey, size: Int64, sha256: String, metadata: [String: String] = [:], lock: ObjectLock? = nil,
        isEncrypted: Bool
    ) {
        self.file = file
        self.key = key
        self.size = size
        self.sha256 = sha256.lowercased()
        self.metadata = metadata
        self.lock = lock
        self.isEncrypted = isEncrypted
    }
}

/// An object that was read.
public struct FetchedObject: Sendable, Hashable {
    /// How many bytes it was.
    public var size: Int64
    /// Their SHA-256 as 64 lower-case hexadecimal digits.
    public var sha256: String

    /// An object that was read.
    public init(size: Int64, sha256: String) {
        self.size = size
        self.sha256 = sha256
    }
}

/// What a destination holds.
public struct Listing: Sendable, Hashable {
    /// The objects, sorted by key.
    public var objects: [StoredObject]
    /// Names of things there that cannot be keys, so were stored by someone else; at most a hundred.
    public var foreign: [String]

    /// What a destination holds.
    public init(objects: [StoredObject], foreign: [String] = []) {
        self.objects = objects.sorted { $0.key < $1.key }
        self.foreign = Array(foreign.sorted().prefix(100))
    }
}

/// What an upload that never finished left behind.
public struct PendingUpload: Sendable, Hashable {
    /// The key it was for; nil when that cannot be told.
    public var key: ObjectKey?
    /// The destination's own name for it.
    public var reference: String
    /// When it was begun, by the destination's clock; nil when it does not say.
    public var started: Instant?

    /// An upload that never finished.
    public init(key: ObjectKey?, reference: String, started: Instant?) {
        self.key = key
        self.reference = reference
        self.started = started
    }
}

/// What could be learned about a destination. What could not be read is nil, never a guess.
public struct DestinationFacts: Sendable, Hashable {
    /// Whether an object was written, read back and removed again; nil where the identity may not remove.
    public var isWritable: Bool
    /// How many bytes fit before the disk or the quota is full.
    public var freeBytes: Int64?
    /// Whether versions of a key are kept.
    public var versioning: Bool?
    /// Whether objects can be locked.
    public var objectLock: Bool?
    /// How objects are encrypted at rest unless asked otherwise, such as `AES256` or `aws:kms`; empty: not at all.
    public var defaultEncryption: String?
    /// Whether deleting a version needs a second factor.
    public var deleteNeedsSecondFactor: Bool?
    /// Whether everybody may read or write.
    public var publicAccess: Bool?
    /// How many rules delete or move objects by themselves.
    public var lifecycleRules: Int?
    /// What could not be read, in words.
    public var remarks: [String]

    /// Facts of which nothing but writability is known.
    public init(isWritable: Bool, freeBytes: Int64? = nil) {
        self.isWritable = isWritable
        self.freeBytes = freeBytes
        remarks = []
    }
}

extension BackupDestination {
    /// Refuses what this destination can never take.
    func refuseUnfit(_ upload: Upload) throws(Failure) {
        let what = "cannot store \(upload.key) at \(name)"
        if upload.lock != nil, !traits.locks {
            throw Failure(.invalid, "\(what): a lock is asked for, and this destination has none")
        }
        if traits.requiresEncryption, !upload.isEncrypted {
            throw Failure(.invalid, "\(what): it takes encrypted objects only", hint: "give the plan an encryption key")
        }
        if let limit = traits.objectLimit, upload.size > limit {
            throw Failure(.invalid, "\(what): \(upload.size) bytes, at most \(limit) are taken")
        }
        guard upload.sha256.utf8.count == 64,
            upload.sha256.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { throw Failure(.invalid, "\(what): its SHA-256 is no 64 hexadecimal digits") }
        for (name, value) in upload.metadata {
            let isName =
                !name.isEmpty && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
            guard isName, value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }), name.utf8.count + value.utf8.count <= 1024 else {
                throw Failure(.invalid, "\(what): the metadata '\(name)' cannot be kept")
            }
        }
    }

    /// A destination that failed to find what a key should hold.
    func missing(_ key: ObjectKey, _ version: String?) -> Failure {
        Failure(.invalid, "there is no \(key)\(version.map { " of version \($0)" } ?? "") at \(name)")
    }
}
