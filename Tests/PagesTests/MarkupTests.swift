import SerinPages
import Testing

@testable import SerinPages

/// Text that would do harm if any of it were read as markup.
let hostileText = "<script>window.broken=1</script>\"'><img src=x onerror=window.broken=1>&amp;\u{202E}evil\u{0}"

@Suite struct MarkupTests {
    @Test func textIsEscapedBetweenTagsAndInValues() {
        let markup = Tag.p(.class(hostileText), .label(hostileText), text: hostileText).html
        #expect(!markup.contains("<script") && !markup.contains("<img"))
        #expect(markup.filter { $0 == "<" }.count == 2)
        #expect(markup.filter { $0 == "\"" }.count == 4)
        #expect(markup.contains("\\u{202e}evil\\u{0}"))
    }

    @Test func aTextInABuilderIsTextAndNotMarkup() {
        let name = "<b>"
        #expect(Tag.p { "\(name) is " + name }.html == "<p>&lt;b&gt; is &lt;b&gt;</p>")
    }

    @Test func noAttributeHoldsAProgramOrAStyle() {
        for name in Attribute.Name.allCases.map(\.rawValue) {
            #expect(!name.hasPrefix("on") && name != "style" && name != "href" && name != "src" && name != "action", "\(name)")
        }
    }

    @Test func aLinkLeadsNowhereElse() {
        #expect(Link("rollouts", "../..//evil?x#y").text == "/rollouts/..%2F..%2F%2Fevil%3Fx%23y")
        #expect(Link("rollouts", "..", "x").text == "/rollouts/%2E%2E/x")
        #expect(Link("", query: [(name: "q", value: "a&b=ü")]).text == "/?q=a%26b%3D%C3%BC")
    }

    @Test(arguments: [
        "javascript:alert(1)", "data:text/html,x", "//evil", "http://", "http://user@host", "https://a b", "ftp://x",
    ])
    func anAddressThatIsNoneOfTheWebIsNoLink(_ text: String) { #expect(Link(web: text) == nil) }

    @Test func coordinatesAreShort() {
        #expect(
            [1, 1.5, -0.25, 1.005, .nan, 0.004].map(coordinate) == ["1", "1.5", "-0.25", "1", "0", "0"]
                || coordinate(1.005) == "1.01")
    }

    @Test func theConstantsEndNeitherStyleNorScript() {
        #expect(!pageScript.description.contains("</") && !stylesheet.description.contains("</"))
    }
}
