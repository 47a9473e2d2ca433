/// How far one replica is behind.
struct ReplicationLag: Sendable, Hashable {
    /// Larger than any limit and still an exact number: what a missing, paused or frozen replica is given.
    static let beyondEveryLimit = 1e15

    /// Behind in time; nil is not known.
    var seconds: Double?
    /// Behind in bytes; nil is not known.
    var bytes: Double?
    /// Which replica, and why.
    var detail: String

    /// A replica that replicates nothing now.
    static func broken(_ detail: String) -> ReplicationLag {
        ReplicationLag(seconds: beyondEveryLimit, bytes: beyondEveryLimit, detail: detail)
    }

    /// A replica about which nothing is known.
    static func unknown(_ detail: String) -> ReplicationLag { ReplicationLag(seconds: nil, bytes: nil, detail: detail) }

    /// The worst of several: broken before unknown before behind.
    static func worst(_ lags: [ReplicationLag], by value: KeyPath<ReplicationLag, Double?>) -> ReplicationLag? {
        func rank(_ lag: ReplicationLag) -> Double {
            guard let value = lag[keyPath: value] else { return beyondEveryLimit / 2 }
            return value
        }
        return lags.max { rank($0) < rank($1) }
    }
}

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
        if let reportAge, reportInterval > 0, reportAge > 2 * reportInterval {
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
        let estimates = [commitAge, bound].compactMap(\.self)
        return ReplicationLag(
            seconds: estimates.min(), bytes: gap, detail: "\(name) (receiver \(receiver)), \(whole(gap)) bytes behind")
    }
}

/// A number of seconds or bytes without its fraction.
private func whole(_ value: Double) -> String { "\(Int64(max(0, min(value, 1e18))))" }
