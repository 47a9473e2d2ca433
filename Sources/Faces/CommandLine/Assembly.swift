public import SerinAPI
public import SerinController
public import SerinModel
public import SerinPolicies
public import SerinPorts
public import SerinRecords
public import SerinRollouts
public import SerinTrials

/// A policy as someone named it on the command line.
public struct PolicySource: Sendable, Hashable {
    /// The file's name, for messages.
    public var file: String
    /// The file's text.
    public var text: String
    /// The version to release; nil where a command can do without.
    public var version: String?
    /// The version to go back to.
    public var previous: String?
    /// Logged deviations from the policy.
    public var overrides: [Override]

    /// A policy to read.
    public init(file: String, text: String, version: String? = nil, previous: String? = nil, overrides: [Override] = []) {
        self.file = file
        self.text = text
        self.version = version
        self.previous = previous
        self.overrides = overrides
    }
}

/// A policy after validation.
public struct LoadedPolicy: Sendable, Hashable {
    /// The policy, with overrides applied and versions put in where they are known.
    public var policy: Policy
    /// SHA-256 of the file's text, lower-case hexadecimal.
    public var hash: String
    /// The versions that a rollout of it needs and that were not given.
    public var missingVersions: [Diagnostic]

    /// A policy.
    public init(policy: Policy, hash: String, missingVersions: [Diagnostic] = []) {
        self.policy = policy
        self.hash = hash
        self.missingVersions = missingVersions
    }

    /// Its Prometheus, for messages.
    var prometheus: String { "Prometheus at \(policy.prometheus.endpoint.url)" }

    /// Refuses to release it while a version that it needs is not known.
    func checkVersions() throws(OperationError) {
        guard missingVersions.isEmpty else { throw .invalid(missingVersions) }
    }
}

/// One thing that was tried before a rollout, and what came of it.
public struct Probe: Sendable, Hashable {
    /// How it ended.
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        /// It works.
        case ok
        /// It works, but people should know something.
        case warning
        /// A rollout would be refused.
        case failed
    }

    /// What was tried: `traffic`, `prometheus errors canary`, `postgres`.
    public var name: String
    /// How it ended.
    public var outcome: Outcome
    /// What came back, or what to do.
    public var detail: String

    /// A result.
    public init(_ name: String, _ outcome: Outcome, _ detail: String) {
        self.name = name
        self.outcome = outcome
        self.detail = detail
    }
}

/// What `plan` can say only with telemetry.
public struct Forecast: Sendable, Hashable {
    /// Sentences such as `errors: at the present 50 req/s and 5% this takes 4.0 h; at 25% 55 min`.
    public var sentences: [String]
    /// What could not be asked or is doubtful.
    public var warnings: [String]
    /// How long the backup takes and how large it is; nil where none is taken.
    public var backup: String?
    /// Of which kind the backup will be; nil where none is taken or its plan cannot be used.
    public var backupKind: BackupKind?
    /// What is to be migrated now; nil when the policy migrates nothing or nobody could tell.
    public var migrations: MigrationPlan?

    /// A forecast.
    public init(
        sentences: [String], warnings: [String] = [], backup: String? = nil, backupKind: BackupKind? = nil,
        migrations: MigrationPlan? = nil
    ) {
        self.sentences = sentences
        self.warnings = warnings
        self.backup = backup
        self.backupKind = backupKind
        self.migrations = migrations
    }
}

/// A controller that holds its state folder's lock.
public protocol OpenedController: Sendable {
    /// What may be asked of it.
    var operations: any RolloutOperations { get }

    /// What must hold for it to be of use, each with what is wrong.
    func readiness() async -> [ReadinessCheck]

    /// Drives its rollouts, those found in the store first; returns after `stop`, or when it cannot go on.
    func run() async throws(Failure)

    /// Ends driving in order and releases the store. A live rollout is left as it is for the next controller or the watchdog.
    func stop() async

    /// Gives up what was opened and is not going to run: releases the store, and leaves a live rollout to the watchdog.
    func abandon() async

    /// Whether every live rollout was decided upon not longer ago than this.
    func isDeciding(within limit: Duration) -> Bool
}

extension OpenedController {
    /// It is, where nothing else is known.
    public func isDeciding(within limit: Duration) -> Bool { true }
}

extension OpenedController {
    /// What was opened is reconciled.
    public func readiness() async -> [ReadinessCheck] { [ReadinessCheck("reconciled")] }
}

/// Says whether rollouts of a service may start by the text of a policy; `refused` when not.
public typealias StartRule = @Sendable (ServiceName, _ text: String) throws(OperationError) -> Void

/// How the parts of a controller are put together: all that the verbs need and do not know themselves.
public struct Assembly: Sendable {
    /// Reads and validates a policy; `invalid` carries every complaint.
    public var readPolicy: @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy
    /// Tries everything that the policy names and changes nothing.
    public var probe: @Sendable (LoadedPolicy, PolicySource, StateRoot) async -> [Probe]
    /// Says how long the evidence will take at the present traffic, and the backup by the last one; tells what it waits for meanwhile.
    public var forecast: @Sendable (LoadedPolicy, PolicySource, StateRoot, @escaping Wait.Note) async -> Forecast
    /// Reads what telemetry kept of both cohorts in a range, and of control before it.
    public var pastReadings:
        @Sendable (LoadedPolicy, TelemetryRequest, ClosedRange<Instant>) async throws(OperationError) -> PastReadings
    /// Opens the controller of one service and its store, under the folder's lock; `refused` when another process holds it.
    public var openController: @Sendable (ServiceName, StateRoot) async throws(OperationError) -> any OpenedController
    /// Opens a controller of all services, each in its folder as rollouts need it.
    ///
    /// The authenticator finds out who asks at the services' own sockets; the notifier is told of every rollout; the rule is asked
    /// before each start.
    public var openDaemon:
        @Sendable (StateRoot, any Authenticator, (any Notifier)?, @escaping StartRule) async throws(OperationError) ->
            any OpenedController
    /// Opens the file of tokens.
    public var openAccess: @Sendable (StateRoot) async throws(OperationError) -> any AccessStore
    /// Opens one service's journal to read it only, while no controller holds it; nil when there is none.
    public var openJournal: @Sendable (ServiceName, StateRoot) async throws(OperationError) -> (any RolloutOperations)?
    /// Checks one service's journal, which no controller holds, against a noted head, and replays one or all rollouts.
    public var verify:
        @Sendable (ServiceName, RolloutID?, _ noted: NotedJournal?, StateRoot) async throws(OperationError) -> Verification
    /// The JSON Schema of policies.
    public var policySchema: @Sendable () -> String
    /// How migrations are read for the lint, without a database.
    public var migrationScripts: MigrationReading
    /// How the parts of backups are put together.
    public var backups: BackupAssembly
    /// How the parts of a daemon with a configuration are put together.
    public var daemon: DaemonAssembly
    /// How the parts of migrations are put together.
    public var migrations: MigrationAssembly
    /// Lowers a service's weight when no controller has held its lock for so long; returns when there is nothing to watch.
    public var watchdog: @Sendable (ServiceName, StateRoot, _ after: Duration) async throws(OperationError) -> ExitCode

    /// An assembly of parts.
    public init(
        readPolicy: @escaping @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy,
        probe: @escaping @Sendable (LoadedPolicy, PolicySource, StateRoot) async -> [Probe],
        forecast: @escaping @Sendable (LoadedPolicy, PolicySource, StateRoot, @escaping Wait.Note) async -> Forecast,
        pastReadings:
            @escaping @Sendable (LoadedPolicy, TelemetryRequest, ClosedRange<Instant>) async throws(OperationError) ->
            PastReadings,
        openController: @escaping @Sendable (ServiceName, StateRoot) async throws(OperationError) -> any OpenedController,
        openDaemon:
            @escaping @Sendable (StateRoot, any Authenticator, (any Notifier)?, @escaping StartRule) async throws(OperationError)
            -> any OpenedController,
        openAccess: @escaping @Sendable (StateRoot) async throws(OperationError) -> any AccessStore,
        openJournal: @escaping @Sendable (ServiceName, StateRoot) async throws(OperationError) -> (any RolloutOperations)?,
        verify:
            @escaping @Sendable (ServiceName, RolloutID?, NotedJournal?, StateRoot) async throws(OperationError) -> Verification,
        policySchema: @escaping @Sendable () -> String,
        backups: BackupAssembly,
        daemon: DaemonAssembly,
        migrations: MigrationAssembly,
        migrationScripts: MigrationReading,
        watchdog: @escaping @Sendable (ServiceName, StateRoot, Duration) async throws(OperationError) -> ExitCode
    ) {
        self.readPolicy = readPolicy
        self.probe = probe
        self.forecast = forecast
        self.pastReadings = pastReadings
        self.openController = openController
        self.openDaemon = openDaemon
        self.openAccess = openAccess
        self.openJournal = openJournal
        self.verify = verify
        self.policySchema = policySchema
        self.backups = backups
        self.daemon = daemon
        self.migrations = migrations
        self.migrationScripts = migrationScripts
        self.watchdog = watchdog
    }
}
