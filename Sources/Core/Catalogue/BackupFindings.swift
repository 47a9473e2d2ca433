public import SerinModel

/// What a reading of a copy found.
public struct CopyEvidence: Sendable, Hashable, Codable {
    /// The size in bytes.
    public var size: Int64
    /// SHA-256 of all bytes read, in hexadecimal.
    public var sha256: String
    /// The version read, where the destination keeps versions.
    public var versionID: String?
    /// The lock that the destination says to keep.
    public var lock: ObjectLock?

    /// What was found.
    public init(size: Int64, sha256: String, versionID: String? = nil, lock: ObjectLock? = nil) {
        self.size = size
        self.sha256 = sha256
        self.versionID = versionID
        self.lock = lock
    }
}

/// One thing that was looked at, with its answer.
public struct BackupCheck: Sendable, Hashable, Codable {
    /// What was looked at: `mac`, `end marker`, `table of contents`, `rows`, `foreign keys`, `smoke: …`.
    public var name: String
    /// Whether it is as it must be.
    public var passed: Bool
    /// What was found: the command's exit status, the numbers; without secrets.
    public var detail: String

    /// A check.
    public init(_ name: String, passed: Bool, detail: String = "") {
        self.name = name
        self.passed = passed
        self.detail = detail
    }
}

/// A later and independent reading of a backup with all that can be checked without a server.
public struct VerificationResult: Sendable, Hashable, Codable {
    /// When it ended.
    public var at: Instant
    /// The destination whose copy was read.
    public var destination: String
    /// What was read.
    public var evidence: CopyEvidence
    /// What was checked; at least one.
    public var checks: [BackupCheck]
    /// Why it proves too little for the backup to count as verified, though everything looked at is as it must be: it could not be
    /// opened. Nil for a reading that proves enough.
    public var shortfall: String?

    /// A result.
    public init(
        at: Instant, destination: String, evidence: CopyEvidence, checks: [BackupCheck], shortfall: String? = nil
    ) {
        self.at = at
        self.destination = destination
        self.evidence = evidence
        self.checks = checks
        self.shortfall = shortfall
    }

    /// Whether something was checked and everything passed.
    public var passed: Bool { !checks.isEmpty && checks.allSatisfy(\.passed) }

    /// Whether the backup counts as verified by it.
    public var isProof: Bool { passed && shortfall == nil }
}

/// A restore into an isolated server, with the checks on what came out.
public struct DrillResult: Sendable, Hashable, Codable {
    /// The drill's own identifier.
    public var id: String
    /// When it ended.
    public var at: Instant
    /// The destination that it was restored from.
    public var destination: String
    /// Whether a database was restored at all. Without one a drill is never a success.
    public var restored: Bool
    /// True when the backup was only unpacked, and nothing showed that a server takes it; nil when it was restored.
    public var onlyUnpacked: Bool?
    /// What was checked.
    public var checks: [BackupCheck]
    /// The clock of its phases.
    public var clock: DrillClock
    /// Data lost: from the newest row found to the incident declared; nil when it could not be measured.
    public var recoveryPoint: Duration?
    /// What is to be done.
    public var actionItems: [String]

    /// A result.
    public init(
        id: String, at: Instant, destination: String, restored: Bool, checks: [BackupCheck], clock: DrillClock,
        recoveryPoint: Duration?, actionItems: [String] = []
    ) {
        self.id = id
        self.at = at
        self.destination = destination
        self.restored = restored
        self.checks = checks
        self.clock = clock
        self.recoveryPoint = recoveryPoint
        self.actionItems = actionItems
    }

    /// Whether a database was restored, something was checked, and everything passed.
    public var passed: Bool { restored && !checks.isEmpty && checks.allSatisfy(\.passed) }

    /// Whether it shows that the backup can be restored: unpacking one does not.
    public var isProof: Bool { passed && onlyUnpacked != true }
}

/// What stays of a backup that was deleted.
public struct Tombstone: Sendable, Hashable, Codable {
    /// When the last copy's absence was confirmed.
    public var at: Instant
    /// Who deleted it.
    public var by: Principal
    /// Why.
    public var reason: String

    /// A tombstone.
    public init(at: Instant, by: Principal, reason: String) {
        self.at = at
        self.by = by
        self.reason = reason
    }
}
