import SerinModel
import SerinPrometheus
import Testing

/// What parsing comes to, as a value.
func parsed(_ bytes: [UInt8], limits: AnswerLimits = AnswerLimits()) -> Result<Answer, AnswerError> {
    do throws(AnswerError) { return .success(try AnswerParser.parse(bytes, limits: limits)) } catch { return .failure(error) }
}

func parsed(_ text: String, limits: AnswerLimits = AnswerLimits()) -> Result<Answer, AnswerError> {
    parsed(Array(text.utf8), limits: limits)
}

/// The error of parsing; nil when there is an answer.
func parseError(_ text: String, limits: AnswerLimits = AnswerLimits()) -> AnswerError? {
    switch parsed(text, limits: limits) {
    case .success: nil
    case .failure(let error): error
    }
}

func vector(_ rows: String) -> String { #"{"status":"success","data":{"resultType":"vector","result":[\#(rows)]}}"# }

@Suite struct AnswerParserTests {
    @Test func aVectorIsReadWithSortedLabelsAndMillisecondTimes() throws {
        let text = vector(
            #"{"metric":{"b":"2","a":"1"},"value":[1795217948.922,"12.5"]},{"metric":{},"value":[1795217943,"+Inf"]}"#)
        let answer = try parsed(text).get()
        #expect(
            answer.content
                == .vector([
                    AnswerSeries(
                        labels: [Label("a", "1"), Label("b", "2")],
                        samples: [Sample(time: Instant(millisecondsSince1970: 1_795_217_948_922), value: 12.5)]),
                    AnswerSeries(
                        labels: [],
                        samples: [Sample(time: Instant(millisecondsSince1970: 1_795_217_943_000), value: .infinity)]),
                ]))
    }

    @Test func keysMayComeInAnyOrderAndUnknownOnesAreSkipped() throws {
        let text = """
            { "x": [{"y": [1, -2.5e3, true, false, null, "\\u0041"]}], "infos": ["i"], "data":
            {"result": [ {"value": [1, "2"], "new": {}, "metric": {"l": "\\"\\\\\\n\\u00e9\\ud83d\\ude00é"}} ], "stats": {"a": {}},
            "resultType": "vector"}, "warnings": ["w"], "status": "success" }
            """
        let answer = try parsed(text).get()
        #expect(answer.series?.first?.label("l") == "\"\\\né😀é")
        #expect(answer.warnings == ["w"])
        #expect(answer.infos == ["i"])
    }

    @Test(arguments: [
        ("NaN", Double.nan), ("+Inf", .infinity), ("-Inf", -.infinity), ("1e-09", 1e-9), ("1e+21", 1e21), ("-0", -0.0),
        ("1.2345678901234568e+300", 1.2345678901234568e+300), ("0.1", 0.1),
        ("123456789012345678901234567890", 1.2345678901234568e29),
        ("9007199254740993", 9_007_199_254_740_992), ("4.9406564584124654e-324", .leastNonzeroMagnitude),
        ("0.000000000000000000000000001", 1e-27),
    ])
    func valuesAreReadExactly(_ text: String, _ expected: Double) throws {
        let answer = try parsed(vector(#"{"metric":{},"value":[1,"\#(text)"]}"#)).get()
        let value = try #require(answer.series?.first?.samples.first?.value)
        #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN))
    }

    @Test func anyDoubleSurvivesItsText() throws {
        var random = SeededRandom(seed: 11)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            let answer = try parsed(vector(#"{"metric":{},"value":[1,"\#(value)"]}"#)).get()
            #expect(answer.series?.first?.samples.first?.value.bitPattern == value.bitPattern, "\(value)")
        }
    }

    @Test func scalarsAndStringsAreRead() throws {
        let scalar = try parsed(#"{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}"#).get()
        guard case .scalar(let sample) = scalar.content else { throw AnswerError.malformed(offset: 0, "no scalar") }
        #expect(sample.value.isNaN)
        let string = try parsed(#"{"status":"success","data":{"resultType":"string","result":[1.5,"hello"]}}"#).get()
        #expect(string.content == .string("hello"))
    }

    @Test func nativeHistogramsAreLeftOutWithAWarning() throws {
        let histogram = #"{"metric":{"a":"1"},"histogram":[1,{"count":"2","sum":"3","buckets":[[0,"1","2","2"]]}]}"#
        let answer = try parsed(vector(histogram + #",{"metric":{"a":"2"},"value":[1,"5"]}"#)).get()
        #expect(answer.series?.map { $0.label("a") } == ["2"])
        #expect(answer.warnings == ["1 series are native histograms, which are not read"])
    }

    @Test func theServersOwnErrorsAreTold() {
        let error = parseError(#"{"status":"error","errorType":"execution","error":"many-to-many","warnings":["w"]}"#)
        #expect(error == .refused(type: "execution", message: "many-to-many"))
    }

    @Test(arguments: [
        #"{"status":"success","status":"success","data":{"resultType":"vector","result":[]}}"#,
        #"{"status":"success","data":{"resultType":"vector","result":[],"result":[]}}"#,
        vector(#"{"metric":{"a":"1","a":"2"},"value":[1,"1"]}"#), vector(#"{"metric":{},"metric":{},"value":[1,"1"]}"#),
        vector(#"{"metric":{},"value":[1,"1"],"values":[[1,"1"]]}"#), vector(#"{"metric":{},"values":[[1,"1"]]}"#),
        vector(#"{"metric":{},"value":[1,1]}"#), vector(#"{"metric":{},"value":["1","1"]}"#),
        vector(#"{"metric":{},"value":[1,"1x"]}"#),
        vector(#"{"metric":{},"value":[1,""]}"#), vector(#"{"metric":{},"value":[1,"0x10"]}"#),
        vector(#"{"metric":{},"value":[1,"."]}"#),
        vector(#"{"metric":{},"value":[1e400,"1"]}"#), vector(#"{"metric":{},"value":[99999999999999999999,"1"]}"#),
        vector(#"{"metric":{},"value":[1.,"1"]}"#), vector(#"{"metric":{},"value":[1-2,"1"]}"#), vector(#"{"value":[1,"1"]}"#),
        vector(#"{"metric":{}}"#), vector(#"{"metric":{"a":1},"value":[1,"1"]}"#), vector("7"), vector(#"{"metric":{"a":"\q"}}"#),
        vector(#"{"metric":{"a":"\ud800"},"value":[1,"1"]}"#), vector(#"{"metric":{"a":"\ud800 \udc00"},"value":[1,"1"]}"#),
        vector("{\"metric\":{\"a\":\"\u{1}\"},\"value\":[1,\"1\"]}"), vector("") + "x", "[]", "null", "{}", "<html>", "7",
        "\"x\"",
        #"{"status":"success"}"#, #"{"status":"success","data":null}"#,
        #"{"status":"other","data":{"resultType":"vector","result":[]}}"#,
        #"{"status":"success","data":{"resultType":"tensor","result":[]}}"#,
        #"{"status":"success","data":{"resultType":"vector"}}"#,
        #"{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}"#, #"{"x":tru}"#, #"{"x":[1,]}"#, #"{"x":{]}"#,
        #"{"x":-}"#,
    ])
    func whatPrometheusNeverSendsIsMalformed(_ text: String) {
        guard case .malformed? = parseError(text) else {
            Issue.record("\(text): \(String(describing: parseError(text)))")
            return
        }
    }

    @Test func invalidUTF8IsMalformed() {
        var bytes = Array(vector(#"{"metric":{"a":"X"},"value":[1,"1"]}"#).utf8)
        for index in bytes.indices where bytes[index] == 0x58 { bytes[index] = 0xFF }
        guard case .failure(.malformed) = parsed(bytes) else {
            Issue.record("taken")
            return
        }
    }

    @Test func everyPrefixOfAnAnswerIsTruncated() throws {
        let bytes = Array(vector(#"{"metric":{"a":"\u00e9"},"value":[1.5,"-1e-5"]}"#).utf8)
        for count in bytes.indices { #expect(parsed(Array(bytes[..<count])) == .failure(.truncated(bytes: count)), "\(count)") }
        _ = try parsed(bytes).get()
    }

    @Test func limitsHoldOnBytesSeriesSamplesLabelsDepthAndWarnings() throws {
        func isTooLarge(_ text: String, _ change: (inout AnswerLimits) -> Void) -> Bool {
            var limits = AnswerLimits()
            change(&limits)
            if case .tooLarge? = parseError(text, limits: limits) { return true }
            return false
        }
        let series = #"{"metric":{"a":"1","b":"2"},"value":[1,"1"]}"#
        let two = vector(series + "," + series)
        #expect(isTooLarge(two) { $0.bytes = two.utf8.count - 1 })
        #expect(!isTooLarge(two) { $0.bytes = two.utf8.count })
        #expect(isTooLarge(two) { $0.series = 1 })
        #expect(!isTooLarge(two) { $0.series = 2 })
        #expect(isTooLarge(two) { $0.samples = 1 })
        #expect(isTooLarge(two) { $0.labels = 1 })
        let deep = #"{"x":"# + String(repeating: "[", count: 100_000)
        #expect(isTooLarge(deep) { _ in })
        let warnings = (0..<100).map { "\"w\($0)\"" }.joined(separator: ",")
        let answer = try parsed(#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":[\#(warnings)]}"#)
            .get()
        #expect(answer.warnings.count == 33)
        #expect(answer.warnings.last == "and 68 more")
    }
}

/// A small generator with a seed (SplitMix64), so that a failure can be repeated.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
