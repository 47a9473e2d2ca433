import SerinModel
import Testing

/// Marks that are no Characters of their own.
struct ScalarTextTests {
    private static let accent = "\u{301}"
    private static let sign = "\u{600}"

    @Test func aMarkIsFoundWhateverStandsBesideIt() {
        for text in ["'", "'" + Self.accent, Self.sign + "'", Self.sign + "'" + Self.accent] {
            #expect(text.has("'") && text.holds("'"))
            #expect(text.doubling("'").isExactly("'" + text.rewriting("'", as: "''") + "'"))
            #expect(text.rewriting("'", as: "''").utf8.count == text.utf8.count + 1)
            #expect("a\(text)b".parts(at: "'").map { $0.utf8.count }.reduce(0, +) == text.utf8.count + 1)
        }
        #expect("a\r\nb".has("\n") && "\r\n".begins(with: "\r"))
        #expect("secret\u{301}".rewriting("secret", as: "…").isExactly("…\u{301}"))
        #expect("aab".rewriting("ab", as: "x") == "ax" && "ab".rewriting("", as: "x") == "ab")
    }

    @Test func linesEndWithOrWithoutACarriageReturn() {
        #expect("a\r\nb\nc\u{301}\r\n\r\nd".textLines() == ["a", "b", "c\u{301}", "d"])
        #expect("a\r\n\r\n".textLines(keepingEmpty: true) == ["a", "", ""])
        // No line ends there to the programs that print them.
        #expect("a\u{2028}b\u{B}c".textLines().count == 1)
        #expect("a.b.c".parts(at: ".", most: 2) == ["a", "b.c"])
        #expect("..".parts(at: "/") == [".."] && "../\u{301}x".parts(at: "/").first == "..")
    }

    @Test func spellingsOfOneAccentAreTwoTexts() {
        #expect("\u{e9}" == "e\u{301}")
        #expect(!"\u{e9}".isExactly("e\u{301}"))
    }
}
