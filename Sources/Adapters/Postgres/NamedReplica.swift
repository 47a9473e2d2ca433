/// A standby as it sees itself.
struct NamedReplica: Sendable, Hashable {
    /// The name in messages.
    var name: String
    /// Who it is.
    var facts: ServerFacts
    /// Whether its replay is paused.
    var isPaused: Bool
    /// The position it has replayed, in bytes.
    var replayed: Double?
    /// The age of the last commit it replayed, in seconds; on an idle primary it grows although nothing is missing.
    var commitAge: Double?
    /// The state of its receiver; nil without one.
    var receiver: String?
    /// The position it has received, in bytes.
    var received: Double?
    /// How long ago its primary last spoke to it, in seconds.
    var messageAge: Double?
    /// When set, it replayed what the primary had so long ago, in seconds.
    var caughtUpWithin: Double?

    /// Reads an answer to `HealthQueries.replay`.
    init(name: String, facts: ServerFacts, row: [String?]) {
        func text(_ index: Int) -> String? { index < row.count ? row[index] : nil }
        self.name = name
        self.facts = facts
        isPaused = text(0) == "t"
        replayed = text(1).flatMap(Double.init)
        commitAge = text(2).flatMap(Double.init)
        receiver = text(3)
        received = text(4).flatMap(Double.init)
        messageAge = text(5).flatMap(Double.init)
    }

    /// Judges how far it is behind: at most the age of the last commit replayed, and at most the time since the primary was seen
    /// at a position that this replica has passed.
    func lag(position: Double, system: String, atMost bound: Double?) -> ReplicationLag {
        guard facts.isInRecovery else { return .unknown("\(name) is no standby any more: it was promoted") }
        guard facts.system == system else { return .unknown("\(name) is no replica of this primary: another system identifier") }
        guard let replayed else { return .broken("\(name) has replayed nothing") }
        let gap = max(0, position - replayed)
        if isPaused { return .broken("\(name) has its replay paused, \(whole(gap)) bytes behind") }
        guard let receiver else { return .broken("\(name) receives nothing: no WAL receiver, \(whole(gap)) bytes behind") }
        if let caughtUpWithin { return ReplicationLag(seconds: caughtUpWithin, bytes: 0, detail: name) }
        if gap == 0 { return ReplicationLag(seconds: 0, bytes: 0, detail: name) }
        // A receiver that is stopped still has its row: it has not got what the primary has, and hears nothing.
        if let messageAge, messageAge > 2 * facts.reportInterval, (received ?? 0) < position {
            return .broken(
                "\(name) is frozen: it last heard from the primary \(whole(messageAge)) s ago, \(whole(gap)) bytes behind")
        }
        let estimates = [commitAge, bound].compactMap(\.self)
        return ReplicationLag(
            seconds: estimates.min(), bytes: gap, detail: "\(name) (receiver \(receiver)), \(whole(gap)) bytes behind")
    }
}
