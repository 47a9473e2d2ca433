internal import SerinModel

/// How much one reading may hold, so that what is journaled can be read back: about a quarter of the longest record.
struct ReadingLimit: Sendable {
    /// Bytes left, as the journal will need them.
    private var left: Int

    init(bytes: Int) { left = bytes }

    /// Why the rows of a query are too many for what is left; nil when they were taken.
    mutating func take(_ rows: [SeriesRow], of query: SeriesQuery) -> Failure? {
        take(rows.reduce(0) { $0 + 128 + Self.size($1.labels) + 48 * $1.buckets.count }, rows.count, query)
    }

    /// The same of a query's past.
    mutating func take(_ rows: [HistoryRow], of query: SeriesQuery) -> Failure? {
        let size = rows.reduce(0) { size, row in
            size + 64 + Self.size(row.labels) + 20 * row.values.count + row.buckets.reduce(0) { $0 + 2 + 48 * $1.count }
        }
        return take(size, rows.count, query)
    }

    private mutating func take(_ size: Int, _ count: Int, _ query: SeriesQuery) -> Failure? {
        guard size <= left else {
            return Failure(
                .invalid,
                "cannot take \(count) rows of \(query.metric): with the queries before they are more than can be journaled",
                hint: "narrow the matchers, or read fewer instances or buckets")
        }
        left -= size
        return nil
    }

    private static func size(_ labels: [Label]) -> Int {
        labels.reduce(0) { $0 + 24 + $1.name.utf8.count + $1.value.utf8.count }
    }
}
