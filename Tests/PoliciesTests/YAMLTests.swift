import Glibc
import SerinPolicies
import SerinYAML
import Testing

@Suite struct YAMLTests {
    private func complaints(_ bytes: [UInt8]) -> [String] { readYAML(bytes, file: "p.yaml").diagnostics.map(\.description) }
    private func complaints(_ text: String) -> [String] { complaints(Array(text.utf8)) }

    @Test func valuesKnowTheirPlace() throws {
        let reading = readYAML(Array("é: [a, \"b\"]\nc:\n  d: 1\n".utf8), file: "p.yaml")
        #expect(reading.diagnostics == [])
        guard case .mapping(let pairs, let mark)? = reading.node, pairs.count == 2 else {
            Issue.record("not a mapping of two")
            return
        }
        #expect(mark == Mark(line: 1, column: 1))
        guard case .sequence(let items, let listMark) = pairs[0].value, items.count == 2,
            case .mapping(let inner, _) = pairs[1].value
        else {
            Issue.record("wrong shape")
            return
        }
        #expect(listMark == Mark(line: 1, column: 4))
        #expect(items.map(\.mark) == [Mark(line: 1, column: 5), Mark(line: 1, column: 8)])
        #expect(inner[0].keyMark == Mark(line: 3, column: 3))
        if case .scalar(let text, let quoted, _) = items[1] { #expect(text == "b" && quoted) }
    }

    @Test func columnsAreCountedInCharacters() {
        #expect(
            complaints("a: \"ééé\"\nb: {ü: 1, ü: 2}\n").first?.hasPrefix("p.yaml:2:11: the key 'ü' stands twice, first in line 2")
                == true)
    }

    @Test func everyDuplicateKeyAnchorAliasAndTagIsNamed() {
        let found = complaints("a: 1\na: 2\nb: &x 1\nc: *x\nd: !!int 3\ne: {f: 1, f: 2}\n")
        let starts = [
            "p.yaml:2:1: the key 'a'", "p.yaml:3:4: anchors", "p.yaml:4:4: aliases", "p.yaml:5:4: tags",
            "p.yaml:6:11: the key 'f'",
        ]
        #expect(found.count == starts.count)
        for (text, start) in zip(found, starts) {
            #expect(text.hasPrefix(start))
            #expect(text.contains("\n  hint: "))
        }
    }

    @Test func aSecondDocumentIsRefused() {
        #expect(complaints("a: 1\n---\nb: 2\n").first?.hasPrefix("p.yaml:2:1: a second document starts here") == true)
        #expect(complaints("---\na: 1\n...\n") == [])
    }

    @Test func directivesAreRefused() {
        #expect(complaints("%YAML 1.1\n---\na: 1\n").first?.contains("directives") == true)
        #expect(complaints("%TAG ! tag:example.com,2026:\n---\na: 1\n").first?.contains("directives") == true)
    }

    @Test(arguments: ["", "\n\n", "# only a comment\n  # and another\n"])
    func aDocumentWithoutContentIsEmpty(text: String) {
        #expect(complaints(text).first?.hasPrefix("p.yaml:1:1: is empty; expected a mapping") == true)
    }

    @Test func aDocumentBeyondTheByteLimitIsRefusedWithoutReadingIt() {
        let bytes = [UInt8](repeating: 0x61, count: 10 << 20)
        #expect(complaints(bytes).first?.hasPrefix("p.yaml:1:1: is longer than 1048576 bytes, the most that is read") == true)
    }

    @Test(arguments: ["[", "{a: ", "- ", "? "])
    func aDocumentOfGreatDepthIsRefused(opening: String) {
        let found = complaints(String(repeating: opening, count: 10_000))
        #expect(found.count == 1)
        #expect(found.first?.contains("nested more than 32 levels deep") == true)
    }

    /// As long as is allowed: none may take time out of proportion.
    @Test(arguments: [
        "[", "{", "- ", "? ", "a: ", "\n", " ", "#", "a\n", "\"", "'", "[[],", "{a: ", "a", "|\n", "&", "*a ", "!", "%", "--- ",
        "k: v\n ",
    ])
    func aDocumentAtTheByteLimitTakesNoTimeOutOfProportion(piece: String) {
        let text = String(repeating: piece, count: (1 << 20) / piece.utf8.count)
        // Of the processor, not of the wall: what else the machine runs does not count.
        let start = processorTime()
        _ = readYAML(Array(text.utf8), file: "p.yaml")
        let time = processorTime() - start
        #expect(time < .seconds(10), "\(piece): \(time)")
    }

    @Test func addressesNeedNoQuotesInAFlowMapping() throws {
        let text = minimal.replacing("\"http://127.0.0.1:9901\"", with: "http://127.0.0.1:9901")
        #expect(read(text).policy?.traffic.driver["admin"] == "http://127.0.0.1:9901")
    }

    @Test func exactlyTheDepthLimitIsAllowed() {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(complaints(nested(32)) == [])
        #expect(complaints(nested(33)).first?.contains("nested more than 32") == true)
    }

    @Test func tooManyValuesAreRefused() {
        #expect(
            complaints("[" + String(repeating: "1,", count: 20_001) + "]").first?.contains("holds more than 20000 values") == true
        )
    }

    @Test func tooManyErrorsEndTheReading() {
        let found = complaints(String(repeating: "a: 1\n", count: 1000))
        #expect(found.count == 101)
        #expect(found.contains { $0.contains("too many errors") })
    }

    @Test func aNULIsRefusedAtItsPlace() {
        #expect(complaints("a: 1\nb: \0 2\n").first?.hasPrefix("p.yaml:2:4: holds a NUL byte") == true)
    }

    @Test func controlCharactersAreRefusedAtTheirPlace() {
        #expect(complaints("a: 1\nb: x\u{1B}[2J\n").first?.hasPrefix("p.yaml:2:5: holds the control character U+001B") == true)
    }

    @Test(
        arguments: [
            ([0xFF, 0xFE, 0x61, 0x00], "UTF-16"), ([0xFE, 0xFF, 0x00, 0x61], "UTF-16"), ([0x61, 0x00, 0x3A, 0x00], "UTF-16LE"),
            ([0x00, 0x61, 0x00, 0x3A], "UTF-16BE"), ([0xFF, 0xFE, 0x00, 0x00], "UTF-32"), ([0x61, 0x00, 0x00, 0x00], "UTF-32LE"),
            ([0x00, 0x00, 0x00, 0x61], "UTF-32BE"), ([0x00, 0x00, 0xFE, 0xFF], "UTF-32"),
        ] as [([UInt8], String)])
    func otherEncodingsAreNamed(bytes: [UInt8], name: String) {
        #expect(complaints(bytes).first?.hasPrefix("p.yaml:1:1: is encoded as \(name); expected UTF-8") == true)
    }

    @Test func invalidUTF8IsRefusedAtItsPlace() {
        #expect(
            complaints(Array("a: é\nbc: ".utf8) + [0xC3, 0x28, 0x0A]).first?.hasPrefix(
                "p.yaml:2:5: holds bytes that are not UTF-8") == true)
        #expect(complaints([0x61, 0xED, 0xA0, 0x80]).first?.hasPrefix("p.yaml:1:2: holds bytes") == true)
    }

    @Test func aByteOrderMarkOfUTF8IsSkipped() {
        #expect(complaints([0xEF, 0xBB, 0xBF] + Array("a: 1\n".utf8)) == [])
    }

    @Test func linesMayEndInCRLF() {
        let reading = readYAML(Array(minimal.replacing("\n", with: "\r\n").utf8), file: "p.yaml")
        #expect(reading.diagnostics == [])
        #expect(complaints("a: 1\r\na: 2\r\n").first?.hasPrefix("p.yaml:2:1: ") == true)
    }

    @Test func aTabThatIndentsIsRefused() {
        let found = complaints("a:\n\tb: 1\n")
        #expect(found.first?.hasPrefix("p.yaml:2:1: ") == true)
        #expect(found.first?.contains("spaces") == true)
    }

    @Test func aVeryLongLineIsRead() {
        let reading = readYAML(Array(("a: \"" + String(repeating: "x", count: 1_000_000) + "\"\n").utf8), file: "p.yaml")
        #expect(reading.diagnostics == [])
    }

    @Test(arguments: [
        "a: [1, 2\n", "a: {b: 1\n", "a: \"b\n", "a: b: c\n", "a\nb: 1\n", "- a\nb: 1\n", "a: @b\n", "a: |\n x\n\ty",
        "? [a]\n: b\n",
    ])
    func brokenDocumentsAreRefusedWithAPlaceAndAHint(text: String) {
        let found = complaints(text)
        #expect(!found.isEmpty || text.contains("|"))
        for complaint in found { #expect(complaint.hasPrefix("p.yaml:") && complaint.contains("hint: ")) }
    }

    /// Bytes at random end in a tree or in a complaint, never in a crash.
    @Test func anyBytesEndInATreeOrAComplaint() {
        var random = SplitMix(seed: 7)
        print("seed 7")
        let alphabet = Array("a:-[]{}\"'#&*!|>?%@,. \n\t\r1".utf8) + [0x00, 0xC3, 0xA9, 0xFF]
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            let reading = readYAML(bytes, file: "p.yaml")
            #expect(reading.node != nil || !reading.diagnostics.isEmpty)
        }
    }
}

/// What this thread has had of the processor.
private func processorTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
