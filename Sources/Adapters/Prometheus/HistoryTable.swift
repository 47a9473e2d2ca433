internal import SerinModel

/// Collects range answers into one row for each group, with a value at each edge.
struct HistoryTable {
    let query: SeriesQuery
    let cohort: [Label]
    let start: Instant
    let step: Duration
    let count: Int
    var warnings: [String] = []
    private var values: [[Label]: [Double?]] = [:]
    private var buckets: [[Label]: [[Bucket]]] = [:]

    init(query: SeriesQuery, cohort: [Label], start: Instant, step: Duration, count: Int) {
        self.query = query
        self.cohort = cohort
        self.start = start
        self.step = step
        self.count = count
    }

    /// Adds an answer's samples. Values that are no numbers count as absent.
    mutating func take(_ answer: Answer) {
        warnings += answer.warnings.filter { !warnings.contains($0) }
        guard case .matrix(let series) = answer.content else {
            warnings.append("\(query.metric): the query returns no range vector")
            return
        }
        let builder = Rows(query)
        for one in series where isOfCohort(one) {
            let labels = builder.group(one)
            query.kind == .histogram ? takeBuckets(one, labels) : takeValues(one, labels)
        }
    }

    /// The rows sorted by labels.
    func rows() -> [HistoryRow] {
        if query.kind != .histogram {
            return values.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { HistoryRow(labels: $0.key, values: $0.value) }
        }
        return buckets.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { labels, edges in
            let whole = edges.map { $0.isEmpty ? [] : Rows.buckets($0) ?? [] }
            return HistoryRow(labels: labels, values: whole.map { $0.last?.count }, buckets: whole)
        }
    }

    /// A selector has the cohort's labels in it; an expression's series are told apart here.
    private func isOfCohort(_ series: AnswerSeries) -> Bool {
        query.kind != .expression || cohort.allSatisfy { series.label($0.name) == $0.value }
    }

    private func index(_ sample: Sample) -> Int? {
        let (index, rest) = (sample.time - start).milliseconds.quotientAndRemainder(dividingBy: step.milliseconds)
        return rest == 0 && index >= 0 && index < Int64(count) ? Int(index) : nil
    }

    private mutating func takeValues(_ series: AnswerSeries, _ labels: [Label]) {
        var row = values[labels] ?? Array(repeating: nil, count: count)
        for sample in series.samples where sample.value.isFinite {
            if let index = index(sample) { row[index] = sample.value }
        }
        values[labels] = row
    }

    private mutating func takeBuckets(_ series: AnswerSeries, _ labels: [Label]) {
        let edge = Double(series.label("le")) ?? .nan
        var row = buckets.removeValue(forKey: labels) ?? Array(repeating: [], count: count)
        for sample in series.samples {
            if let index = index(sample) { row[index].append(Bucket(edge: edge, count: sample.value)) }
        }
        buckets[labels] = row
    }
}
