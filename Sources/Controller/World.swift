public import SerinModel
internal import SerinPolicies
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
    /// Backups, when the policy asks for them.
    public var backups: (any Backups)?
    /// Whom the policy wants to be told, beside those whom the controller tells of every rollout.
    public var notifiers: [any Notifier]
    /// The schema, when the policy migrates.
    public var migrations: (any Migrations)?

    /// The outside parts of one rollout.
    public init(
        traffic: any Traffic, telemetry: any Telemetry, database: (any DatabaseHealth)?, actions: any Actions,
        backups: (any Backups)? = nil, migrations: (any Migrations)? = nil, notifiers: [any Notifier] = []
    ) {
        self.traffic = traffic
        self.telemetry = telemetry
        self.database = database
        self.actions = actions
        self.backups = backups
        self.notifiers = notifiers
        self.migrations = migrations
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
    /// For trying whether a backup can be made, for asking the catalogue and for releasing a backup: 20 s.
    public var backup = Duration.seconds(20)
    /// For ending what is left of a migration and reading the schema: 2 min.
    public var migration = Duration.minutes(2)
    /// For a notice to be handed over: 10 s.
    public var notice = Duration.seconds(10)

    /// The defaults.
    public init() {}

    /// How old the decision for a raise may be when it is sent. Sent later it could apply after the rollout has given it up, or
    /// after another controller took over. Zero or less: none could be sent in time.
    func raiseLease(_ timing: TimingPolicy, settleTime: Duration) -> Duration {
        min(Duration(milliseconds: timing.watchdogAfter.milliseconds / 2), timing.raiseDeadline - settleTime - traffic * 2)
    }
}
