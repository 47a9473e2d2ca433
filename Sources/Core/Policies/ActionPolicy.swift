public import SerinModel

/// Something the rollout does to code: deploy, promote or roll back.
public struct ActionPolicy: Sendable, Hashable, Codable {
    /// How it is done.
    public enum Call: Sendable, Hashable, Codable {
        /// A program with its arguments, no shell. `{{version}}` and `{{previous}}` are replaced in each argument.
        case run([String])
        /// An HTTP request; 2xx is success.
        case http(method: String, endpoint: HTTPEndpoint, body: String?)
    }

    /// How it is done.
    public var call: Call
    /// How to see whether it was done: exit status 0 or 2xx. Without it an unknown outcome calls a person.
    public var check: Call?
    /// For one attempt.
    public var deadline: Duration
    /// The names of environment variables of the controller that its programs are given too; never their values.
    public var environment: [String]

    /// An action.
    public init(call: Call, check: Call?, deadline: Duration, environment: [String] = []) {
        self.call = call
        self.check = check
        self.deadline = deadline
        self.environment = environment
    }
}
