public import SerinModel

/// Where backups are stored.
public struct DestinationPolicy: Sendable, Hashable, Codable {
    /// Its name in the plan, unique.
    public var name: String
    /// The kind of place and its settings, valid by the kind's own schema.
    public var settings: DriverSettings
    /// Whether a backup without this copy is a failed one. Others are copies that may come later.
    public var isRequired: Bool
    /// Whether it is away from the machine that is backed up.
    public var isOffsite: Bool
    /// What is kept here, where that differs from the plan's.
    public var retention: RetentionPlan?
    /// For how long objects are locked; nil for no lock.
    public var lock: LockPolicy?
    /// The size from which a warning is raised, in bytes.
    public var warnSize: Int64?

    /// A destination.
    public init(
        name: String, settings: DriverSettings, isRequired: Bool = true, isOffsite: Bool, retention: RetentionPlan? = nil,
        lock: LockPolicy? = nil, warnSize: Int64? = nil
    ) {
        self.name = name
        self.settings = settings
        self.isRequired = isRequired
        self.isOffsite = isOffsite
        self.retention = retention
        self.lock = lock
        self.warnSize = warnSize
    }

    /// The least version of TLS that is spoken; nil where none is.
    public var minimumTLS: TLSVersion? { settings["tls_min"].flatMap(TLSVersion.init(rawValue:)) }
    /// The largest object that is stored here, in bytes; nil for any.
    public var maximumObject: Int64? { settings["max_object"].flatMap(byteCount(policyText:)) }
}

/// How long objects cannot be deleted.
public struct LockPolicy: Sendable, Hashable, Codable {
    /// Who may lift it.
    public var mode: LockMode
    /// For how long, in whole days.
    public var days: Int

    /// A lock.
    public init(mode: LockMode, days: Int) {
        self.mode = mode
        self.days = days
    }
}

/// One kind of destination as it declares itself, so that a new one needs no change here.
public struct DestinationSchema: Sendable {
    /// Says what a destination with these settings can do, or why they can never work. Contacts nothing.
    public typealias Inspection = @Sendable (DriverSettings) throws(Failure) -> DestinationTraits

    /// Its name, which is the key in a plan, and its settings.
    public var driver: DriverSchema
    /// What a destination of certain settings can do.
    public var inspect: Inspection

    /// A kind of destination.
    public init(driver: DriverSchema, inspect: @escaping Inspection) {
        self.driver = driver
        self.inspect = inspect
    }
}

/// What a destination can do.
public struct DestinationTraits: Sendable, Hashable {
    /// Whether an object survives the loss of this machine, as far as the settings show.
    public var isOffsite: Bool
    /// Whether it can lock objects.
    public var locks: Bool
    /// Whether it keeps versions of a key.
    public var keepsVersions: Bool
    /// Whether it takes encrypted objects only.
    public var requiresEncryption: Bool
    /// The longest object it takes, in bytes; nil: no limit.
    public var objectLimit: Int64?
    /// The longest object that is read back in one request, in bytes, as its rate and its timeout have it; nil: no rate is set.
    public var readingLimit: Int64?

    /// What a destination can do.
    public init(
        isOffsite: Bool, locks: Bool = false, keepsVersions: Bool = false, requiresEncryption: Bool = false,
        objectLimit: Int64? = nil, readingLimit: Int64? = nil
    ) {
        self.isOffsite = isOffsite
        self.locks = locks
        self.keepsVersions = keepsVersions
        self.requiresEncryption = requiresEncryption
        self.objectLimit = objectLimit
        self.readingLimit = readingLimit
    }
}
