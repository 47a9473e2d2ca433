public import SerinModel

/// The plan of one target: what is backed up, when, where to, how it is kept, checked, restored and drilled.
public struct BackupPlan: Sendable, Hashable, Codable {
    /// How bytes are made smaller.
    public struct Compression: Sendable, Hashable, Codable {
        /// With what.
        public var method: EnvelopeCompression
        /// How hard it tries; nil is the method's default (zstd 3, gzip 6).
        public var level: Int?

        /// A compression.
        public init(_ method: EnvelopeCompression = .zstd, level: Int? = nil) {
            self.method = method
            self.level = level
        }
    }

    /// How much may be lost, and how long a recovery may take.
    public struct Targets: Sendable, Hashable, Codable {
        /// How much time of changes may be lost (RPO).
        public var recoveryPoint: Duration?
        /// How long a recovery may take (RTO).
        public var recoveryTime: Duration?

        /// Targets.
        public init(recoveryPoint: Duration? = nil, recoveryTime: Duration? = nil) {
            self.recoveryPoint = recoveryPoint
            self.recoveryTime = recoveryTime
        }
    }

    /// The target's name: its backups bear it, and there is one run at a time for it.
    public var target: ServiceName
    /// The project that owns it.
    public var project: String
    /// The preset that gave the defaults.
    public var preset: BackupPreset.Name?
    /// What its backups are for.
    public var purpose: String?
    /// The retention class that its backups bear.
    public var retentionClass: String
    /// Whether its backups hold personal data.
    public var hasPersonalData: Bool
    /// What is backed up.
    public var source: SourcePolicy
    /// Where to, in the order of the plan; at least one.
    public var destinations: [DestinationPolicy]
    /// How bytes are made smaller.
    public var compression: Compression
    /// How bytes are made unreadable.
    public var encryption: EncryptionPolicy
    /// What is kept, wherever a destination does not say otherwise.
    public var retention: RetentionPlan
    /// When; may be empty for a plan that is run by hand or by a rollout.
    public var schedules: [BackupSchedule]
    /// Hours in which backups should begin; none for any.
    public var windows: BackupWindows
    /// The oldest that the newest good backup may be.
    public var maximumAge: Duration?
    /// How it is checked.
    public var verify: VerifyPolicy
    /// How it is restored.
    public var restore: RestorePolicy
    /// When and how restores are rehearsed.
    public var drills: [DrillPolicy]
    /// How much may be lost, and how long a recovery may take.
    public var targets: Targets
    /// Who is told.
    public var notify: NotifyPolicy
    /// The connection string of the Postgres server that the catalogue is mirrored to; nil for none.
    public var mirror: SecretReference?
    /// The row by which drills measure what would be lost; nil for none.
    public var heartbeat: HeartbeatPolicy?
    /// Whether the daemon deletes what is no longer kept; otherwise something does that has rights of its own.
    public var prunesInDaemon: Bool

    /// A plan of validated parts.
    public init(
        target: ServiceName, project: String, preset: BackupPreset.Name? = nil, purpose: String? = nil,
        retentionClass: String = "standard", hasPersonalData: Bool = true, source: SourcePolicy,
        destinations: [DestinationPolicy], compression: Compression = Compression(), encryption: EncryptionPolicy,
        retention: RetentionPlan = RetentionPlan(), schedules: [BackupSchedule] = [], windows: BackupWindows = BackupWindows(),
        maximumAge: Duration? = nil, verify: VerifyPolicy = VerifyPolicy(), restore: RestorePolicy = RestorePolicy(),
        drills: [DrillPolicy] = [], targets: Targets = Targets(), notify: NotifyPolicy = NotifyPolicy(),
        mirror: SecretReference? = nil, heartbeat: HeartbeatPolicy? = nil, prunesInDaemon: Bool = true
    ) {
        self.target = target
        self.project = project
        self.preset = preset
        self.purpose = purpose
        self.retentionClass = retentionClass
        self.hasPersonalData = hasPersonalData
        self.source = source
        self.destinations = destinations
        self.compression = compression
        self.encryption = encryption
        self.retention = retention
        self.schedules = schedules
        self.windows = windows
        self.maximumAge = maximumAge
        self.verify = verify
        self.restore = restore
        self.drills = drills
        self.targets = targets
        self.notify = notify
        self.mirror = mirror
        self.heartbeat = heartbeat
        self.prunesInDaemon = prunesInDaemon
    }

    /// What is kept at a destination.
    public func retention(at destination: String) -> RetentionPlan {
        destinations.first { $0.name == destination }?.retention ?? retention
    }
}
