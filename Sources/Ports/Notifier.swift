/// Tells people. Whoever reports something does not wait for it, and nothing that is reported fails because of it.
///
/// A call ends when the notification was handed over, or cannot be; what went wrong is the notifier's own to say. It ends early when
/// its task is cancelled, which whoever calls does after a limit.
public protocol Notifier: Sendable {
    /// Passes a notification on.
    func notify(_ notification: Notification) async
}
