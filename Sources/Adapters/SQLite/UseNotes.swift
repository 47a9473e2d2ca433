internal import SerinModel

/// When tokens were used, of each the latest that is known here, and which of it is not written yet.
struct UseNotes: Sendable {
    /// How exactly it is known when a token was last used.
    static let interval = Duration.minutes(1)
    /// The most tokens that are remembered. More than these are not noted.
    static let limit = 10_000

    /// The latest use of each token.
    private(set) var latest: [String: Instant] = [:]
    private var unwritten: Set<String> = []
    private var isUnderWay = false

    /// Notes a use. True when somebody is to be told to write: at most one is at a time.
    mutating func note(_ token: String, at now: Instant) -> Bool {
        let last = latest[token]
        guard last != nil || latest.count < Self.limit else { return false }
        if last.map({ now - $0 >= Self.interval }) ?? true {
            latest[token] = now
            unwritten.insert(token)
        }
        guard !unwritten.isEmpty, !isUnderWay else { return false }
        isUnderWay = true
        return true
    }

    /// What is to be written now.
    mutating func take() -> [String: Instant] {
        defer { unwritten = [] }
        return latest.filter { unwritten.contains($0.key) }
    }

    /// Takes note of how the writing ended; what was not written is tried again with the next use.
    mutating func ended(_ uses: [String: Instant], isWritten: Bool) {
        isUnderWay = false
        if !isWritten { unwritten.formUnion(uses.keys) }
    }
}
