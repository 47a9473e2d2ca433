import FoundationEssentials
import SerinModel
import SerinPolicies
import SerinTraffic
import Testing

@Suite struct ReferenceTests {
    /// docs/policy.md describes every key, those of the drivers too. After a change of the declarations,
    /// `SERIN_WRITE_DOCS=1 swift test --filter ReferenceTests` writes it anew.
    @Test func theReferenceInTheDocumentsIsThatOfTheParser() throws {
        let start = "<!-- reference: written from the declarations, do not edit by hand -->\n\n"
        let document = try packageFile("docs/policy.md")
        let parts = document.split(separator: start, maxSplits: 1)
        try #require(parts.count == 2)
        let expected = policyReference(drivers: TrafficDrivers.schemas)
        if ProcessInfo.processInfo.environment["SERIN_WRITE_DOCS"] != nil {
            let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            try (parts[0] + start + expected).write(toFile: "/\(root)/docs/policy.md", atomically: true, encoding: .utf8)
            return
        }
        #expect(parts[1] == expected)
    }

    @Test func driversDescribeThemselves() {
        let text = policyReference(drivers: drivers)
        #expect(text.contains("| `runtime_prefix` | a name of letters"))
        #expect(text.contains("Exactly one of `envoy`, `haproxy`, `http`."))
    }
}
