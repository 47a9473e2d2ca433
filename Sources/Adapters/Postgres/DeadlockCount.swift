internal import SerinModel

/// Deadlocks since the first reading, from the counters of each database, which may be reset or dropped meanwhile.
struct DeadlockCount: Sendable, Hashable {
    typealias Counter = DatabaseStart.Deadlocks

    private var last: [String: Counter]?
    private(set) var total: Double

    /// A count that goes on from where an earlier controller's ended.
    init(from start: DatabaseStart? = nil) {
        last = start?.deadlocks.map { counters in
            Dictionary(counters.map { ($0.database, $0) }, uniquingKeysWith: { first, _ in first })
        }
        total = start?.deadlocksSince ?? 0
    }

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
