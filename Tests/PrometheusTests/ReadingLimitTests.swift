import SerinModel
import Testing

@testable import SerinPrometheus

@Suite struct ReadingLimitTests {
    private let query = SeriesQuery(kind: .histogram, metric: "latency_seconds", matchers: [], groupedBy: ["instance"])

    private func rows(_ count: Int, buckets: Int) -> [SeriesRow] {
        (0..<count).map { number in
            SeriesRow(
                labels: [Label("instance", "10.0.0.\(number):8080")], value: 123_456,
                buckets: (0..<buckets).map { Bucket(edge: Double($0) / 7, count: Double($0) * 1000) }, sampledAt: nil)
        }
    }

    @Test func queriesThatTogetherCannotBeJournaledFailInWordsAndSmallerOnesAreTaken() throws {
        var limit = ReadingLimit(bytes: 1 << 20)
        let first = limit.take(rows(100, buckets: 100), of: query)
        #expect(first == nil)
        let refusal = limit.take(rows(200, buckets: 100), of: query)
        let failure = try #require(refusal)
        #expect(failure.kind == .invalid && failure.message.contains("200 rows of latency_seconds"), "\(failure)")
        #expect(failure.hint?.contains("narrow the matchers") == true)
        let smaller = limit.take(rows(10, buckets: 100), of: query)
        #expect(smaller == nil)
    }

    @Test func aPastWeighsEveryEdgeOfEveryBucket() {
        let row = HistoryRow(
            labels: [Label("instance", "a")], values: [Double?](repeating: 1, count: 360),
            buckets: [[Bucket]](repeating: rows(1, buckets: 20)[0].buckets, count: 360))
        var limit = ReadingLimit(bytes: 1 << 20)
        let (taken, refused) = (limit.take([row, row], of: query), limit.take([row], of: query))
        #expect(taken == nil && refused != nil)
    }
}
