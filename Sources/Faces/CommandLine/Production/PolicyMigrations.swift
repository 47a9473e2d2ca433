internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

extension Surroundings {
    /// What moves the schema that a policy names; nil when it names none, or when nothing here can: a rollout is then refused.
    func migrations(of policy: Policy) throws(Failure) -> (any Migrations)? { nil }
}
