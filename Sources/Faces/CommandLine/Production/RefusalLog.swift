internal import SerinIdentity
internal import SerinLocks
internal import SerinModel

/// Says why credentials were refused, each reason at most every 10 seconds: strangers must not fill the log, nor hide with their tries
/// the reason that somebody else looks for.
struct RefusalLog: Sendable {
    /// The least time between two lines of one reason.
    static let pause = Duration.seconds(10)
    /// The most reasons that are told apart; others are one.
    static let reasonLimit = 64

    private let report: @Sendable (String) -> Void
    private let now: @Sendable () -> Instant
    private let reasons = Locked<[String: (last: Instant, dropped: Int)]>([:])

    init(_ report: @escaping @Sendable (String) -> Void, now: @escaping @Sendable () -> Instant) {
        self.report = report
        self.now = now
    }

    /// Says that something was refused, and how often it was for this reason since the last line of it.
    ///
    /// - Parameter place: Whence it came, which tells no reasons apart: a stranger may have many places.
    func say(_ error: CredentialError, _ words: String, from place: String = "") {
        let now = now()
        // What stands in quotes and numbers is what the refused may choose.
        let kind = "\(words): \(error.description.prefix { $0 != "'" && !("0"..."9").contains($0) })"
        let dropped: Int? = reasons.withLock { reasons in
            let key = reasons[kind] != nil || reasons.count < Self.reasonLimit ? kind : words
            if let known = reasons[key], now >= known.last, now - known.last < Self.pause {
                reasons[key] = (known.last, known.dropped + 1)
                return nil
            }
            defer { reasons[key] = (now, 0) }
            return reasons[key]?.dropped ?? 0
        }
        guard let dropped else { return }
        report("\(words)\(place): \(error)" + (dropped > 0 ? " (and \(dropped) more)" : ""))
    }
}
