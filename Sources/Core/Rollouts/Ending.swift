/// How a rollout ended or will end, which decides the exit code.
public enum Ending: String, Sendable, Hashable, Codable, CaseIterable {
    /// The new version serves everyone or, without a promote action, may: exit 0.
    case promoted
    /// The canary failed and everything was taken back: exit 3.
    case failed
    /// A person, an alert or a security signal stopped it: exit 4.
    case halted
    /// Not enough evidence, telemetry lost or a deadline: exit 5.
    case inconclusive
    /// The preflight refused it; nothing was changed: exit 7.
    case refused
}
