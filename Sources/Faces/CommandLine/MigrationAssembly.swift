public import SerinMigrationTools
public import SerinModel
public import SerinPolicies
public import SerinPorts
public import SerinRollouts

/// A database to migrate, and how.
public struct MigrationTarget: Sendable {
    /// How it is migrated.
    public var policy: MigrationPolicy
    /// Where the connection string of its database is.
    public var database: SecretReference
    /// The name of the lease: the target of the backup plan, so that backups and migrations keep out of each other's way.
    public var lease: String
    /// What the policy does not say.
    public var options: DatabaseMigrations.Options
    /// The whole policy; nil without one.
    public var release: LoadedPolicy?

    /// A target.
    public init(
        policy: MigrationPolicy, database: SecretReference, lease: String,
        options: DatabaseMigrations.Options = DatabaseMigrations.Options(), release: LoadedPolicy? = nil
    ) {
        self.policy = policy
        self.database = database
        self.lease = lease
        self.options = options
        self.release = release
        if let release { governed(by: release.policy.service, release.hash) }
    }

    /// Notes with every step by which policy it is taken.
    mutating func governed(by service: ServiceName, _ hash: String) { options.governed = "\(service) \(hash.prefix(12))" }
}

/// Where a trace runs, and what its copy begins as.
public struct TraceTarget: Sendable {
    /// Where the address of the server is on which databases may be made.
    public var server: SecretReference
    /// Where the address of the database is whose schema is copied; nil begins with nothing.
    public var copied: SecretReference?
    /// The database of that server that is copied with its rows.
    public var template: String?
    /// The database of that server that was restored for the trace, and goes with it.
    public var restored: String?
    /// A program that tries the previous version on the new schema.
    public var previous: String?

    /// A target.
    public init(server: SecretReference, copied: SecretReference? = nil, template: String? = nil, previous: String? = nil) {
        self.server = server
        self.copied = copied
        self.template = template
        self.previous = previous
    }
}

/// How the parts of migrations are put together.
public struct MigrationAssembly: Sendable {
    /// Puts the migrations of a target together, under leases of a catalogue. Contacts nothing.
    public var open: @Sendable (MigrationTarget, any CatalogueStore, _ by: Principal) -> DatabaseMigrations
    /// The backfills of a database.
    public var backfills: @Sendable (SecretReference) -> DatabaseBackfill

    /// A trace of a policy's migrations. Contacts nothing.
    public var trace: @Sendable (MigrationPolicy, TraceTarget) -> MigrationTrace

    /// Runs what a policy names to find something out.
    public var probe: @Sendable (ActionPolicy, ActionContext) async throws(Failure) -> ActionOutcome

    /// An assembly of parts.
    public init(
        open: @escaping @Sendable (MigrationTarget, any CatalogueStore, _ by: Principal) -> DatabaseMigrations,
        backfills: @escaping @Sendable (SecretReference) -> DatabaseBackfill,
        trace: @escaping @Sendable (MigrationPolicy, TraceTarget) -> MigrationTrace,
        probe: @escaping @Sendable (ActionPolicy, ActionContext) async throws(Failure) -> ActionOutcome
    ) {
        self.open = open
        self.backfills = backfills
        self.trace = trace
        self.probe = probe
    }
}
