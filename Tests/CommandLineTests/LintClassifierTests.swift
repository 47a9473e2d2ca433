import SerinMigrations
import SerinModel
import SerinPolicies
import Testing

@testable import SerinCommandLine
@testable import SerinMigrationTools

@Suite struct LintClassifierTests {
    /// What a rollout's lint allows a statement to ask for by its own word is what the policy allows it.
    @Test(arguments: [Duration.seconds(1), .seconds(10)]) func theLimitsAreThoseOfThePolicy(limit: Duration) async throws {
        let text = "SET lock_timeout = '5s'; SET statement_timeout = '5s'; ALTER TABLE orders ADD COLUMN note text"
        let script = MigrationScript(
            revision: "2", name: "note", up: .text(MigrationText(file: "2.sql", sql: Array(text.utf8), wrapping: .oneQuery)),
            down: .text(MigrationText(file: "2.sql", sql: Array("ALTER TABLE orders DROP COLUMN note".utf8), wrapping: .oneQuery))
        )
        let revision = try #require(RevisionID("2"))
        var found = MigrationInspection(state: SchemaState(current: [], heads: [revision]), schema: "")
        found.pending = [MigrationInspection.Pending(id: revision, script: script)]
        var policy = MigrationPolicy(tool: .folder(path: "/nowhere", table: "t"))
        (policy.lockTimeout, policy.statementTimeout) = (limit, limit)
        let findings = try #require(await Lint.classifier(policy)(found).first).findings
        #expect(findings.count { $0.contains("L06") } == (limit < .seconds(5) ? 2 : 0), "\(findings)")
    }
}
