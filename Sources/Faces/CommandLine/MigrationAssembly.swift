public import SerinMigrationTools
public import SerinModel
public import SerinPolicies
public import SerinPorts

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

    /// A target.
    public init(
        policy: MigrationPolicy, database: SecretReference, lease: String,
        options: DatabaseMigrations.Options = DatabaseMigrations.Options()
    ) {
        self.policy = policy
        self.database = database
        self.lease = lease
        self.options = options
    }
}

/// How the parts of migrations are put together.
public struct MigrationAssembly: Sendable {
    /// Puts the migrations of a target together, under leases of a catalogue. Contacts nothing.
    public var open: @Sendable (MigrationTarget, any CatalogueStore, _ by: Principal) -> DatabaseMigrations
    /// The backfills of a database.
    public var backfills: @Sendable (SecretReference) -> DatabaseBackfill

    /// An assembly of parts.
    public init(
        open: @escaping @Sendable (MigrationTarget, any CatalogueStore, _ by: Principal) -> DatabaseMigrations,
        backfills: @escaping @Sendable (SecretReference) -> DatabaseBackfill
    ) {
        self.open = open
        self.backfills = backfills
    }
}
