/// `notify:` of a rollout's policy: who is told of it, beside the log of whoever runs it.
public struct RolloutNotifyPolicy: Sendable, Hashable, Codable {
    /// A program and its arguments, without a shell; it gets each notification as JSON on its standard input.
    public var run: [String]

    /// Who is told.
    public init(run: [String]) { self.run = run }
}
