/// How a controller and the watchdog beside it know of each other.
public struct WatchdogLink: Sendable {
    /// Shows the watchdog that the controller is alive and takes what comes, and whether it is in charge: it began the rollout, or
    /// has finished a poll since it took it up. Only one in charge is waited for. Never waits.
    public var showLife: @Sendable (_ isInCharge: Bool) -> Void
    /// Whether there is a mark that a watchdog lowered the weight.
    public var hasMark: @Sendable () -> Bool
    /// Takes the mark away, once it is journaled. Does not wait for it.
    public var clearMark: @Sendable () -> Void

    /// A link by its parts.
    public init(
        showLife: @escaping @Sendable (_ isInCharge: Bool) -> Void, hasMark: @escaping @Sendable () -> Bool,
        clearMark: @escaping @Sendable () -> Void
    ) {
        self.showLife = showLife
        self.hasMark = hasMark
        self.clearMark = clearMark
    }

    /// Where there is no watchdog.
    public static let none = WatchdogLink(showLife: { _ in }, hasMark: { false }, clearMark: {})
}
