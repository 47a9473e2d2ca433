import SerinModel
import Testing

@testable import SerinNotifications

@Suite struct MediumTests {
    @Test(arguments: Medium.allCases) func noMediumShowsControlCharactersOrTurnsTheDirectionOfWriting(_ medium: Medium) {
        let text = medium.text("a\u{1B}[31m\u{0}\u{7F}\u{85}\u{202E}\u{2066}\u{FEFF}b\rc\td")
        let strange = text.unicodeScalars.filter {
            ($0.value < 0x20 && $0 != "\n") || (0x7F...0x9F).contains($0.value) || $0.value == 0x202E
        }
        #expect(strange.isEmpty && text.hasPrefix("a") && text.hasSuffix("c d"))
    }

    @Test(arguments: Medium.allCases) func aTextIsCutToWhatTheMediumTakesAndStaysWellFormed(_ medium: Medium) {
        for piece in ["&", "\\", "*", "👩‍👩‍👧‍👦", "e\u{301}", "@", "x"] {
            for count in [1, 50, 139, 140, 199, 200, 1799, 1800, 9000] {
                let text = medium.text(String(repeating: piece, count: count * 3), limit: count)
                #expect(text.utf16.count <= max(1, count), "\(medium) \(piece) \(count)")
                if medium == .slack { #expect(!text.replacing("&amp;", with: "").contains("&")) }
                if medium == .discord || medium == .mattermost {
                    #expect(
                        !text.dropLast().replacing("\\\\", with: "").replacing("\\*", with: "").contains("\\") || piece != "\\")
                }
            }
        }
    }

    @Test func shortTextPassesWhole() {
        for medium in Medium.allCases { #expect(medium.text("api 25%: 84/4,003 ok") == "api 25%: 84/4,003 ok") }
    }

    @Test(arguments: [
        (Medium.slack, "<!channel> <@U1> <http://x|y> &lt;", "&lt;!channel&gt; &lt;@U1&gt; &lt;http://x|y&gt; &amp;lt;"),
        (.telegram, "@ada *b*", "@\u{2060}ada *b*"), (.discord, "**b** <@1> `c`", #"\*\*b\*\* \<@\#u{200B}1\> \`c\`"#),
        (.mattermost, "@channel #x", "@\u{200B}channel \\#x"), (.teams, "<at>x</at>", "<at>x</at>"),
        (.forge, "a\nb @x", "a b @\u{2060}x"),
    ])
    func whatMeansSomethingInAMediumMeansNothingAnyMore(_ medium: Medium, _ text: String, _ shown: String) {
        #expect(medium.text(text) == shown)
    }

    @Test func longAndForeignSubjectsAreEncodedWordsThatEndOnCharacters() {
        let subject = encodedWords(String(repeating: "ü👩‍👧", count: 40))
        for line in subject.split(separator: "\r\n") {
            #expect(line.utf8.count <= 76)
            #expect(line.drop { $0 == " " }.hasPrefix("=?utf-8?B?") && line.hasSuffix("?="))
        }
        #expect(encodedWords("plain") == "plain" && encodedWords("=?utf-8?B?eA==?=") != "=?utf-8?B?eA==?=")
    }
}
