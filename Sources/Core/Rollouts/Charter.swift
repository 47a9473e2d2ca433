public import SerinModel
public import SerinPolicies

/// What a rollout was asked to be; journaled first and never changed.
public struct Charter: Sendable, Hashable, Codable {
    /// The rollout.
    public var id: RolloutID
    /// The frozen policy, with overrides applied.
    public var policy: Policy
    /// SHA-256 of the policy file as it was read, lower-case hexadecimal.
    public var policyHash: String
    /// The version to release.
    public var version: String
    /// The version to compare with and to go back to.
    public var previous: String
    /// Who started it.
    public var author: Principal
    /// Deviations from the policy, with their reasons.
    public var overrides: [Override]
    /// How many different people must agree before anything is deployed: 0, or more after a security halt of the same service.
    public var requiredApprovals: Int
    /// The key by which the author's client knows that it has asked for this one before; nil when it gave none.
    public var requestKey: String?

    /// A charter.
    public init(
        id: RolloutID, policy: Policy, policyHash: String, version: String, previous: String, author: Principal,
        overrides: [Override], requiredApprovals: Int = 0, requestKey: String? = nil
    ) {
        self.id = id
        self.policy = policy
        self.policyHash = policyHash
        self.version = version
        self.previous = previous
        self.author = author
        self.overrides = overrides
        self.requiredApprovals = requiredApprovals
        self.requestKey = requestKey
    }
}

/// One logged deviation from the policy.
public struct Override: Sendable, Hashable, Codable {
    /// The policy's key.
    public var key: String
    /// The value instead.
    public var value: String
    /// Why.
    public var reason: String

    /// A deviation.
    public init(key: String, value: String, reason: String) {
        self.key = key
        self.value = value
        self.reason = reason
    }
}
