internal import SerinModel

/// Says when evidence becomes doubtful and when it no longer is, at most once a minute each: a slow server would fill the log.
struct DoubtLog: Sendable, Hashable {
    private var saidAt: Instant?
    private var isSaid = false

    /// The line that a poll adds, if any. `warnings` is what was warned of; empty means nothing.
    mutating func take(_ warnings: String, at now: Instant) -> String? {
        guard isSaid == warnings.isEmpty, saidAt.map({ now - $0 >= VerdictLog.interval }) ?? true else { return nil }
        isSaid.toggle()
        saidAt = now
        return isSaid ? "prometheus' evidence is doubtful: \(warnings)" : "prometheus' evidence is no longer doubtful"
    }
}
