internal import SerinActions
internal import SerinController
internal import SerinModel
internal import SerinNotifications
internal import SerinPolicies
internal import SerinPorts
internal import SerinPostgres
internal import SerinPrometheus
internal import SerinRollouts
internal import SerinTraffic
internal import SerinTransport

/// The outside parts that all rollouts of this process share: HTTP, what is read from Prometheus, secrets.
struct Surroundings: Sendable {
    let environment: [String: String]
    let secrets: Secrets
    /// Where this process says what no command asked for.
    let output: Output
    /// What all rollouts of this process together may retry.
    let retries = RetryBudget(clock: SystemClock()) { Double.random(in: 0...1) }
    /// Where all controllers of this process note what they measure of themselves.
    let measures = ControllerMeasures()
    private let transport: Transport
    private let hubs: TelemetryHubs

    init(environment: [String: String], output: Output) throws(Failure) {
        self.environment = environment
        self.output = output
        let secrets = Secrets(environment: environment)
        self.secrets = secrets
        transport = try Transport()
        hubs = TelemetryHubs(transport: transport) { reference throws(Failure) in try secrets.read(reference) }
    }

    /// The parts that a rollout's policy names; `start` is what an earlier controller compared its database with.
    func world(
        of charter: Charter, database start: DatabaseStart? = nil, backups: (any Backups)? = nil, state: StateRoot? = nil
    ) throws(Failure) -> World {
        let policy = charter.policy
        let secrets = secrets
        let traffic = try traffic(policy.traffic.driver, version: charter.version, previous: charter.previous)
        let database: PostgresHealth?
        if let postgres = policy.postgres {
            database = try PostgresHealth(policy: postgres, start: start) { reference throws(Failure) in
                try secrets.read(reference)
            }
        } else {
            database = nil
        }
        let output = output
        let notifiers = policy.notify.map { notify in
            [CommandNotifier(notify.run, caller: environment) { output.write("serin: \(plain($0))\n", isKept: true) }]
        }
        return World(
            traffic: traffic,
            telemetry: telemetry(of: policy),
            database: database,
            actions: CommandActions(transport: transport, environment: environment) { reference throws(Failure) in
                try secrets.read(reference)
            }, backups: backups, migrations: try migrations(of: charter, state: state), notifiers: notifiers ?? [])
    }

    /// Where a policy's evidence is read.
    func telemetry(of policy: Policy) -> PrometheusTelemetry {
        hubs.telemetry(for: policy.prometheus, alerts: policy.alerts, poll: policy.timing.poll)
    }

    /// A load balancer by its settings.
    func traffic(_ settings: DriverSettings, version: String? = nil, previous: String? = nil) throws(Failure) -> any Traffic {
        let secrets = secrets
        return try TrafficDrivers.make(
            settings,
            environment: TrafficEnvironment(transport: transport, version: version, previous: previous) {
                reference throws(Failure) in
                try secrets.read(reference)
            })
    }
}
