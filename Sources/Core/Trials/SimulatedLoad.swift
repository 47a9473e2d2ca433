/// Why a policy cannot be tried the way that was asked for.
public struct TrialError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong; lower case.
    public var message: String
    /// What to do about it.
    public var hint: String?

    /// A reason.
    public init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }

    /// The message, then the hint on a line of its own.
    public var description: String { hint.map { "\(message)\nhint: \($0)" } ?? message }
}

/// The traffic that a policy is tried on.
public struct SimulatedLoad: Sendable, Hashable {
    /// What `requestsPerSecond` may be.
    public static let requestRange = 0.01...1_000_000.0
    /// What `errors` may be.
    public static let errorRange = 0.0...0.5
    /// What `canary` may be.
    public static let canaryRange = 0.0...1000.0
    /// What `controls` may be.
    public static let controlRange = 1...16

    /// Requests per second of all instances together.
    public var requestsPerSecond: Double
    /// The share of control's requests that are errors, on average.
    public var errors: Double
    /// How many times as often the canary has what `signal` counts.
    public var canary: Double
    /// How errors and traffic vary.
    public var scenario: TrafficScenario
    /// How many instances control has; the canary has one.
    public var controls: Int
    /// The signal in which the canary differs; nil is the policy's first that counts errors. In every other it is as good as control.
    public var signal: String?

    /// Traffic within the ranges.
    public init(
        requestsPerSecond: Double, errors: Double = 0.01, canary: Double = 1, scenario: TrafficScenario = .poisson,
        controls: Int = 4, signal: String? = nil
    ) {
        self.requestsPerSecond = requestsPerSecond
        self.errors = errors
        self.canary = canary
        self.scenario = scenario
        self.controls = controls
        self.signal = signal
    }
}
