internal import SerinModel

/// An instance in a cohort.
struct InstanceKey: Sendable, Hashable, Comparable {
    var cohort: Cohort
    var instance: String

    /// The canary first, then by name.
    static func < (left: InstanceKey, right: InstanceKey) -> Bool {
        if left.cohort != right.cohort { return left.cohort == .canary }
        return left.instance < right.instance
    }
}

/// One instance's answer to one query.
struct CohortRow: Sendable, Hashable {
    var key: InstanceKey
    var value: Double
    /// Finite edges and cumulative counts, for a histogram.
    var edges: [Double]
    var counts: [Double]
    var sampledAt: Instant?
    var resets: Double
    /// Rows that were merged into this one.
    var count = 1
    /// Whether every number in it can be one of its kind: finite and, where it is a count, not negative.
    var isSound: Bool
}

/// One query's answer at one poll, by cohort and instance.
struct PollRows: Sendable, Hashable {
    /// Sorted by key, each once.
    var rows: [CohortRow] = []
    /// Whether there is an answer.
    var isAnswered: Bool
    /// Whether the answer came with warnings, or has a row that belongs to both cohorts.
    var isDegraded: Bool

    /// No answer.
    static let missing = PollRows(isAnswered: false, isDegraded: true)

    private init(isAnswered: Bool, isDegraded: Bool) {
        self.isAnswered = isAnswered
        self.isDegraded = isDegraded
    }

    /// Sorts an answer by cohort and instance; several rows of one instance are summed, gauges averaged.
    init(_ reading: SeriesReading, query: SeriesQuery, table: QueryTable, instanceLabel: String) {
        guard reading.failure == nil else {
            self = .missing
            return
        }
        isAnswered = true
        isDegraded = !reading.warnings.isEmpty
        let isGauge = query.kind == .gauge || query.kind == .expression
        var found: [CohortRow] = []
        for row in reading.rows {
            guard let cohort = table.cohort(of: row.labels) else {
                // Cohorts that overlap are not what they claim to be.
                if table.isInBoth(row.labels) { isDegraded = true }
                continue
            }
            let finite = row.buckets.filter { $0.edge.isFinite }
            let isSound =
                row.value.isFinite && (isGauge || row.value >= 0)
                && finite.allSatisfy { $0.count.isFinite && $0.count >= 0 }
            found.append(
                CohortRow(
                    key: InstanceKey(cohort: cohort, instance: row.label(instanceLabel)), value: row.value,
                    edges: finite.map(\.edge), counts: finite.map(\.count), sampledAt: row.sampledAt, resets: row.resets ?? 0,
                    isSound: isSound))
        }
        found.sort { $0.key < $1.key }
        for row in found {
            if let last = rows.last, last.key == row.key {
                rows[rows.count - 1] = PollRows.merged(last, row)
            } else {
                rows.append(row)
            }
        }
        if isGauge {
            for k in rows.indices where rows[k].count > 1 { rows[k].value /= Double(rows[k].count) }
        }
    }

    private static func merged(_ left: CohortRow, _ right: CohortRow) -> CohortRow {
        var row = left
        row.value += right.value
        row.count += 1
        row.resets += right.resets
        row.isSound = left.isSound && right.isSound && left.edges == right.edges
        if row.isSound { row.counts = zip(left.counts, right.counts).map { $0 + $1 } }
        if let a = left.sampledAt, let b = right.sampledAt { row.sampledAt = min(a, b) }
        return row
    }

    /// The row of an instance.
    func row(_ key: InstanceKey) -> CohortRow? {
        var low = 0
        var high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low < rows.count && rows[low].key == key ? rows[low] : nil
    }
}

/// What one poll says about everything, prepared for the signals.
struct PollContext {
    /// When the queries were evaluated.
    var at: Instant
    /// The time since the poll before, in seconds; nil for the first, and where it was too long to be one step.
    var seconds: Double?
    /// One for each query.
    var answers: [PollRows]
    /// Instances that are down, and those that provably restarted since the poll before.
    var down: Set<String>
    var restarted: Set<String>
    /// How old a sample may be.
    var stale: Duration

    /// Whether a row is fresh enough.
    func isFresh(_ row: CohortRow) -> Bool { row.sampledAt.map { at - $0 <= stale } ?? true }
}
