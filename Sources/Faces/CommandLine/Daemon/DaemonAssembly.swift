public import SerinAPI
public import SerinController
public import SerinIdentity
public import SerinModel
public import SerinPolicies
public import SerinPorts

/// A daemon's configuration after validation.
public struct LoadedDaemon: Sendable, Hashable {
    /// Its file, for messages.
    public var file: String
    /// The settings.
    public var settings: DaemonSettings
    /// What is allowed and should be looked at.
    public var warnings: [Diagnostic]

    /// A configuration.
    public init(file: String, settings: DaemonSettings, warnings: [Diagnostic] = []) {
        self.file = file
        self.settings = settings
        self.warnings = warnings
    }
}

/// What brings messages into a daemon, and tells people.
public protocol DaemonMessages: Sendable {
    /// Tells people by the channels in force.
    var notifier: any Notifier { get }
    /// The routes by which messages come.
    var routes: [Route] { get }

    /// Makes a configuration's hooks and channels; those before stay in force until the answer is called. These people are known by
    /// every chat beside those that the hooks themselves name.
    func prepare(_ settings: DaemonSettings, of people: [Person]) throws(Failure) -> @Sendable () -> Void

    /// Lets messages act on rollouts.
    func open(_ operations: any RolloutOperations)

    /// Sends and fetches until the task is cancelled.
    func run() async

    /// What people were not told by each channel in force.
    func undelivered() async throws(Failure) -> [Undelivered]

    /// The document of what people were told, wait for and were never told.
    func notifications() async throws(Failure) -> JSONValue

    /// What came in and went out since the start, in the text format of Prometheus.
    func metrics() async -> String

    /// Releases what it keeps.
    func close() async
}

extension DaemonMessages {
    /// Whether people are told, for those who ask whether the daemon is ready. It drives rollouts all the same.
    func readiness() async -> [ReadinessCheck] {
        do throws(Failure) { return try await undelivered().map(\.check) } catch {
            return [ReadinessCheck("notifications", complaint: error.message, isFatal: false)]
        }
    }
}

/// How the parts of a daemon that has a configuration are put together.
public struct DaemonAssembly: Sendable {
    /// Reads and validates a configuration; `invalid` carries every complaint.
    public var readSettings: @Sendable (PolicySource) throws(OperationError) -> LoadedDaemon
    /// The JSON Schema of configurations.
    public var schema: @Sendable () -> String
    /// Opens what carries messages in and out of a state folder. Where they cannot be kept it says so, and still lets people halt.
    public var openMessages: @Sendable (StateRoot) async throws(OperationError) -> any DaemonMessages
    /// Reads the text of a secret or certificate.
    public var readSecret: @Sendable (SecretReference) throws(Failure) -> String
    /// A signed message that asks for nothing but an answer, as the sender of a hook would send it.
    public var sample: @Sendable (DaemonSettings.Hook) throws(Failure) -> Request
    /// Sends a trial notification by a channel, and returns when the other side has it.
    public var tryRoute: @Sendable (DaemonSettings.Route) async throws(Failure) -> Void

    /// An assembly of parts.
    public init(
        readSettings: @escaping @Sendable (PolicySource) throws(OperationError) -> LoadedDaemon,
        schema: @escaping @Sendable () -> String,
        openMessages: @escaping @Sendable (StateRoot) async throws(OperationError) -> any DaemonMessages,
        readSecret: @escaping @Sendable (SecretReference) throws(Failure) -> String,
        sample: @escaping @Sendable (DaemonSettings.Hook) throws(Failure) -> Request,
        tryRoute: @escaping @Sendable (DaemonSettings.Route) async throws(Failure) -> Void
    ) {
        self.readSettings = readSettings
        self.schema = schema
        self.openMessages = openMessages
        self.readSecret = readSecret
        self.sample = sample
        self.tryRoute = tryRoute
    }
}
