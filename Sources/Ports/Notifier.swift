public import SerinModel
public import SerinRollouts

/// Tells people. Never waited for, never allowed to fail a rollout.
public protocol Notifier: Sendable {
    /// Passes a notice on.
    func notify(_ notice: Notice, of rollout: RolloutID) async
}
