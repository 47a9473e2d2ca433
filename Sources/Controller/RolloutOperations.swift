public import SerinModel
public import SerinPolicies
public import SerinRecords
public import SerinRollouts

/// What someone sends to start a rollout: the policy as text, so that the controller that freezes it also reads it.
public struct StartRequest: Sendable, Hashable, Codable {
    /// The policy file's text.
    public var policyText: String
    /// The policy file's name, for messages.
    public var policyFile: String
    /// The version to release.
    public var version: String
    /// The version to go back to; nil when the policy does not need it.
    public var previous: String?
    /// Logged deviations from the policy.
    public var overrides: [Override]
    /// The key by which the same request is known when it comes again; nil when every one is meant.
    public var requestKey: String?

    /// A request.
    public init(
        policyText: String, policyFile: String, version: String, previous: String?, overrides: [Override],
        requestKey: String? = nil
    ) {
        self.policyText = policyText
        self.policyFile = policyFile
        self.version = version
        self.previous = previous
        self.overrides = overrides
        self.requestKey = requestKey
    }
}

/// Why an operation was not done.
public enum OperationError: Error, Sendable, Hashable {
    /// The policy or a value is not acceptable; nothing changed. Exit 2.
    case invalid([Diagnostic])
    /// It is not allowed now, or not to this person; nothing changed. Exit 7.
    case refused(Refusal)
    /// There is no such rollout or service. Exit 2.
    case notFound(String)
    /// It could not be made durable, or the controller is stopping; try again. Exit 75.
    case unavailable(String)
}

extension OperationError: CustomStringConvertible {
    /// What is said of it, with its hints; several complaints stand on lines of their own.
    public var description: String {
        switch self {
        case .invalid(let diagnostics): diagnostics.map(\.description).joined(separator: "\n")
        case .refused(let refusal): "refused: \(refusal)"
        case .notFound(let text), .unavailable(let text): text
        }
    }
}

/// A decision with its place in the journal.
public struct LoggedDecision: Sendable, Hashable, Codable {
    /// The entry's number in the store.
    public var sequence: Int64
    /// When it was taken.
    public var at: Instant
    /// The decision.
    public var decision: Decision

    /// A decision from the journal.
    public init(sequence: Int64, at: Instant, decision: Decision) {
        self.sequence = sequence
        self.at = at
        self.decision = decision
    }

    /// As it stands in the log: time, then the sentence.
    public var line: String { "\(at.timeOfDay) \(decision.text)" }
}

/// Everything that people and pipelines may ask of a controller; the one door for the command line, the API and the pages.
public protocol RolloutOperations: Sendable {
    /// Starts a rollout; returns once its charter is durable. The same request with the same key by the same principal starts
    /// nothing more: it is answered as the first time, also by a later controller.
    func start(_ request: StartRequest, by principal: Principal) async throws(OperationError) -> RolloutStatus

    /// Every rollout that is live, and the last finished one of each service, sorted by service, then rollout.
    func statuses() async throws(OperationError) -> [RolloutStatus]

    /// One rollout, by its identifier or by the name of its service (the live one, else the last).
    func status(of name: String) async throws(OperationError) -> RolloutStatus

    /// Asks something of a rollout, by its identifier or service; returns once it is durable. A halt is never refused while live.
    func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus

    /// The decisions of a rollout after an entry's number, oldest first, at most `limit`.
    func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision]

    /// Entries of a service's journal after a number, as they are stored, at most `limit`.
    func entries(of service: ServiceName, after sequence: Int64, limit: Int) async throws(OperationError) -> [Entry]

    /// The last entry of a service's journal; nil while it is empty.
    func head(of service: ServiceName) async throws(OperationError) -> Entry?

    /// How many rollouts have ended since this process began, by how.
    func endings() async -> [Ending: Int]

    /// What the controllers of this process measured of themselves since it began.
    func measurements() async -> Measurements

    /// Returns when the rollout's status differs from `seen` (nil: at once) or the timeout is over.
    func statusChange(of name: String, from seen: RolloutStatus?, timeout: Duration) async throws(OperationError) -> RolloutStatus
}

extension RolloutOperations {
    /// None: nothing ends where nothing is driven.
    public func endings() async -> [Ending: Int] { [:] }

    /// Nothing: nothing is measured where nothing is driven.
    public func measurements() async -> Measurements { Measurements() }
}
