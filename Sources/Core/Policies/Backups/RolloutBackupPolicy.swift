public import SerinModel

/// `backup:` of a rollout's policy: the gate before a release.
public struct RolloutBackupPolicy: Sendable, Hashable, Codable {
    /// Which rollouts need one.
    public enum Before: String, Sendable, Hashable, Codable, CaseIterable {
        /// Those that migrate the database.
        case migrations
        /// Every one.
        case always
    }

    /// What is run.
    public enum Plan: Sendable, Hashable, Codable {
        /// The plan in a file.
        case file(String)
        /// A dump of the policy's own Postgres with the defaults of a plan: `to:`, each `file:///` and a folder, and `key_…:`.
        case short(destinations: [String], key: SecretReference)
    }

    /// Which rollouts need one.
    public var before: Before
    /// What is run.
    public var plan: Plan
    /// How long it may take, its verification included: 1 h.
    public var deadline: Duration

    /// A gate.
    public init(before: Before, plan: Plan, deadline: Duration = .hours(1)) {
        self.before = before
        self.plan = plan
        self.deadline = deadline
    }
}
