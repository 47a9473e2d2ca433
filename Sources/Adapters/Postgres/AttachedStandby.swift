/// A standby as its primary sees it.
struct AttachedStandby: Sendable, Hashable {
    /// Recognises a standby that comes back: its slot, or its application name and address.
    struct Identity: Sendable, Hashable, Comparable {
        /// The name in messages.
        var name: String

        static func < (left: Identity, right: Identity) -> Bool { left.name < right.name }
    }

    /// Which one.
    var identity: Identity
    /// `streaming`, `catchup` or `startup`.
    var state: String
    /// The position it has replayed, in bytes; nil before its first report.
    var replayed: Double?
    /// The time the primary measured between writing and replay, in seconds; nil when nothing was measured lately.
    var measuredLag: Double?
    /// How long ago it last reported, in seconds.
    var reportAge: Double?
    /// When set, it replayed what the primary had so long ago, in seconds.
    var caughtUpWithin: Double?

    /// Reads a row of `HealthQueries.standbys`; nil when it is not as expected.
    init?(_ row: [String?]) {
        guard row.count >= 7, let slot = row[0], let application = row[1], let address = row[2] else { return nil }
        identity = Identity(name: slot.isEmpty ? "\(application)@\(address)" : "slot \(slot)")
        state = row[3] ?? "?"
        replayed = row[4].flatMap(Double.init)
        measuredLag = row[5].flatMap(Double.init)
        reportAge = row[6].flatMap(Double.init)
    }

    /// Whether a second look can tell idleness from a stop: it is behind and the primary measured nothing.
    func needsSecondLook(position: Double) -> Bool { (replayed ?? 0) < position && measuredLag == nil }

    /// Judges how far it is behind.
    ///
    /// The lag columns are NULL both on an idle primary and with a frozen receiver; the difference is the gap in bytes. A report
    /// older than twice the interval while there is a gap means that the receiver does not live.
    func lag(position: Double, reportInterval: Double, atLeast bound: Double) -> ReplicationLag {
        guard let replayed else { return .unknown("\(identity.name) is attached and has not reported yet") }
        let gap = max(0, position - replayed)
        if let caughtUpWithin { return ReplicationLag(seconds: caughtUpWithin, bytes: 0, detail: identity.name) }
        if gap == 0 { return ReplicationLag(seconds: 0, bytes: 0, detail: identity.name) }
        if let reportAge, reportAge > 2 * reportInterval {
            return .broken(
                "\(identity.name) is frozen: it last reported \(whole(reportAge)) s ago and is \(whole(gap)) bytes behind")
        }
        guard let measuredLag else {
            return ReplicationLag(
                seconds: nil, bytes: gap,
                detail: "\(identity.name) is \(whole(gap)) bytes behind and the primary knows no lag in time: it does not report")
        }
        return ReplicationLag(seconds: max(measuredLag, bound), bytes: gap, detail: "\(identity.name) (\(state))")
    }
}
