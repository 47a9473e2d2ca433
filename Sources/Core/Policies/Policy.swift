public import SerinModel

/// A release policy after validation and defaults: what one service's rollouts must do. It is frozen when a rollout starts.
public struct Policy: Sendable, Hashable, Codable {
    /// Where the service runs. Only `demo` allows a shortened bake without a second person.
    public enum Environment: String, Sendable, Hashable, Codable, CaseIterable {
        /// Real users: every safeguard holds.
        case production
        /// A rehearsal with production's safeguards.
        case staging
        /// A demonstration: overrides need no approval.
        case demo
    }

    /// What happens after a failed verdict or gate. The weight goes to 0 in every case.
    public enum OnFailure: String, Sendable, Hashable, Codable, CaseIterable {
        /// Traffic, then the rollback action.
        case rollback
        /// Traffic only: the canary is left running, for a post-mortem.
        case drain
    }

    /// What happens when telemetry is lost or the evidence stays inconclusive. There is no value that promotes.
    public enum OnDoubt: String, Sendable, Hashable, Codable, CaseIterable {
        /// Freeze the weight; roll back when the hold's own time is over.
        case hold
        /// Roll back at once.
        case rollback
    }

    /// What happens when someone else lowered the weight. (Raised by someone else: lowered at once, always.)
    public enum OnDrift: String, Sendable, Hashable, Codable, CaseIterable {
        /// Freeze where it is now.
        case hold
        /// Roll back.
        case rollback
        /// Enter the step again through every gate.
        case reapply
    }

    /// The service; one live rollout each.
    public var service: ServiceName
    /// Where it runs.
    public var environment: Environment
    /// How traffic is moved.
    public var traffic: TrafficPolicy
    /// Where evidence is read, and which series belong to which cohort.
    public var prometheus: PrometheusPolicy
    /// What is compared, in the order of the policy; at least one.
    public var signals: [SignalPolicy]
    /// Alerts that halt.
    public var alerts: AlertsPolicy?
    /// Limits on the database.
    public var postgres: PostgresPolicy?
    /// The backup before a release; nil for none.
    public var backup: RolloutBackupPolicy?
    /// How the schema is moved; nil for not at all.
    public var migrations: MigrationPolicy?
    /// How the canary is brought up; nil when the pipeline has done it.
    public var deploy: ActionPolicy?
    /// How the new version is given to control after the verdict; nil when the pipeline does it.
    public var promote: ActionPolicy?
    /// How the previous version is brought back; nil when lowering the weight is all.
    public var rollback: ActionPolicy?
    /// After a fail.
    public var onFailure: OnFailure
    /// When `maxBake` is over without a verdict.
    public var onInconclusive: OnDoubt
    /// When evidence is missing.
    public var onTelemetryLoss: OnDoubt
    /// When someone else lowered the weight.
    public var onDrift: OnDrift
    /// How many different people must approve the first rollout after a security halt, 1…10.
    public var securityApprovals: Int
    /// The times.
    public var timing: TimingPolicy
    /// Who is told; nil for nobody beside the log.
    public var notify: RolloutNotifyPolicy?

    /// A policy of validated parts.
    public init(
        service: ServiceName, environment: Environment, traffic: TrafficPolicy, prometheus: PrometheusPolicy,
        signals: [SignalPolicy], alerts: AlertsPolicy?, postgres: PostgresPolicy?, deploy: ActionPolicy?,
        promote: ActionPolicy?, rollback: ActionPolicy?, onFailure: OnFailure, onInconclusive: OnDoubt,
        onTelemetryLoss: OnDoubt, onDrift: OnDrift, timing: TimingPolicy,
        securityApprovals: Int = 2, backup: RolloutBackupPolicy? = nil, migrations: MigrationPolicy? = nil,
        notify: RolloutNotifyPolicy? = nil
    ) {
        self.service = service
        self.environment = environment
        self.traffic = traffic
        self.prometheus = prometheus
        self.signals = signals
        self.alerts = alerts
        self.postgres = postgres
        self.deploy = deploy
        self.promote = promote
        self.rollback = rollback
        self.onFailure = onFailure
        self.onInconclusive = onInconclusive
        self.onTelemetryLoss = onTelemetryLoss
        self.onDrift = onDrift
        self.timing = timing
        self.securityApprovals = securityApprovals
        self.backup = backup
        self.notify = notify
        self.migrations = migrations
    }
}

/// The times of a rollout, each with its default.
public struct TimingPolicy: Sendable, Hashable, Codable {
    /// Between polls: 15 s.
    public var poll = Duration.seconds(15)
    /// The least observed healthy time before promotion: 30 min. Less needs a logged override.
    public var bake = Duration.minutes(30)
    /// The least healthy time at each step; nil is the bake divided by the number of judged steps.
    public var stepFor: Duration?
    /// After each raise, neither evidence nor bake: 2 min.
    public var warmup = Duration.minutes(2)
    /// The longest bake before `onInconclusive`; nil is four times the bake.
    public var maxBake: Duration?
    /// How long a hold may last before it is rolled back: 24 h.
    public var holdFor = Duration.hours(24)
    /// How long telemetry or the observed share may be wrong, or the promoted version unseen on control, before a rollback: 10 min.
    public var lossFor = Duration.minutes(10)
    /// How long the final step at 100 % is watched: 5 min.
    public var watch = Duration.minutes(5)
    /// For the preflight: 2 min.
    public var preflightDeadline = Duration.minutes(2)
    /// For a raise until it is confirmed by read-back: 2 min.
    public var raiseDeadline = Duration.minutes(2)
    /// For an accepted halt until 0 is confirmed: 15 s.
    public var haltDeadline = Duration.seconds(15)
    /// For a whole rollback until a person is called: 10 min.
    public var rollbackDeadline = Duration.minutes(10)
    /// For an approval until the rollout is rolled back: 24 h.
    public var approvalDeadline = Duration.hours(24)
    /// How long an approval counts until it is used: 30 min. Nil in charters of engines that bound approvals to nothing: for ever.
    public var approvalFor: Duration? = .minutes(30)
    /// Without a controller, until the watchdog lowers the weight: 30 s.
    public var watchdogAfter = Duration.seconds(30)
    /// The least evidence before a fail: 30 s with a measured noise.
    public var minEvidence = Duration.seconds(30)

    /// The defaults.
    public init() {}
}

/// How traffic is moved.
public struct TrafficPolicy: Sendable, Hashable, Codable {
    /// The load balancer's driver and its settings.
    public var driver: DriverSettings
    /// The steps in ascending order, at least one; a last one of 100 % is entered only on a pass.
    public var steps: [StepPolicy]

    /// How traffic is moved.
    public init(driver: DriverSettings, steps: [StepPolicy]) {
        self.driver = driver
        self.steps = steps
    }
}

/// One step.
public struct StepPolicy: Sendable, Hashable, Codable {
    /// The canary's share while this step bakes.
    public var weight: Weight
    /// Whether a person must approve before it is entered.
    public var needsApproval: Bool

    /// A step.
    public init(weight: Weight, needsApproval: Bool = false) {
        self.weight = weight
        self.needsApproval = needsApproval
    }
}

/// A secret by reference; the value is read when it is needed and never kept in a policy.
public enum SecretReference: Sendable, Hashable, Codable {
    /// The name of an environment variable (`*_env`).
    case environment(String)
    /// The path of a file (`*_file`).
    case file(String)
    /// The name of a systemd credential (`*_cred`), a file in `$CREDENTIALS_DIRECTORY`.
    case credential(String)
}

/// How to be let in at an HTTP server.
public enum HTTPAuthentication: Sendable, Hashable, Codable {
    /// Basic authentication: `basic: {username: …, password_env: …}`.
    case basic(username: String, password: SecretReference)
    /// A bearer token: `bearer_env: …`.
    case bearer(SecretReference)
}

/// A server that speaks HTTP.
public struct HTTPEndpoint: Sendable, Hashable, Codable {
    /// Its base, `http://` or `https://`, without a trailing slash; no user or password inside.
    public var url: String
    /// How to be let in.
    public var authentication: HTTPAuthentication?
    /// A file of certificates to trust instead of the system's.
    public var certificateAuthorityFile: String?

    /// A server.
    public init(url: String, authentication: HTTPAuthentication? = nil, certificateAuthorityFile: String? = nil) {
        self.url = url
        self.authentication = authentication
        self.certificateAuthorityFile = certificateAuthorityFile
    }
}

/// Where evidence is read.
public struct PrometheusPolicy: Sendable, Hashable, Codable {
    /// The server.
    public var endpoint: HTTPEndpoint
    /// The label that names an instance: `instance`.
    public var instanceLabel: String
    /// The labels of the canary's series; at least one differs from the control's.
    public var canary: [Label]
    /// The labels of the control's series.
    public var control: [Label]
    /// How old a sample may be; nil is 2.5 scrape intervals.
    public var staleAfter: Duration?
    /// For one answer; at most half a poll.
    public var timeout: Duration

    /// Where evidence is read.
    public init(
        endpoint: HTTPEndpoint, instanceLabel: String, canary: [Label], control: [Label], staleAfter: Duration?, timeout: Duration
    ) {
        self.endpoint = endpoint
        self.instanceLabel = instanceLabel
        self.canary = canary.sorted()
        self.control = control.sorted()
        self.staleAfter = staleAfter
        self.timeout = timeout
    }
}

/// Alerts that halt while they fire.
public struct AlertsPolicy: Sendable, Hashable, Codable {
    /// Conditions that an alert must meet, all of them.
    public var match: [LabelMatcher]
    /// An Alertmanager to ask as well as Prometheus.
    public var alertmanager: HTTPEndpoint?

    /// Alerts that halt.
    public init(match: [LabelMatcher], alertmanager: HTTPEndpoint?) {
        self.match = match.sorted()
        self.alertmanager = alertmanager
    }
}

extension TimingPolicy {
    /// The longest bake: `max_bake`, or four times the bake.
    public var effectiveMaxBake: Duration { maxBake ?? bake * 4 }
}
