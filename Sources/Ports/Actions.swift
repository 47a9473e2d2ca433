public import SerinModel
public import SerinPolicies
public import SerinRollouts

/// What an action is told about its rollout.
public struct ActionContext: Sendable, Hashable {
    /// The key under which a repetition is recognised.
    public var key: String
    /// The service.
    public var service: ServiceName
    /// The version to release.
    public var version: String
    /// The version to go back to.
    public var previous: String
    /// The backup that a restore takes data from.
    public var backup: BackupID?
    /// What a restore is to do.
    public var restore: RestoreOrder?

    /// A context.
    public init(key: String, service: ServiceName, version: String, previous: String) {
        self.key = key
        self.service = service
        self.version = version
        self.previous = previous
    }
}

/// Runs deploy, promote and rollback actions.
public protocol Actions: Sendable {
    /// Runs an action, then its check where there is one.
    func run(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome

    /// Ends what a former controller left running of an action, so that its check can be believed. Fails when it cannot be ended.
    func endLeftovers(of context: ActionContext) async throws(Failure)

    /// Asks only the check; `unknown` without one.
    func check(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome
}
