internal import SerinModel
internal import SerinPorts

// Alerts of media that keep one open until it is ended: which one a message raises, and which ones it ends.
extension OutboundMessage {
    /// The alert that it raises. Each call of a rollout is one of its own: whoever took note of an earlier one is called again.
    var alert: String {
        let key = notification.deduplicationKey
        return notification.isAboutRollout && notification.severity == .critical ? "\(key) \(id.prefix(8))" : key
    }

    /// The alerts that are over with it, given the calls that were delivered to the same place.
    func endedAlerts(among calls: [OutboundMessage]) -> [String] {
        let raised = calls.filter { ends($0) }.map(\.alert)
        let isGoodNews = notification.severity == .info && (!notification.isAboutRollout || notification.kind == .rolloutEnded)
        // A call goes ahead of good news that waits and is older than it.
        let isOvertaken = calls.contains { $0.alert == notification.deduplicationKey && $0.notification.at >= notification.at }
        let own = isGoodNews && !isOvertaken ? [notification.deduplicationKey] : []
        return own + raised.filter { !own.contains($0) }
    }

    /// Whether a call that came before it is over with it: an approval or a hold once the rollout goes on, or is called for anew, and
    /// everything of a rollout at its end.
    func ends(_ call: OutboundMessage) -> Bool {
        let earlier = call.notification
        guard earlier.deduplicationKey == notification.deduplicationKey, earlier.at < notification.at else { return false }
        guard notification.isAboutRollout else { return notification.severity == .info }
        if notification.kind == .rolloutEnded { return true }
        guard let state = earlier.field("state"), ["awaiting approval", "held"].contains(state) else { return false }
        return notification.field("state") != state || notification.severity == .critical
    }
}
