import FoundationEssentials
import SerinModel
import Testing

@testable import SerinBackups

/// The rule for a bucket with versions that the documents give.
@Suite struct ReplacedObjectsTests {
    @Test func theRuleInTheDocumentsNamesWhatIsReplacedAndNothingElse() throws {
        let page = #filePath.replacing("Tests/BackupsTests/Destinations/ReplacedObjectsTests.swift", with: "docs/destinations.md")
        let text = try String(contentsOfFile: page, encoding: .utf8)
        let block = try #require(text.split(separator: "```json\n").dropFirst().first?.split(separator: "```").first)
        let rules = try #require(try JSONValue(parsing: Array(block.utf8))["Rules"]?.items)
        let replaced = [try ObjectLayout.latest("shop", .logical), try ObjectLayout.register("shop")]
        #expect(rules.map { $0["Filter"]?["Prefix"]?.text } == replaced.map { "checkout/\($0)" })
        for rule in rules {
            // The newest version always stays.
            #expect(rule["NoncurrentVersionExpiration"]?["NoncurrentDays"]?.integer != nil && rule["Expiration"] == nil)
        }
    }
}
