import SerinModel
import SerinTransport
import Testing

@testable import SerinPrometheus

@Suite struct PromQLTests {
    let counter = SeriesQuery(
        kind: .counter, metric: "http_requests_total", matchers: [LabelMatcher("service", .equal, "checkout")],
        groupedBy: ["version", "instance", "code"])

    @Test func aCounterIsSummedByInstanceAndGroup() throws {
        #expect(
            try PromQL.values(counter) == #"sum by (code, instance, version) (http_requests_total{service="checkout"})"#)
        #expect(
            try PromQL.ages(counter) == #"min by (code, instance, version) (timestamp(http_requests_total{service="checkout"}))"#)
        #expect(
            try PromQL.resets(counter, over: .milliseconds(16_500))
                == #"sum by (code, instance, version) (resets(http_requests_total{service="checkout"}[17s]))"#)
    }

    @Test func aHistogramIsSummedByBucketAndItsAgeReadFromTheLastOne() throws {
        let query = SeriesQuery(kind: .histogram, metric: "latency_seconds", matchers: [], groupedBy: ["instance"])
        #expect(try PromQL.values(query) == "sum by (instance, le) (latency_seconds_bucket{})")
        #expect(try PromQL.ages(query) == #"min by (instance) (timestamp(latency_seconds_bucket{le="+Inf"}))"#)
        #expect(
            try PromQL.resets(query, over: .seconds(30)) == #"sum by (instance) (resets(latency_seconds_bucket{le="+Inf"}[30s]))"#
        )
    }

    @Test func aGaugeIsAveragedAndAnExpressionTakenAsItIs() throws {
        let gauge = SeriesQuery(kind: .gauge, metric: "queue_depth", matchers: [], groupedBy: ["instance"])
        #expect(try PromQL.values(gauge) == "avg by (instance) (queue_depth{})")
        #expect(try PromQL.resets(gauge, over: .seconds(30)) == nil)
        let expression = SeriesQuery(kind: .expression, metric: "a / b", matchers: [], groupedBy: ["instance"])
        #expect(try PromQL.values(expression) == "a / b")
        #expect(try PromQL.ages(expression) == nil)
    }

    @Test func aCohortsLabelsNarrowTheHistory() throws {
        #expect(
            try PromQL.values(counter, of: [Label("version", "v\"1")])
                == #"sum by (code, instance, version) (http_requests_total{service="checkout",version="v\"1"})"#)
    }

    @Test func valuesCannotBreakOutOfTheirQuotes() throws {
        let matchers = [
            LabelMatcher("a", .equal, "\"} or up{x=\""), LabelMatcher("b", .notEqual, "back\\slash\nline\u{0}"),
            LabelMatcher("c", .matches, #"5..|a\.b"#), LabelMatcher("d", .notMatches, "é"),
        ]
        #expect(
            try PromQL.conditions(matchers)
                == #"a="\"} or up{x=\"",b!="back\\slash\nline\x00",c=~"5..|a\\.b",d!~"é""#)
    }

    @Test func aMetricsUnusualNameBecomesAMatcher() throws {
        let query = SeriesQuery(kind: .counter, metric: "a.b\"{}", matchers: [], groupedBy: ["instance"])
        #expect(try PromQL.values(query) == #"sum by (instance) ({__name__="a.b\"{}"})"#)
    }

    @Test(arguments: ["", "1a", "a-b", "a b", "a)", "é"]) func aLabelThatIsNoNameIsRefused(_ name: String) {
        let query = SeriesQuery(kind: .counter, metric: "m", matchers: [], groupedBy: [name])
        #expect(throws: Failure.self) { try PromQL.values(query) }
        #expect(throws: Failure.self) { try PromQL.conditions([LabelMatcher(name, .equal, "x")]) }
    }

    @Test func alternativesMatchLiterally() {
        #expect(PromQL.alternatives(["10.0.0.1:80", "a|b", "x"]) == #"10\.0\.0\.1:80|a\|b|x"#)
        let (text, pattern) = ("a\u{600}|\u{301}b", "a\u{600}\\|\u{301}b")
        #expect(PromQL.alternatives([text]).isExactly(pattern))
    }

    @Test func timesAreWrittenWithMilliseconds() {
        #expect(timeText(Instant(millisecondsSince1970: 1_795_217_948_022)) == "1795217948.022")
        #expect(percentEncoded("a b=&+é~") == "a%20b%3D%26%2B%C3%A9~")
    }

    @Test func theMedianDistanceOfSamplesIsTheirInterval() {
        func samples(_ times: [Int64]) -> [Sample] { times.map { Sample(time: Instant(millisecondsSince1970: $0), value: 1) } }
        #expect(medianDistance(samples([0, 1000, 2001, 2999, 9000])) == .milliseconds(1001))
        #expect(medianDistance(samples([5])) == nil)
    }
}
