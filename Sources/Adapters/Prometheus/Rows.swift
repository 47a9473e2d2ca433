internal import SerinModel

/// Turns answers into rows of a reading, leaving out what is no evidence and saying so.
struct Rows {
    let query: SeriesQuery
    private(set) var warnings: [String] = []

    init(_ query: SeriesQuery) { self.query = query }

    /// The rows of an instant answer, sorted by labels.
    mutating func rows(of answer: Answer) throws(Failure) -> [SeriesRow] {
        warnings += answer.warnings
        guard case .vector(let series) = answer.content else {
            throw Failure(
                .invalid, "cannot read \(query.metric): the query returns no instant vector",
                hint: "an expression must return one value for each instance")
        }
        let samples = series.compactMap { series in series.samples.first.map { (series, $0.value) } }
        return query.kind == .histogram ? histograms(samples) : try values(samples)
    }

    /// The group's labels of a series; those that it lacks are left out.
    func group(_ series: AnswerSeries) -> [Label] { series.labels.filter { query.groupedBy.contains($0.name) } }

    private mutating func values(_ samples: [(series: AnswerSeries, value: Double)]) throws(Failure) -> [SeriesRow] {
        var rows: [SeriesRow] = []
        for (series, value) in samples {
            let labels = group(series)
            guard isEvidence(value) else {
                drop(labels, "its value is \(value)")
                continue
            }
            rows.append(SeriesRow(labels: labels, value: value))
        }
        rows.sort { $0.labels.lexicographicallyPrecedes($1.labels) }
        for (left, right) in zip(rows, rows.dropFirst()) where left.labels == right.labels {
            throw Failure(
                .invalid, "cannot read \(query.metric): it has several series for \(text(left.labels))",
                hint: "aggregate by the labels \(query.groupedBy.joined(separator: ", "))")
        }
        return rows
    }

    private mutating func histograms(_ samples: [(series: AnswerSeries, value: Double)]) -> [SeriesRow] {
        var groups: [[Label]: [Bucket]] = [:]
        for (series, value) in samples {
            groups[group(series), default: []].append(Bucket(edge: Double(series.label("le")) ?? .nan, count: value))
        }
        var rows: [SeriesRow] = []
        for (labels, unsorted) in groups.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            guard let buckets = Rows.buckets(unsorted), let last = buckets.last else {
                drop(labels, "its buckets are not a whole histogram")
                continue
            }
            rows.append(SeriesRow(labels: labels, value: last.count, buckets: buckets))
        }
        return rows
    }

    /// Buckets by ascending edge, equal edges (`1` and `1.0` of two exporters) added; nil unless they end in `+Inf` and are numbers.
    static func buckets(_ unsorted: [Bucket]) -> [Bucket]? {
        guard unsorted.allSatisfy({ !$0.edge.isNaN && $0.count.isFinite && $0.count >= 0 }) else { return nil }
        var buckets: [Bucket] = []
        for bucket in unsorted.sorted(by: { $0.edge < $1.edge }) {
            if let last = buckets.indices.last, buckets[last].edge == bucket.edge {
                buckets[last].count += bucket.count
            } else {
                buckets.append(bucket)
            }
        }
        return buckets.last?.edge == .infinity ? buckets : nil
    }

    /// Whether a value may be used: finite, and for a counter not below zero.
    private func isEvidence(_ value: Double) -> Bool {
        switch query.kind {
        case .counter, .histogram: value.isFinite && value >= 0
        case .gauge, .expression: value.isFinite
        }
    }

    private mutating func drop(_ labels: [Label], _ reason: String) {
        // A thousand broken series are one defect: the first ones say what it is.
        if warnings.count < 64 { warnings.append("\(query.metric)\(text(labels)) is left out: \(reason)") }
    }
}

/// Labels as people write them: `{code="200", instance="a:1"}`.
func text(_ labels: [Label]) -> String {
    "{\(labels.map { "\($0.name)=\(PromQL.quoted($0.value))" }.joined(separator: ", "))}"
}

extension SeriesRow {
    /// Whether a cumulative value is lower here than in the row before.
    func fell(since previous: SeriesRow) -> Bool {
        if value < previous.value { return true }
        guard buckets.count == previous.buckets.count else { return false }
        return zip(buckets, previous.buckets).contains { $0.edge == $1.edge && $0.count < $1.count }
    }
}
