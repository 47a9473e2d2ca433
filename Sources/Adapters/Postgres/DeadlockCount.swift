/// Deadlocks since the first reading, from the counters of each database, which may be reset or dropped meanwhile.
struct DeadlockCount: Sendable, Hashable {
    /// One database's counter.
    struct Counter: Sendable, Hashable {
        /// The database.
        var database: String
        /// Deadlocks since the last reset.
        var count: Double
        /// The time of that reset; empty when there was none.
        var reset: String
    }

    private var last: [String: Counter]?
    private var total = 0.0

    /// Takes the counters of one reading. Returns the deadlocks since the first reading, or nil when a reset hides how many there
    /// were since the reading before.
    mutating func advance(_ counters: [Counter]) -> Double? {
        defer { last = Dictionary(counters.map { ($0.database, $0) }, uniquingKeysWith: { first, _ in first }) }
        guard let last else { return total }
        var isKnown = true
        for counter in counters {
            guard let before = last[counter.database] else {
                // A new database's counter began at zero.
                total += counter.count
                continue
            }
            if counter.reset == before.reset, counter.count >= before.count {
                total += counter.count - before.count
            } else {
                total += counter.count
                isKnown = false
            }
        }
        return isKnown ? total : nil
    }
}
