public import SerinModel
public import SerinPorts

/// The outside parts of one rollout, as the policy names them.
public struct World: Sendable {
    /// The load balancer.
    public var traffic: any Traffic
    /// Where evidence is read.
    public var telemetry: any Telemetry
    /// The database, when the policy limits it.
    public var database: (any DatabaseHealth)?
    /// Deploy, promote, roll back.
    public var actions: any Actions

    /// The outside parts of one rollout.
    public init(
        traffic: any Traffic, telemetry: any Telemetry, database: (any DatabaseHealth)?, actions: any Actions
    ) {
        self.traffic = traffic
        self.telemetry = telemetry
        self.database = database
        self.actions = actions
    }
}

/// How long the controller waits for the outside. Every call has one of these limits.
public struct CallLimits: Sendable, Hashable {
    /// For one request to the load balancer: 3 s.
    public var traffic = Duration.seconds(3)
    /// Between two read-backs of a weight that is not there yet: 100 ms.
    public var readBackPause = Duration.milliseconds(100)
    /// For the journal before a lowering goes ahead of it: 1 s.
    public var journal = Duration.seconds(1)
    /// Between two tries of a journal that failed: half a second to 8 s.
    public var journalRetry = Backoff(first: .seconds(1), longest: .seconds(8))
    /// Between two tries of a lowering that is not confirmed: a quarter of a second to 4 s.
    public var loweringRetry = Backoff(first: .milliseconds(500), longest: .seconds(4))
    /// Between two tries of a preflight that met something which may pass: half a second to 8 s.
    public var preflightRetry = Backoff(first: .seconds(1), longest: .seconds(8))
    /// For the history of the control: 20 s.
    public var history = Duration.seconds(20)
    /// For a notice to be handed over: 10 s.
    public var notice = Duration.seconds(10)

    /// The defaults.
    public init() {}
}
