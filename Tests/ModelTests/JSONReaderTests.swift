import SerinModel
import Testing

@Suite struct JSONReaderTests {
    private func parse(_ text: String) throws(JSONError) -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test(arguments: [
        "0", "-0", "1", "-1", "10", "1.5", "1e5", "1E+5", "1.25e-3", "123456789012345678901234567890", "true", "false", "null",
        "\"\"", "[]",
        "{}", "[1,2]", "{\"a\":1}", "\"\u{7F}\"", "\"é\u{1F600}\"",
    ])
    func canonicalDocumentsComeBackAsTheyWere(text: String) throws {
        #expect(try parse(text).canonicalText == text)
    }

    @Test(arguments: [
        "", " ", "01", "-", "-01", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "tru", "truee", "True",
        "nul", "[", "]",
        "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "{}}", "{a:1}", "{'a':1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{\"a\":1 \"b\":2}", "{1:2}",
        "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"", "\"\\uD800x\"",
        "\"\\uD800\\uD800\"",
        "\"a\nb\"", "\"\t\"", "\"\0\"", "1 2", "{} []", "// a\n1", "\u{FEFF}1", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}",
        "\u{A0}1",
    ])
    func whatIsNoJSONIsRefused(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
            [0xFF, 0xFE, 0x31, 0x00], [0x31, 0x00],
        ] as [[UInt8]])
    func bytesThatAreNoUTF8AreRefused(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
    }

    @Test func escapesMeanTheirCharacters() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\uDE00\u0000""#).text == "\"\\/\u{8}\u{C}\n\r\tAé€😀\0")
        #expect(try parse(#""\uDBFF\uDFFF""#).text == "\u{10FFFF}")
        #expect(try parse(#""\uD800\uDC00""#).text == "\u{10000}")
    }

    @Test func controlCharactersAreWrittenAsEscapes() throws {
        let value = JSONValue.string("a\"\\\n\r\t\u{1}\u{1F}/\u{7F}")
        #expect(value.canonicalText == "\"a\\\"\\\\\\n\\r\\t\\u0001\\u001f/\u{7F}\"")
        #expect(try JSONValue(parsing: value.canonicalBytes) == value)
    }

    @Test func numbersBeyondAWholeOneOrADoubleAreNotGuessed() throws {
        #expect(try parse("9223372036854775807").integer == .max)
        #expect(try parse("-9223372036854775808").integer == .min)
        #expect(try parse("9223372036854775808").integer == nil)
        #expect(try parse("1.0").integer == nil)
        #expect(try parse("1e3").integer == nil)
        #expect(try parse("1e400").double == nil)
        #expect(try parse("-1e400").double == nil)
        #expect(try parse("1e-400").double == 0)
        #expect(try parse("0.1").double == 0.1)
        #expect(try parse("\"1\"").double == nil)
    }

    @Test func depthCountsArraysAndObjectsOnly() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + "1" + String(repeating: "]", count: depth)).utf8)
        }
        #expect(throws: Never.self) { try JSONValue(parsing: nested(64)) }
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: nested(65)) }
        #expect(error?.description == "byte 64: nested more than 64 levels deep")
        #expect(throws: JSONError.self) { try JSONValue(parsing: [UInt8](repeating: 0x5B, count: 1_000_000)) }
        #expect(throws: Never.self) { try JSONValue(parsing: Array("1".utf8), depthLimit: 0) }
    }

    @Test func lengthIsLimited() {
        #expect(throws: Never.self) { try JSONValue(parsing: Array("[1]".utf8), byteLimit: 3) }
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: Array("[12]".utf8), byteLimit: 3) }
        #expect(error?.description == "byte 3: longer than 3 bytes")
    }

    @Test func keysAreComparedByTheirBytes() throws {
        let value = try parse("{\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(value["\u{E9}"]?.integer == 1)
        #expect(value["e\u{301}"]?.integer == 2)
    }

    @Test func objectsAreSortedByTheBytesOfTheirKeys() throws {
        #expect(
            try parse(" { \"b\" : 1 , \"a\" : [ ] , \"\" : {} , \"é\":0, \"Z\":1 } ").canonicalText
                == "{\"\":{},\"Z\":1,\"a\":[],\"b\":1,\"é\":0}")
        #expect(JSONValue.sortedObject([.init("a", .integer(1)), .init("a", .integer(2))]) == .object(["a": .integer(1)]))
    }

    /// The examples of RFC 6901, section 5.
    @Test func pointersLeadWhereTheyShould() throws {
        let value = try parse(#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#)
        #expect(value.at(pointer: "") == value)
        #expect(value.at(pointer: "/foo/0")?.text == "bar")
        for (pointer, number) in [
            ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ("/k\"l", 6), ("/ ", 7), ("/m~0n", 8),
        ] as [(String, Int64)] { #expect(value.at(pointer: pointer)?.integer == number, "\(pointer)") }
        for pointer in [
            "foo", "/foo/2", "/foo/-", "/foo/+1", "/foo/-0", "/foo/01", "/foo/", "/m~n", "/m~2n", "/foo/0/x", "/x", "/foo/~",
        ] {
            #expect(value.at(pointer: pointer) == nil, "\(pointer)")
        }
    }

    /// Bytes at random: what is read comes back the same from its canonical form.
    @Test func whatIsReadSurvivesItsCanonicalForm() {
        var seed: UInt64 = 42
        print("seed 42")
        func next(_ bound: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % bound
        }
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "1", "-", "0", ".5", "e3", "true", "null", " ", "\"\\u00e9\"",
            "\"\\ud83d\\ude00\"",
        ]
        var read = 0
        for _ in 0..<20_000 {
            let text = (0..<(1 + next(7))).map { _ in pieces[next(pieces.count)] }.joined()
            guard let value = try? JSONValue(parsing: Array(text.utf8)) else { continue }
            read += 1
            #expect((try? JSONValue(parsing: value.canonicalBytes)) == value)
        }
        #expect(read > 1000)
    }
}
