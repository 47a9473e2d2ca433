public import SerinController
public import SerinLocks
public import SerinModel
internal import SerinPolicies
public import SerinRecords
public import SerinRollouts
public import SerinVerdicts

/// A controller with one rollout whose answers are set by the test.
public final class FakeOperations: RolloutOperations {
    /// What it answers, and what it was asked.
    public struct State: Sendable {
        /// The rollout's status.
        public var status: RolloutStatus
        /// Its log.
        public var decisions: [LoggedDecision] = []
        /// Its service's journal.
        public var entries: [Entry] = []
        /// The commands that were accepted.
        public var commands: [Command] = []
        /// The starts that were asked for.
        public var started: [StartRequest] = []
        /// Who asked for the last start.
        public var author: Principal?
        /// What every question is answered with, if anything.
        public var failure: OperationError?
        /// What it measured of itself.
        public var measurements = Measurements()
        /// Whether whoever waits for a change hears nothing at all, as of a process that was stopped.
        public var isSilent = false
        /// How many commands are still refused.
        public var refusedCommands = 0
        /// What a command does to the status.
        public var onCommand: (@Sendable (Command, inout RolloutStatus) -> Void)?
        /// Why a start is refused; nil where it is not.
        public var startRefusal: Refusal?
        /// What a start does to the status.
        public var onStart: (@Sendable (inout RolloutStatus) -> Void)?
    }

    /// May be changed at any time.
    public let state: Locked<State>

    /// A controller with this rollout.
    public init(_ status: RolloutStatus = .sample()) { state = Locked(State(status: status)) }

    private func present(_ name: String) throws(OperationError) -> RolloutStatus {
        let (status, failure) = state.withLock { ($0.status, $0.failure) }
        if let failure { throw failure }
        guard name == status.id.description || name == status.service.description else {
            throw .notFound("there is no rollout or service '\(name)'")
        }
        return status
    }

    private func theOne() throws(OperationError) -> RolloutStatus { try present(state.withLock { $0.status.id.description }) }

    /// Notes the request, and answers with the rollout.
    public func start(_ request: StartRequest, by principal: Principal) async throws(OperationError) -> RolloutStatus {
        if let refusal = state.withLock({ $0.startRefusal }) { throw .refused(refusal) }
        state.withLock {
            $0.started.append(request)
            $0.author = principal
            $0.onStart?(&$0.status)
        }
        return try theOne()
    }

    /// The one rollout.
    public func statuses() async throws(OperationError) -> [RolloutStatus] { [try theOne()] }

    /// The rollout, by its name or its service's.
    public func status(of name: String) async throws(OperationError) -> RolloutStatus { try present(name) }

    /// Notes the command, unless commands are still refused.
    public func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus {
        _ = try present(name)
        let isRefused = state.withLock { state in
            defer { state.refusedCommands = max(0, state.refusedCommands - 1) }
            return state.refusedCommands > 0
        }
        if isRefused { throw .refused(Refusal("it is over")) }
        return state.withLock {
            $0.commands.append(command)
            $0.onCommand?(command, &$0.status)
            return $0.status
        }
    }

    /// The log that the test set.
    public func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        _ = try present(name)
        return state.withLock { Array($0.decisions.filter { $0.sequence > sequence }.prefix(limit)) }
    }

    /// The journal that the test set.
    public func entries(of service: ServiceName, after sequence: Int64, limit: Int) async throws(OperationError) -> [Entry] {
        _ = try present(service.description)
        return state.withLock { Array($0.entries.filter { $0.sequence > sequence }.prefix(limit)) }
    }

    /// The end of the journal that the test set.
    public func head(of service: ServiceName) async throws(OperationError) -> Entry? {
        _ = try present(service.description)
        return state.withLock { $0.entries.last }
    }

    /// What the test set.
    public func measurements() async -> Measurements { state.withLock { $0.measurements } }

    /// Returns when the test has changed the status, or the time is over.
    public func statusChange(
        of name: String, from seen: RolloutStatus?, timeout: Duration
    ) async throws(OperationError) -> RolloutStatus {
        let clock = ContinuousClock()
        let limit = clock.now + .milliseconds(timeout.milliseconds)
        while true {
            let status = try present(name)
            let isSilent = state.withLock { $0.isSilent }
            if !isSilent && (status != seen || clock.now >= limit) || Task.isCancelled { return status }
            // A cancelled pause ends the loop.
            // sleeps: the status has no condition to wait for, as tests change it behind the controller's back
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}

extension RolloutStatus {
    /// An example.
    public static func sample(state: String = "baking", isFinal: Bool = false, ending: Ending? = nil) -> RolloutStatus {
        guard let id = RolloutID("checkout-01k5"), let service = ServiceName("checkout"), let weight = Weight(percent: 25) else {
            // traps: these names are written here and valid
            preconditionFailure("the sample's names are valid")
        }
        return RolloutStatus(
            id: id, service: service, version: "1.9.0", previous: "1.8.3", state: state, cause: "step 2 entered",
            next: "step 3 at 00:52:15Z", isFinal: isFinal, isRollbackIncomplete: false, ending: ending, step: 2, steps: 3,
            wantedWeight: weight, observedWeight: weight, baked: .seconds(725), bake: .minutes(30), signals: [.sample()],
            awaitedApproval: nil, startedAt: Instant(millisecondsSince1970: 1_772_325_000_000),
            since: Instant(millisecondsSince1970: 1_772_325_735_250))
    }
}

extension SignalAssessment {
    /// An example.
    public static func sample(_ name: String = "errors", verdict: Verdict = .fail) -> SignalAssessment {
        var signal = SignalAssessment(name: name)
        signal.verdict = verdict
        signal.reason = "beyond 1.10"
        signal.absence = .tooFewRequests
        signal.absentCohort = .canary
        signal.counts.canaryEvents = 84
        signal.counts.canaryExposure = 4003
        signal.counts.controlEvents = 122
        signal.counts.controlExposure = 11980.5
        signal.ratio = 2.0605
        signal.interval = Interval(low: 1.56, high: .infinity)
        signal.logEFail = 6.125
        signal.logEPass = -.infinity
        signal.phi = 1.3
        signal.noise = "noise measured on 6 h of 4 control instances: 1.3"
        signal.onset = Instant(millisecondsSince1970: 1_772_325_480_000)
        return signal
    }
}

extension LoggedDecision {
    /// An example.
    public static func sample(_ sequence: Int64, _ text: String = "step 25% FAIL errors") -> LoggedDecision {
        LoggedDecision(
            sequence: sequence, at: Instant(millisecondsSince1970: 1_772_325_735_000 + sequence * 1000),
            decision: Decision(topic: "verdict", text: text, signals: [.sample()]))
    }
}
