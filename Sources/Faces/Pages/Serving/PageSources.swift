public import SerinAPI
public import SerinCatalogue
public import SerinController
public import SerinModel
public import SerinRollouts

/// Where pages read what they show, beside the rollouts themselves.
public struct PageSources: Sendable {
    /// The rollouts.
    public var operations: any RolloutOperations
    /// The time.
    public var now: @Sendable () -> Instant
    /// A charter's plan in sentences.
    public var plan: @Sendable (Charter) -> PlanWords
    /// A rollout's page for terminals.
    public var text: @Sendable (RolloutStatus, [LoggedDecision]) -> String
    /// Every backup of the catalogues; nil where none is kept.
    public var backups: @Sendable () async throws -> [BackupRecord]?
    /// What else was asked for or decided, beside what the services' journals tell.
    public var decided: @Sendable () async throws(Failure) -> [AuditPage.Line]
    /// What two people decide about; nil where nothing is.
    public var desk: (any ConfigurationDesk)?
    /// Where people can sign in beside with tokens.
    public var signIn: SignInWays
    /// What else is to be said of Serin's own health.
    public var checks: @Sendable () async -> [HealthPage.Check]
    /// The state folder, for commands to copy; empty for the usual one.
    public var stateFolder: String
    /// The names by which browsers may reach the pages, beside those of this computer itself; any other name is a trick.
    public var hosts: Set<String>

    /// Sources over the rollouts alone; what else there is can be set.
    public init(
        operations: any RolloutOperations, now: @escaping @Sendable () -> Instant,
        plan: @escaping @Sendable (Charter) -> PlanWords = { _ in PlanWords() },
        text: @escaping @Sendable (RolloutStatus, [LoggedDecision]) -> String = { status, _ in Explanation.safety(status) + "\n"
        },
        backups: @escaping @Sendable () async throws -> [BackupRecord]? = { nil },
        decided: @escaping @Sendable () async throws(Failure) -> [AuditPage.Line] = { () throws(Failure) in [] },
        desk: (any ConfigurationDesk)? = nil, signIn: SignInWays = .none,
        checks: @escaping @Sendable () async -> [HealthPage.Check] = { [] }, stateFolder: String = "",
        hosts: Set<String> = []
    ) {
        self.operations = operations
        self.now = now
        self.plan = plan
        self.text = text
        self.backups = backups
        self.decided = decided
        self.desk = desk
        self.signIn = signIn
        self.checks = checks
        self.stateFolder = stateFolder
        self.hosts = hosts
    }
}
