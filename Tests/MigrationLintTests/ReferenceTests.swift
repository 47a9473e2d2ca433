import FoundationEssentials
import SerinMigrations
import Testing

@Suite struct LintReferenceTests {
    private static let path = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "../../docs/migrations-lint.md"
    ).path

    /// `SERIN_WRITE_DOCS=1 swift test --filter ReferenceTests` writes it anew.
    @Test func thePageOfRulesIsMadeFromTheTable() throws {
        if ProcessInfo.processInfo.environment["SERIN_WRITE_DOCS"] != nil {
            try LintReference.page.write(toFile: Self.path, atomically: true, encoding: .utf8)
        }
        let bytes = try #require(FileManager.default.contents(atPath: Self.path))
        #expect(String(decoding: bytes, as: UTF8.self) == LintReference.page)
    }

    @Test func namesOfRulesAreUnique() {
        #expect(Set(LintRule.allCases.map(\.rawValue)).count == LintRule.allCases.count)
    }
}
