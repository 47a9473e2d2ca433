import SerinModel
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testing

@Suite struct CodingTests {
    private enum Shape: Hashable, Codable {
        case point
        case circle(radius: Double)
        case pair(Int, String)
        case nested([Shape])
    }

    private struct Sample: Hashable, Codable {
        var z = 1
        var a = "text"
        var missing: Int?
        var present: Int? = 3
        var list: [Double?] = [1.5, nil, .infinity]
        var shapes: [Shape] = [.point, .circle(radius: 0.1), .pair(-2, "ü"), .nested([.point])]
        var map = ["b": 2, "a": 1]
        var flag = true
        var bytes: [UInt8] = [0, 255]
    }

    @Test func equalValuesGiveOneTextWithSortedKeys() throws {
        let text = try CanonicalEncoder.encode(Sample()).canonicalText
        let expected =
            #"{"a":"text","bytes":[0,255],"flag":true,"list":["1.5",null,"inf"],"map":{"a":1,"b":2},"present":3,"#
            + #""shapes":[{"point":{}},{"circle":{"radius":"0.1"}},{"pair":{"_0":-2,"_1":"ü"}},{"nested":{"_0":[{"point":{}}]}}],"z":1}"#
        #expect(text == expected)
        #expect(try CanonicalDecoder.decode(Sample.self, from: Array(text.utf8)) == Sample())
    }

    @Test func floatingPointNumbersReadBackToTheSameBits() throws {
        var random = SplitMix(state: 20_261_121)
        var values: [Double] = [
            0, -0.0, 1, 0.1, 1e-9, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, .infinity, -.infinity,
            1e21,
            123_456_789.125,
        ]
        while values.count < 20_000 {
            let value = Double(bitPattern: random.next())
            if !value.isNaN { values.append(value) }
        }
        let bytes = try CanonicalEncoder.bytes(of: values)
        let back = try CanonicalDecoder.decode([Double].self, from: bytes)
        #expect(back.map(\.bitPattern) == values.map(\.bitPattern), "seed 20261121")
    }

    @Test func extremesOfWholeNumbersReadBack() throws {
        let signed: [Int64] = [.min, -1, 0, .max]
        #expect(try CanonicalDecoder.decode([Int64].self, from: CanonicalEncoder.bytes(of: signed)) == signed)
        let unsigned: [UInt64] = [0, .max]
        #expect(try CanonicalDecoder.decode([UInt64].self, from: CanonicalEncoder.bytes(of: unsigned)) == unsigned)
        #expect(throws: RecordError.self) { try CanonicalDecoder.decode([UInt8].self, from: Array("[256]".utf8)) }
        #expect(throws: RecordError.self) { try CanonicalDecoder.decode([Int].self, from: Array("[1.0]".utf8)) }
        #expect(throws: RecordError.self) { try CanonicalDecoder.decode([Int].self, from: Array("[1e3]".utf8)) }
    }

    @Test func notANumberIsRefusedWithItsPlace() {
        #expect(throws: RecordError(path: "[1]", "not a number (NaN) cannot be journaled")) {
            try CanonicalEncoder.encode([1.0, Double.nan])
        }
        #expect(throws: RecordError(path: "list[0]", "not a number (NaN) cannot be journaled")) {
            try CanonicalEncoder.encode(Sample(list: [.nan]))
        }
    }

    @Test func collectionsWithoutAnOrderAreRefused() throws {
        #expect(throws: RecordError.self) { try CanonicalEncoder.encode(Set(["a", "b"])) }
        #expect(throws: RecordError.self) { try CanonicalEncoder.encode(["x": [Weight.zero: 1]]) }
        #expect(try CanonicalEncoder.encode(["b": 1, "a": 2]).canonicalText == #"{"a":2,"b":1}"#)
    }

    @Test(arguments: ["\"1.50\"", "\"1\"", "\"1e3\"", "\"nan\"", "\"infinity\"", "\"0x1p3\"", "\" 1.5\"", "\"\"", "1.5", "null"])
    func aFloatingPointNumberInAnyOtherFormIsRefused(text: String) {
        #expect(throws: RecordError.self) { try CanonicalDecoder.decode([Double].self, from: Array("[\(text)]".utf8)) }
    }

    @Test func anUnknownCaseIsNamedWithItsPlace() {
        let body = Array(#"{"event":{"_0":{"exploded":{}}}}"#.utf8)
        let error = #expect(throws: RecordError.self) { try CanonicalDecoder.decode(Record.self, from: body) }
        #expect(error?.description == "at event._0: unknown case 'exploded' of RolloutEvent")
        let verdict = #expect(throws: RecordError.self) {
            try CanonicalDecoder.decode([Verdict].self, from: Array(#"["pass","maybe"]"#.utf8))
        }
        #expect(verdict?.path == "[1]" && verdict?.message.contains("maybe") == true)
    }

    @Test(arguments: [
        #"{"effect":{"_0":{"setWeight":{"_0":7,"_1":10001}}}}"#, #"{"effect":{"_0":{"setWeight":{"_0":"7","_1":1}}}}"#,
        #"{"effect":{"_0":{"setWeight":{"_0":7}}}}"#, #"{"effect":{}}"#, #"{}"#, #"[]"#, "", "nonsense", "{\"effect\":",
        #"{"effect":{"_0":{"preflight":{}}},"effect":{"_0":{"preflight":{}}}}"#,
        #"{"effect":{"_0":{"preflight":{}}},"created":{}}"#,
    ])
    func aBodyThatIsNoRecordIsRefused(text: String) {
        #expect(throws: RecordError.self) { try CanonicalDecoder.decode(Record.self, from: Array(text.utf8)) }
    }

    @Test func aBodyNestedTooDeeplyIsRefused() {
        let body = [UInt8](repeating: 0x5B, count: 100_000)
        #expect(throws: RecordError.self) { try CanonicalDecoder.decode(Record.self, from: body) }
    }

    @Test(arguments: sampleRecords) func everyKindOfRecordReadsBackToTheSameValueAndBytes(record: Record) throws {
        let bytes = try CanonicalEncoder.bytes(of: record)
        let back = try CanonicalDecoder.decode(Record.self, from: bytes)
        #expect(back == record)
        #expect(try CanonicalEncoder.bytes(of: back) == bytes)
        #expect(try JSONValue(parsing: bytes).canonicalBytes == bytes)
    }

    @Test func aCharterWithItsPolicyReadsBack() throws {
        let record = Record.created(try sampleCharter(try #require(RolloutID("checkout-1"))))
        let bytes = try CanonicalEncoder.bytes(of: record)
        #expect(try CanonicalDecoder.decode(Record.self, from: bytes) == record)
    }

    @Test func superclassEncodingIsRefused() {
        class Animal: Encodable {}
        final class Bird: Animal {
            override func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Key.self)
                try super.encode(to: container.superEncoder())
                try container.encode(1, forKey: .legs)
            }
            enum Key: CodingKey { case legs }
        }
        #expect(throws: RecordError("superclass encoding is not supported")) { try CanonicalEncoder.encode(Bird()) }
    }

    @Test func aKeyWrittenTwiceIsRefused() {
        struct Twice: Encodable {
            enum Key: CodingKey { case key }
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Key.self)
                try container.encode(1, forKey: .key)
                try container.encode(2, forKey: .key)
            }
        }
        #expect(throws: RecordError("the key 'key' is written twice")) { try CanonicalEncoder.encode(Twice()) }
    }
}
