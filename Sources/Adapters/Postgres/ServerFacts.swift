internal import SerinModel

/// Who a server is.
struct ServerFacts: Sendable, Hashable {
    /// Whether it is a standby.
    var isInRecovery: Bool
    /// Whether the role sees every session.
    var seesEverything: Bool
    /// The role Serin is connected as.
    var user: String
    /// When it started, or recovered from a crash.
    var started: String
    /// The identity shared by a primary and its standbys.
    var system: String
    /// The position of its log in bytes; nil on a standby.
    var position: Double?
    /// How often a standby reports, in seconds. With reports turned off it is asked at half of `wal_sender_timeout`, 30 s.
    var reportInterval: Double

    /// Reads the answer to `HealthQueries.facts`.
    init(_ row: [String?]) {
        func text(_ index: Int) -> String? { index < row.count ? row[index] : nil }
        isInRecovery = text(0) == "t"
        seesEverything = text(1) == "t"
        user = text(2) ?? "?"
        started = text(3) ?? "?"
        system = text(4) ?? "?"
        position = text(5).flatMap(Double.init)
        let interval = text(6).flatMap(Double.init) ?? 10
        reportInterval = interval > 0 ? interval : 30
    }

    /// What must be granted before any count can be believed; nil when it is.
    func missingGrant(on name: String) -> Failure? {
        if seesEverything { return nil }
        return Failure(
            .denied, "cannot judge \(name): role \(user) does not see other roles' sessions, so its counts would look healthy",
            hint: "GRANT pg_monitor TO \(user)")
    }
}
