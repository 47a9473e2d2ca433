public import SerinModel

/// Limits on the database.
public struct PostgresPolicy: Sendable, Hashable, Codable {
    /// The primary, by a reference to its connection string.
    public var primary: SecretReference
    /// The replicas that must exist, by references to their connection strings; empty: those attached at the start must stay.
    public var replicas: [SecretReference]
    /// The limits, sorted by signal.
    public var limits: [DatabaseLimit]

    /// Limits on the database.
    public init(primary: SecretReference, replicas: [SecretReference], limits: [DatabaseLimit]) {
        self.primary = primary
        self.replicas = replicas
        self.limits = limits.sorted { $0.signal < $1.signal }
    }
}

/// A limit on one value of the database.
public struct DatabaseLimit: Sendable, Hashable, Codable {
    /// What is limited.
    public var signal: DatabaseSignal
    /// The largest value allowed, in the signal's unit.
    public var max: Double?
    /// The largest multiple of the value before the rollout; 2 allows twice as much.
    public var maxRatio: Double?
    /// How long it must be exceeded; zero acts at once.
    public var lasting: Duration

    /// A limit.
    public init(signal: DatabaseSignal, max: Double?, maxRatio: Double? = nil, lasting: Duration = .zero) {
        self.signal = signal
        self.max = max
        self.maxRatio = maxRatio
        self.lasting = lasting
    }
}
